//! The $noun$ folder.

//@each modules
pub mod $name$;
//@end

/// Runs all modules of this folder.
pub fn run(seed: u64, depth: u32) -> u64 {
    let mut total = seed;
//@each parts
    total ^= $name$::run(total, depth);
//@end
    total
}
