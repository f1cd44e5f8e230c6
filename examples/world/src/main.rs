//! A world of bevy without a window, whose systems can be edited while it lives: bodies, parameters, filters, and which there are.
//!
//! Start it with `cargo hotpatch run -p world`; each line of its input is a command, Enter alone is a tick. Bodies are live by
//! themselves. Systems with other parameters, and others in the schedule, are values that `systems` made when the program
//! began: the schedule is made anew after each patch and put in the place of the old one. Entities, components and resources
//! stay what they are; what a system keeps in a `Local` begins anew.

use std::io::BufRead;
use std::sync::atomic::{AtomicBool, Ordering};

use bevy_app::prelude::*;
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::Schedules;

#[derive(Component)]
struct Position(f32);

#[derive(Component)]
struct Speed(f32);

/// Who does not move.
#[derive(Component)]
struct Asleep;

#[derive(Resource, Default)]
struct Ticks(u64);

/// Edit me.
fn systems(app: &mut App) {
    app.add_systems(Update, (count, walk).chain());
}

fn count(mut ticks: ResMut<Ticks>) {
    ticks.0 += 1;
}

fn walk(mut walkers: Query<(&mut Position, &Speed)>) {
    for (mut position, speed) in &mut walkers {
        position.0 += speed.0;
    }
}

/// Not in the schedule yet.
#[allow(dead_code)]
fn tire(mut walkers: Query<&mut Speed>) {
    for mut speed in &mut walkers {
        speed.0 /= 2.0;
    }
}

/// The adapter: after a patch, before the next tick.
static IS_PATCHED: AtomicBool = AtomicBool::new(false);

fn follow_patches(app: &mut App) {
    if !IS_PATCHED.swap(false, Ordering::Relaxed) {
        return;
    }
    let mut fresh = App::new();
    systems(&mut fresh);
    let mut schedules = fresh.world_mut().resource_mut::<Schedules>();
    if let Some(update) = schedules.remove(Update) {
        app.world_mut().resource_mut::<Schedules>().insert(update);
    }
}

/// Whether the next tick is the first one after a patch.
fn patched() -> &'static str {
    match IS_PATCHED.load(Ordering::Relaxed) {
        true => "patched",
        false => "as it was",
    }
}

fn show(world: &mut World) {
    let ticks = world.resource::<Ticks>().0;
    let mut positions = world.query::<(Entity, &Position)>();
    let positions: Vec<String> = positions
        .iter(world)
        .map(|(entity, position)| format!("{entity} at {}", position.0))
        .collect();
    println!("tick {ticks}: {}", positions.join(", "));
}

fn main() {
    let _hook = hotpatch_rt::on_patch(|_| IS_PATCHED.store(true, Ordering::Relaxed));
    let mut app = App::new();
    app.init_resource::<Ticks>();
    systems(&mut app);
    app.world_mut().spawn((Position(0.0), Speed(1.0)));
    app.world_mut().spawn((Position(10.0), Speed(1.0), Asleep));
    for line in std::io::stdin().lock().lines() {
        match line.expect("a line").as_str() {
            "" => {
                follow_patches(&mut app);
                app.update();
                show(app.world_mut());
            }
            "patched?" => println!("{}", patched()),
            other => println!("no command: {other}"),
        }
    }
}
