//! Uses two crates, one of which the build script uses, too.

pub fn level() -> u32 {
    mixed_workspace_shared::level(2) + mixed_workspace_tables::row(1)
}
