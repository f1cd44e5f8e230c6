//! A generated program: a loop around one hot function and much code beside it.

//@each modules
mod $name$;
//@end

use std::time::Duration;

use crate::$step$::step;
use crate::world::World;

fn main() {
    println!("pid {}", std::process::id());
    if std::env::args().any(|argument| argument == "--all") {
        let mut total = 0;
//@each areas
        total ^= $name$::run(total, 1);
//@end
        println!("total {total}");
        return;
    }
    let mut world = World::default();
    let mut last = None;
    loop {
        let marker = step(&mut world);
        if last != Some(marker) {
            println!("value {marker} {}", world.ticks);
            last = Some(marker);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
