//! Edits of which a value that is alive, or code that stays, sees more than the edited line tells.

use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use hotpatch_rt::hot;

use crate::types as t;

#[path = "counter.rs"]
mod first;
#[path = "counter.rs"]
mod second;

mod types {
    pub use crate::points::one::Point;
}

mod points {
    pub mod one {
        #[derive(Debug, Default, Clone, Copy)]
        pub struct Point {
            pub x: u8,
        }
    }
    pub mod two {
        #[derive(Debug, Default, Clone, Copy)]
        pub struct Point {
            pub x: u64,
        }
    }
}

static POINTS: Mutex<Vec<t::Point>> = Mutex::new(Vec::new());
static FORMS: Mutex<Vec<forms::Form>> = Mutex::new(Vec::new());

const fn lanes() -> usize {
    4
}

const fn slots() -> usize {
    lanes() * 2
}

static SLOTS: [AtomicU32; slots()] = [const { AtomicU32::new(0) }; slots()];

struct Sizes;

impl Sizes {
    const fn rows(&self) -> usize {
        3
    }

    const fn cells(&self) -> usize {
        self.rows() * 2
    }
}

static CELLS: [AtomicU32; Sizes.cells()] = [const { AtomicU32::new(0) }; Sizes.cells()];

struct Header {
    tag: u8,
}

const fn header() -> usize {
    size_of::<Header>()
}

static BYTES: Mutex<[u8; header()]> = Mutex::new([0; header()]);

#[derive(Debug, Default)]
struct Playing {
    score: u32,
}

#[derive(Debug, Default)]
struct Game<S> {
    state: S,
}

impl Game<Playing> {
    #[hot]
    fn play(&mut self) -> String {
        self.state.score += 1;
        format!("{}", self.state.score)
    }
}

const RULES: [fn(u32) -> u32; 2] = [|x| x + 1, |x| x * 2];

struct Area(u32);

const _: () = {
    impl Area {
        fn area(&self) -> u32 {
            self.0 * 2
        }
    }
};

fn prepare() -> u32 {
    impl Area {
        fn edge(&self) -> u32 {
            self.0 * 4
        }
    }
    1
}

mod ids {
    pub struct Item;

    #[expect(dead_code, reason = "a private namesake of the trait's")]
    impl Item {
        const ID: u32 = 1;
    }

    impl crate::HasId for Item {
        const ID: u32 = 2;
    }

    pub struct Secret {
        hidden: u32,
        pub shown: u32,
    }

    pub fn secret() -> Secret {
        let secret = Secret { hidden: 1, shown: 2 };
        Secret { hidden: secret.hidden, ..secret }
    }
}

trait HasId {
    const ID: u32;
}

mod users {
    use crate::HasId;

    pub fn id() -> String {
        format!("id {}", crate::ids::Item::ID)
    }
}

fn secret() -> u32 {
    ids::secret().shown
}

fn sums(all: &[AtomicU32]) -> u32 {
    all.iter().map(|one| one.fetch_add(1, Ordering::Relaxed)).sum()
}

fn shown(value: impl Debug) -> String {
    format!("{value:?}")
}

#[hot]
fn answer(line: &str) -> String {
    match line {
        "points" => {
            let mut points = POINTS.lock().expect("points");
            points.push(t::Point::default());
            shown(points.len())
        }
        "forms" => {
            let mut forms = FORMS.lock().expect("forms");
            forms.push(forms::Form::default());
            shown(forms.len())
        }
        "slots" => shown((SLOTS.len(), sums(&SLOTS), CELLS.len(), sums(&CELLS))),
        "bytes" => shown((BYTES.lock().expect("bytes").len(), Header { tag: 1 }.tag)),
        "rules" => shown(RULES.map(|rule| rule(10))),
        "area" => shown((Area(prepare()).area(), Area(1).edge())),
        "id" => users::id(),
        "secret" => shown(secret()),
        "count" => shown((first::next(), second::next())),
        _ => line.to_owned(),
    }
}

fn main() {
    let mut game = Game::<Playing>::default();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        if line == "play" {
            println!("{}", game.play());
        } else {
            println!("{}", answer(&line));
        }
    }
}
