//! Types and traits that may change, since no value of them outlives a call, and some that may not.

use std::any::Any;
use std::sync::Mutex;

use hotpatch_rt::hot;

#[derive(Clone, Debug, PartialEq)]
struct Report {
    lines: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Short,
    Long(u8),
}

impl Report {
    fn new(lines: u32) -> Self {
        let kind = if lines < 3 { Kind::Short } else { Kind::Long(1) };
        Self { lines, kind }
    }

    fn text(self) -> String {
        format!("{} {:?}", self.lines, self.kind)
    }
}

fn all(upto: u32) -> Vec<Report> {
    (0..upto).map(Report::new).collect()
}

trait Measure {
    fn size(&self) -> usize;
}

impl Measure for Report {
    fn size(&self) -> usize {
        self.lines as usize
    }
}

fn sizes<T: Measure>(all: &[T]) -> usize {
    all.iter().map(T::size).sum()
}

#[hot]
fn report(upto: u32) -> String {
    let all = all(upto);
    let size = sizes(&all);
    let texts: Vec<String> = all.iter().cloned().map(Report::text).collect();
    format!("{size} {} {}", texts.join(","), all.first() == all.last())
}

struct World {
    seen: u32,
    last: Option<Seen>,
}

struct Seen {
    at: u32,
}

static WORLD: Mutex<World> = Mutex::new(World { seen: 0, last: None });

#[hot]
fn see(world: &mut World) -> u32 {
    world.seen += 1;
    world.last = Some(Seen { at: world.seen });
    world.last.as_ref().map_or(0, |seen| seen.at)
}

struct Parcel {
    weight: u32,
}

static BOX: Mutex<Option<Box<dyn Any + Send>>> = Mutex::new(None);

#[hot]
fn pack(weight: u32) -> u32 {
    let mut slot = BOX.lock().expect("a lock");
    let old = slot.replace(Box::new(Parcel { weight }));
    old.and_then(|old| old.downcast_ref::<Parcel>().map(|parcel| parcel.weight)).unwrap_or(0)
}

trait Speak {
    fn word(&self) -> String;
    fn length(&self) -> usize;
}

struct Cat;

impl Speak for Cat {
    fn word(&self) -> String {
        "meow".to_owned()
    }

    fn length(&self) -> usize {
        4
    }
}

#[hot]
fn speak() -> String {
    let all: Vec<Box<dyn Speak>> = vec![Box::new(Cat)];
    all.iter().map(|one| one.word()[..one.length()].to_owned()).collect()
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("report", upto) => println!("{}", report(upto.parse().expect("a number"))),
            ("see", _) => println!("{}", see(&mut WORLD.lock().expect("a lock"))),
            ("pack", weight) => println!("{}", pack(weight.parse().expect("a number"))),
            ("speak", _) => println!("{}", speak()),
            _ => {}
        }
    }
}
