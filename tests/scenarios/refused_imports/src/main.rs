//! Imports that decide what other items are.

use hotpatch_rt::hot;

mod one {
    #[derive(Default)]
    pub struct Part {
        pub value: u8,
    }
    pub const LENGTH: usize = 2;
    pub type Small = u8;
    pub type Cell = std::sync::atomic::AtomicU8;
}

mod two {
    #[derive(Default)]
    pub struct Part {
        pub padding: [u64; 4],
        pub value: u8,
    }
    pub const LENGTH: usize = 4;
    pub type Small = u64;
    pub type Cell = std::sync::atomic::AtomicU64;
}

use one::Part;
use one::LENGTH;
use one::Small;
use one::Cell;

static SEEN: Cell = Cell::new(0);

#[hot]
fn small(value: Small) -> u32 {
    SEEN.store(1, std::sync::atomic::Ordering::Relaxed);
    u32::try_from(value).unwrap_or(1)
}

#[derive(Default)]
struct World {
    part: Part,
    list: [u32; LENGTH],
    after: u32,
}

fn helper() -> u32 {
    1
}

macro_rules! call {
    () => {
        helper()
    };
}

#[hot]
fn step(world: &mut World) -> u32 {
    world.after += 1;
    world.after + world.list[0] + u32::from(world.part.value) + call!()
}

fn main() {
    let _ = (two::Part::default().padding, two::LENGTH, two::Part::default().value);
    let _ = two::Cell::new(0);
    let _: two::Small = 1;
    assert_eq!(small(3), 3);
    let mut world = World::default();
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", step(&mut world));
    }
}
