//! This crate's own source text, from which the tool compiles the live build.
//!
//! A file that the live build needs and that is missing from [`SOURCES`] breaks that build, so the
//! integration test compiles from this list and from nothing else.

/// File name, relative to the crate's `src`, and text of every file the live build needs.
pub const SOURCES: &[(&str, &str)] = &[
    ("lib.rs", include_str!("lib.rs")),
    ("agent.rs", include_str!("agent.rs")),
    ("apply.rs", include_str!("apply.rs")),
    ("ask.rs", include_str!("ask.rs")),
    ("backtraces.rs", include_str!("backtraces.rs")),
    ("elf.rs", include_str!("elf.rs")),
    ("error.rs", include_str!("error.rs")),
    ("future.rs", include_str!("future.rs")),
    ("guard.rs", include_str!("guard.rs")),
    ("hold.rs", include_str!("hold.rs")),
    ("hook.rs", include_str!("hook.rs")),
    ("hooks.rs", include_str!("hooks.rs")),
    ("image.rs", include_str!("image.rs")),
    ("loader.rs", include_str!("loader.rs")),
    ("news.rs", include_str!("news.rs")),
    ("peer.rs", include_str!("peer.rs")),
    ("scalars.rs", include_str!("scalars.rs")),
    ("retry.rs", include_str!("retry.rs")),
    ("signals.rs", include_str!("signals.rs")),
    ("slot.rs", include_str!("slot.rs")),
    ("values.rs", include_str!("values.rs")),
    ("watch.rs", include_str!("watch.rs")),
    ("wire.rs", include_str!("wire.rs")),
];
