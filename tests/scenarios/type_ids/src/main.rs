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

/// Values with what they say of their own types.
#[derive(Default)]
struct Log(Vec<(TypeId, Box<[u64]>)>);

trait Tagged {
    fn tag(&self) -> TypeId;
}

struct Spot {
    at: u64,
}

impl Tagged for Spot {
    fn tag(&self) -> TypeId {
        TypeId::of::<Self>()
    }
}

impl Component for Spot {
    fn pack(self) -> Box<[u64]> {
        Box::new([self.at])
    }

    fn unpack(words: &[u64]) -> Self {
        Self { at: words[0] }
    }
}

/// Has an id of the type itself, and is given one to compare.
fn is<T: 'static>(tag: TypeId) -> bool {
    tag == TypeId::of::<T>()
}

impl Log {
    fn push<C: Component + Tagged>(&mut self, value: C) {
        self.0.push((value.tag(), value.pack()));
    }

    fn spots(&self) -> String {
        let spots = self.0.iter().filter(|(tag, _)| is::<Spot>(*tag));
        let spots = spots.map(|(_, words)| Spot::unpack(words).at.to_string());
        spots.collect::<Vec<_>>().join(" ")
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
    let mut log = Log::default();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let reply = match line.as_str() {
            "put" => {
                world.put(Place { x: 1, y: 2 });
                show(&world)
            }
            "show" => show(&world),
            "spot" => {
                log.push(Spot { at: 7 });
                log.spots()
            }
            text => match checked(text.trim()) {
                Ok(length) => length.to_string(),
                Err(fault) => fault.to_string(),
            },
        };
        println!("{reply}");
    }
}
