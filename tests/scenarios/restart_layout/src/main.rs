//! Types of kept values change, and serde says what that means.

use std::collections::BTreeMap;

use hotpatch_rt::{Guard, Keep, hot, keep};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum Mood {
    Calm,
    Angry { at: String },
}

#[derive(Serialize, Deserialize)]
struct World {
    ticks: u32,
    mood: Mood,
    #[serde(default)]
    heat: f64,
    big: u128,
    places: BTreeMap<(i8, i8), Option<char>>,
    raw: Vec<u8>,
}

fn world() -> Keep<World> {
    keep("world", || World {
        ticks: 0,
        mood: Mood::Calm,
        heat: f64::NAN,
        big: u128::MAX - 1,
        places: BTreeMap::from([((-1, 2), Some('ä')), ((3, 4), None)]),
        raw: vec![0, 255],
    })
}

#[hot]
fn step(world: &mut World) -> String {
    world.ticks += 1;
    format!("tick {}", world.ticks)
}

fn dump(world: &Guard<'_, World>) -> String {
    let mood = match &world.mood {
        Mood::Calm => "calm",
        Mood::Angry { at } => at,
    };
    format!(
        "{} {mood} {} {} {:?} {:?}",
        world.ticks, world.heat, world.big, world.places, world.raw
    )
}

fn load(world: &mut World, state: &str) {
    // The rest is the same in every state of this scenario.
    let mut words = state.split(' ');
    world.ticks = words
        .next()
        .and_then(|word| word.parse().ok())
        .expect("ticks");
    world.mood = match words.next() {
        Some("calm") => Mood::Calm,
        at => Mood::Angry {
            at: at.expect("a mood").to_owned(),
        },
    };
}

fn main() {
    let world = world();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let mut world = world.lock();
        match line.split_once(' ') {
            Some(("load", state)) => {
                load(&mut world, state);
                println!("ok");
            }
            Some(("anger", at)) => {
                world.mood = Mood::Angry { at: at.to_owned() };
                println!("ok");
            }
            _ if line == "dump" => println!("{}", dump(&world)),
            _ => println!("{}", step(&mut world)),
        }
    }
}
