//! The $noun$ part of the $adjective$ side.

//@each uses
use $path$;
//@end

$sections$
/// Runs all of this file and, while `depth` lasts, some of the files it builds on.
pub fn run(seed: u64, depth: u32) -> u64 {
    let mut total = seed;
//@each calls
    total = mix(total, $call$(total));
//@end
    if depth > 0 {
//@each deps
        total ^= crate::$path$::run(total, depth - 1);
//@end
        total = total.rotate_left($small$);
    }
    total
}
