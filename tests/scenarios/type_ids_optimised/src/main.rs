//! Values that optimised code finds again by the ids of their types.

use type_ids_optimised_own::{World, settle, settled, sum};
use type_ids_optimised_store::{Kept, Store, twice};

struct Place {
    x: u64,
    y: u64,
}

impl Kept for Place {
    fn pack(self) -> Box<[u64]> {
        Box::new([self.x, self.y])
    }

    fn unpack(words: &[u64]) -> Self {
        Self { x: words[0], y: words[1] }
    }
}

/// Nobody asks for its id.
struct Point {
    x: u64,
}

fn shown(store: &Store) -> String {
    match store.get::<Place>() {
        Some(place) => format!("{} {}", place.x, place.y),
        None => "nowhere".to_owned(),
    }
}

fn points() -> u64 {
    let points = [Point { x: 4 }, Point { x: 5 }];
    points.iter().map(|point| point.x).sum::<u64>() + twice(|| 1_u64)[0]
}

fn main() {
    let mut store = Store::default();
    let mut world = World::default();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let reply = match line.as_str() {
            "put" => {
                store.put(Place { x: 1, y: 2 });
                shown(&store)
            }
            "show" => shown(&store),
            "put spot" => {
                settle(&mut world);
                settled(&world)
            }
            "spot" => settled(&world),
            "points" => points().to_string(),
            "sum" => sum(3).to_string(),
            _ => "what?".to_owned(),
        };
        println!("{reply}");
    }
}
