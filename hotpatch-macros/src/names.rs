//! The names that the macro shares with the tool and the runtime. No behaviour.

/// Set in the environment of rustc in a hot build.
pub const LIVE_ENV: &str = "CARGO_HOTPATCH_LIVE";

/// Its value where the crate is optimised.
pub const OPTIMISED: &str = "optimised";

/// The crate that the tool adds to the user's crates in a hot build.
pub const LIVE_CRATE: &str = "hotpatch_live";

/// The runtime's module for expansions, stamped with the version of the generated shape.
pub const PRIVATE: &str = "__private_v1";

/// The static inside each hot function of an optimised crate.
pub const SLOT: &str = "__HOTPATCH_SLOT";

/// The static inside each hot `async` function.
pub const RUNNING: &str = "__HOTPATCH_RUNNING";

/// The attribute's own name.
pub const HOT: &str = "hot";

/// The user's crate that exports the attribute.
pub const RT_CRATE: &str = "hotpatch_rt";
