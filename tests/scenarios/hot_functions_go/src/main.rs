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
            "loaded" => println!("{}", loaded()),
            "kept" => println!("{}", kept()),
            _ => println!("{}", outside()),
        }
    }
}

mod load {
    #[hotpatch_rt::hot]
    pub fn most() -> u32 {
        3
    }
}

fn load() -> u32 {
    1
}

fn through() -> u32 {
    load::most()
}

#[hot]
fn loaded() -> u32 {
    load() + through() * 100
}

#[hot]
fn kept() -> u32 {
    7
}
