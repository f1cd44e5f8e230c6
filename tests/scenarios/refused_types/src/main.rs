//! Edits that change what values look like, while values of them are alive.

use std::sync::Mutex;

use hotpatch_rt::hot;

struct Player {
    health: u32,
    name: String,
    stance: Stance,
}

#[derive(Clone, Copy)]
enum Stance {
    Standing,
    Running { speed: u8 },
}

union Bits {
    whole: u32,
    halves: [u16; 2],
}

trait Weapon {
    fn damage(&self) -> u32;
}

struct Sword(u32);

impl Weapon for Sword {
    fn damage(&self) -> u32 {
        self.0
    }
}

struct World {
    players: Vec<Player>,
    weapons: Vec<Box<dyn Weapon + Send>>,
}

static WORLD: Mutex<World> = Mutex::new(World { players: Vec::new(), weapons: Vec::new() });
static LIMIT: u32 = 3;

#[hot]
fn join(world: &mut World, name: &str) -> usize {
    let stance = if name.len() > 2 { Stance::Running { speed: 1 } } else { Stance::Standing };
    world.players.push(Player { health: 10, name: name.to_string(), stance });
    world.weapons.push(Box::new(Sword(LIMIT)));
    world.players.len()
}

#[hot]
fn show(world: &World) -> String {
    let players = world.players.iter().zip(&world.weapons).map(|(player, weapon)| {
        let speed = match player.stance {
            Stance::Standing => 0,
            Stance::Running { speed } => speed,
        };
        let bits = Bits { whole: player.health };
        // SAFETY: both fields are plain numbers.
        let low = unsafe { bits.halves[0] };
        format!("{} {low} {speed} {}", player.name, weapon.damage())
    });
    players.collect::<Vec<_>>().join(", ")
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let mut world = WORLD.lock().expect("unpoisoned");
        println!("{} {}", join(&mut world, &line), show(&world));
    }
}

#[expect(dead_code, reason = "it may hold a value")]
static BITS: Mutex<Bits> = Mutex::new(Bits { whole: 0 });
