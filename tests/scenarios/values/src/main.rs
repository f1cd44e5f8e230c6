//! Constants, `const fn`s, macros and initial values.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use hotpatch_rt::hot;

const FACTOR: u32 = 2;

struct Limits;

impl Limits {
    const MOST: u32 = 100;
}

const fn constant(value: u32) -> u32 {
    value + 1
}

macro_rules! scaled {
    ($value:expr) => {
        $value * FACTOR
    };
}

static STEP: AtomicU32 = AtomicU32::new(1);

const DOUBLE: u32 = FACTOR * 2;

trait Extra {
    const EXTRA: u32 = 1;
}

impl Extra for Limits {
    const EXTRA: u32 = 0;
}

fn extra<T: Extra>() -> u32 {
    T::EXTRA
}

const SIDE: usize = 2;

struct Board {
    cells: [u8; SIDE],
}

struct Size(usize);

impl Size {
    const fn more(&self) -> usize {
        self.0 + 1
    }
}

const LENGTH: usize = Size(1).more();

struct Row([u8; LENGTH]);

macro_rules! number {
    ($name:ident) => {
        pub struct $name(pub u32);
    };
}

number!(Number);

static BOARD: Mutex<Board> = Mutex::new(Board { cells: [0; SIDE] });
static ROW: Mutex<Row> = Mutex::new(Row([0; LENGTH]));
static NUMBER: Mutex<Number> = Mutex::new(Number(0));

#[hot]
fn answer(value: u32) -> String {
    let row = ROW.lock().expect("a lock").0.len() as u32;
    let number = NUMBER.lock().expect("a lock").0;
    let value = constant(scaled!(value)).min(Limits::MOST) + STEP.load(Ordering::Relaxed);
    let value = value + extra::<Limits>() + number + row - 2;
    format!("{value} {} {:?}", DOUBLE / 2, BOARD.lock().expect("a lock").cells)
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(line.expect("a line").parse().expect("a number")));
    }
}
