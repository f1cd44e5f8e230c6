//! The same in an optimised crate of the workspace.

use std::any::TypeId;
use std::collections::HashMap;

#[derive(Default)]
pub struct World(HashMap<TypeId, Box<[u64]>>);

trait Component: 'static {
    fn pack(self) -> Box<[u64]>;
    fn unpack(words: &[u64]) -> Self;
}

struct Spot {
    at: u64,
}

impl Component for Spot {
    fn pack(self) -> Box<[u64]> {
        Box::new([self.at])
    }

    fn unpack(words: &[u64]) -> Self {
        Self { at: words[0] }
    }
}

/// Nobody asks for its id.
struct Pair {
    left: u64,
    right: u64,
}

impl World {
    fn keep<C: Component>(&mut self, value: C) {
        self.0.insert(TypeId::of::<C>(), value.pack());
    }

    fn find<C: Component>(&self) -> Option<C> {
        self.0.get(&TypeId::of::<C>()).map(|words| C::unpack(words))
    }
}

pub fn settle(world: &mut World) {
    world.keep(Spot { at: 7 });
}

pub fn settled(world: &World) -> String {
    match world.find::<Spot>() {
        Some(spot) => spot.at.to_string(),
        None => "nowhere".to_owned(),
    }
}

pub fn sum(of: u64) -> u64 {
    let pair = Pair { left: of, right: 1 };
    pair.left + pair.right
}
