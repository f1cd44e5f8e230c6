//! Hot patching.
