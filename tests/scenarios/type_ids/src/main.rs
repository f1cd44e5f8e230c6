//! Values that are found again by the id of their type, and one that only has such an id.

use std::any::TypeId;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;

/// Where a value is, by its type; nothing in it says which.
#[derive(Default)]
struct World(HashMap<TypeId, Box<[u64]>>);

trait Component: 'static {
    fn pack(self) -> Box<[u64]>;
    fn unpack(words: &[u64]) -> Self;
}

struct Place {
    x: u64,
    y: u64,
}

impl Component for Place {
    fn pack(self) -> Box<[u64]> {
        Box::new([self.x, self.y])
    }

    fn unpack(words: &[u64]) -> Self {
        Self { x: words[0], y: words[1] }
    }
}

impl World {
    fn put<C: Component>(&mut self, value: C) {
        self.0.insert(TypeId::of::<C>(), value.pack());
    }

    fn get<C: Component>(&self) -> Option<C> {
        self.0.get(&TypeId::of::<C>()).map(|words| C::unpack(words))
    }
}

#[derive(Debug)]
enum Fault {
    Empty,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("empty"),
        }
    }
}

impl Error for Fault {}

fn checked(text: &str) -> Result<usize, Box<dyn Error>> {
    match text.len() {
        0 => Err(Box::new(Fault::Empty)),
        length => Ok(length),
    }
}

fn show(world: &World) -> String {
    match world.get::<Place>() {
        Some(place) => format!("{} {}", place.x, place.y),
        None => "nowhere".to_owned(),
    }
}

fn main() {
    let mut world = World::default();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let reply = match line.as_str() {
            "put" => {
                world.put(Place { x: 1, y: 2 });
                show(&world)
            }
            "show" => show(&world),
            text => match checked(text.trim()) {
                Ok(length) => length.to_string(),
                Err(fault) => fault.to_string(),
            },
        };
        println!("{reply}");
    }
}
