//! One tick of the program.

use hotpatch_rt::hot;

//@each uses
use $path$;
//@end

/// Moves `world` on by one tick; the benchmark edits the marker while the program runs.
#[hot]
pub fn step(world: &mut World) -> u64 {
    let marker: u64 = 1000;
    world.ticks += 1;
    let seed = world.ticks % 1_000;
    let mut store: $Store$<u64, $Record$> = $Store$::with_limit(8);
    for offset in 0..4 {
        let mut record = $Record$::new(seed + offset);
        if let Some(other) = store.get(&(seed / 2)) {
            record.merge(other);
        }
        store.insert(seed / 2 + offset, record);
    }
    let costs = store.map_values(|record| record.score() % 97);
    let items: Vec<Box<dyn $Trait$>> = $all$(seed);
    let cost = items.iter().map(|item| item.gross()).fold(seed, mix);
    let label = match (store.best_by($Record$::score), cost % 3) {
        (Some(record), 0) => format!("{record}"),
        (Some(record), _) => format!("{record:?}"),
        (None, _) => String::new(),
    };
    let dearest = costs.best_by(|&cost| cost).copied().unwrap_or_default();
    world.remember(mix(cost ^ dearest, label.len() as u64));
    let drift = world
        .history
        .iter()
        .copied()
        .filter(|value| value % 2 == 0)
        .max();
    world.drift = world.drift.max(drift.unwrap_or(marker));
    marker
}
