/// Joins $adjective$ parts of other modules.
#[derive(Debug, Clone)]
pub struct $Type$ {
    left: $Left$,
    right: Option<$Right$>,
    weight: u64,
}

impl $Type$ {
    pub fn new(seed: u64) -> Self {
        let left = $Left$::new(seed % $num$);
        let right = left.is_sound().then(|| $Right$::new(seed / $num$));
        Self {
            left,
            right,
            weight: seed % $small$,
        }
    }

    pub fn score(&self) -> u64 {
        let right = self.right.as_ref().map_or($num$, $Right$::score);
        mix(self.left.score(), right).rotate_left(self.weight as u32)
    }
}

impl $Trait$ for $Type$ {
    fn title(&self) -> String {
        match &self.right {
            Some(right) => format!("{} and {right}", self.left),
            None => self.left.to_string(),
        }
    }

    fn cost(&self) -> u64 {
        self.score() % $num$00
    }
}

impl $Trait$ for $Right$ {
    fn title(&self) -> String {
        format!("$word$ {}", self.id)
    }

    fn cost(&self) -> u64 {
        self.id % $num$ + $small$
    }

    fn tax(&self) -> u64 {
        $small$
    }
}

fn $func$_stored(seed: u64) -> $Store$<u64, $Type$> {
    let mut store = $Store$::with_limit($small$);
    for offset in 0..$small$ {
        let bridge = $Type$::new(seed % 1_000 + offset);
        if let Some(previous) = store.insert(offset / 2, bridge) {
            store.insert(previous.score(), previous);
        }
    }
    store
}

fn $func$_cheapest(items: &[&dyn $Trait$]) -> Option<String> {
    let item = items.iter().min_by_key(|item| item.gross())?;
    Some(item.describe())
}

fn $func$_total(seed: u64) -> u64 {
    let store = $func$_stored(seed);
    let names: $Store$<u64, String> = store.map_values(|bridge| bridge.describe());
    let scores: $Store$<String, $Left$> = store
        .iter()
        .map(|(_, bridge)| (bridge.title(), bridge.left.clone()))
        .collect();
    let bridge = $Type$::new(seed);
    let record = $Right$::new(seed % $num$);
    let cheapest = $func$_cheapest(&[&bridge, &record]).unwrap_or_default();
    let best = match scores.best_by($Left$::score) {
        Some(left) => left.id,
        None => seed,
    };
    mix(best, (cheapest.len() + names.len()) as u64)
}
