//! A crate of the workspace whose thread-locals others use.

pub fn count() -> u32 {
    1
}
