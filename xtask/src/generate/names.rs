//! The words of the generated crate, and type and function names that are never given out twice.

use super::rng::Rng;

pub const AREAS: &[&str] = &[
    "billing", "catalog", "network", "storage", "planner", "reports", "signals", "terrain",
    "travel", "weather",
];

pub const FOLDERS: &[&str] = &[
    "access", "batch", "cache", "draft", "engine", "forms", "gauge", "history", "intake", "journal",
];

pub const FILES: &[&str] = &[
    "anchor", "border", "chain", "depot", "entry", "filter", "grid", "index", "ledger", "mesh",
    "notes", "order",
];

pub const WORDS: &[&str] = &[
    "apple", "brick", "cedar", "delta", "ember", "fjord", "grain", "hazel", "ivory", "jolly",
    "karst", "lemon", "maple", "north", "ocean", "pearl", "quilt", "river", "stone", "tulip",
    "umber", "vivid", "wheat", "yacht", "zebra",
];

const ADJECTIVES: &[&str] = &[
    "able", "acid", "airy", "arid", "bold", "brief", "broad", "calm", "cold", "cool", "crisp",
    "dark", "deep", "dense", "dry", "dual", "early", "easy", "even", "fair", "fast", "final",
    "firm", "fixed", "flat", "free", "fresh", "full", "gray", "great", "green", "half", "hard",
    "high", "inner", "keen", "large", "late", "lean", "level", "light", "live", "local", "long",
    "loose", "low", "main", "major", "mild", "minor", "near", "new", "odd", "old", "open", "outer",
    "pale", "plain", "prime", "quick", "quiet", "rapid", "rare", "raw", "rich", "round", "safe",
    "sharp", "short", "slow", "small", "soft", "solid", "steep", "thin", "upper", "vast", "warm",
    "wide", "young",
];

const NOUNS: &[&str] = &[
    "area", "atlas", "badge", "band", "basin", "batch", "beam", "block", "board", "bond", "bridge",
    "cable", "card", "chart", "clock", "cloud", "coast", "crate", "crew", "curve", "deck", "depot",
    "dock", "draft", "drum", "edge", "fence", "field", "flag", "fleet", "forge", "frame", "gate",
    "gear", "graph", "group", "guard", "guide", "hall", "hinge", "label", "lane", "layer", "lever",
    "limit", "link", "lock", "mast", "meter", "mill", "model", "node", "paper", "patch", "phase",
    "pilot", "plant", "plate", "port", "pump", "queue", "rack", "rail", "range", "reel", "route",
    "scale", "shelf", "shift", "slab", "spool", "stage", "stock", "table", "tank", "tower",
    "track", "truck", "valve", "wheel",
];

/// One name in its three spellings.
#[derive(Debug, Clone)]
pub struct Name {
    pub adjective: &'static str,
    pub noun: &'static str,
    number: Option<usize>,
}

impl Name {
    /// `BoldFrame`
    pub fn camel(&self) -> String {
        let number = self.number.map(|number| number.to_string());
        let adjective = capitalised(self.adjective);
        format!(
            "{adjective}{}{}",
            capitalised(self.noun),
            number.unwrap_or_default()
        )
    }

    /// `bold_frame`
    pub fn snake(&self) -> String {
        let number = self.number.map(|number| format!("_{number}"));
        format!(
            "{}_{}{}",
            self.adjective,
            self.noun,
            number.unwrap_or_default()
        )
    }
}

pub fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// The item's own name at the end of `path`.
pub fn last_part(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// Gives out names in random order.
#[derive(Debug)]
pub struct Names {
    left: Vec<(&'static str, &'static str)>,
    rounds: usize,
}

impl Names {
    pub fn new(rng: &mut Rng) -> Self {
        let mut names = Self {
            left: Vec::new(),
            rounds: 0,
        };
        names.refill(rng);
        names
    }

    fn refill(&mut self, rng: &mut Rng) {
        let nouns = |adjective| NOUNS.iter().map(move |noun| (adjective, *noun));
        self.left = ADJECTIVES
            .iter()
            .flat_map(|adjective| nouns(*adjective))
            .collect();
        rng.shuffle(&mut self.left);
        self.rounds += 1;
    }

    pub fn draw(&mut self, rng: &mut Rng) -> Name {
        if self.left.is_empty() {
            self.refill(rng);
        }
        let (adjective, noun) = self.left.pop().expect("invariant: a refill gives names");
        let number = (self.rounds > 1).then_some(self.rounds);
        Name {
            adjective,
            noun,
            number,
        }
    }
}
