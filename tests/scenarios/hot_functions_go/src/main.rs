//! Hot functions that are deleted, renamed and put back.

use hotpatch_rt::hot;

struct World(u32);

impl World {
    #[hot]
    fn step(&mut self) {
        self.0 += 1;
    }
}

#[hot]
fn weight() -> u32 {
    2
}

#[hot]
fn shown() -> u32 {
    weight() * 10
}

#[hot]
fn called(world: &mut World) -> u32 {
    world.step();
    world.0
}

fn outside() -> u32 {
    weight()
}

fn main() {
    let mut world = World(0);
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "shown" => println!("{}", shown()),
            "called" => println!("{}", called(&mut world)),
            "kept" => println!("{}", kept()),
            _ => println!("{}", outside()),
        }
    }
}

#[hot]
fn kept() -> u32 {
    7
}
