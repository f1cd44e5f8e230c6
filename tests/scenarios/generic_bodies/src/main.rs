//! Bodies of generic functions, of which the program has some instances.

use std::fmt::{self, Debug, Display};

#[derive(Debug, Clone, Copy)]
struct Metres(u32);

mod pairs {
    use std::fmt::{self, Debug, Display};

    pub struct Pair<'a, T: ?Sized> {
        first: &'a T,
        second: Vec<u32>,
    }

    impl<'a, T: Debug + ?Sized> Pair<'a, T> {
        pub fn of(first: &'a T) -> Self {
            Self { first, second: vec![1] }
        }

        pub fn report<U: Display>(&self, end: U) -> String {
            format!("{:?}+{}{end}", self.first, self.second.len())
        }
    }

    impl<T: Debug + ?Sized> Display for Pair<'_, T> {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(out, "[{:?}]", self.first)
        }
    }
}

fn twice<T: Debug>(value: T) -> String {
    format!("{value:?}{value:?}")
}

fn counted<T: Debug, const N: usize>(values: [T; N]) -> String {
    let all: Vec<String> = values.iter().map(|value| twice(value)).collect();
    format!("{N}:{}", all.join(","))
}

fn depth<T: Debug>(value: T, left: u32) -> String {
    match left {
        0 => format!("{value:?}"),
        _ => depth(value, left - 1),
    }
}

struct Meter;

impl Meter {
    fn read<T: Into<u32> + Copy>(&self, value: T) -> u32 {
        value.into() + 1
    }
}

struct Shown<T>(T);

impl<T: Debug> fmt::Display for Shown<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.0)
    }
}

fn each<T>(values: &[T], act: impl Fn(&T) -> String) -> String {
    values.iter().map(act).collect()
}

fn apply<T, F: Fn(&T) -> String>(value: &T, act: F) -> String {
    act(value)
}

fn answer(text: &str) -> String {
    match text {
        "free" => format!("{} {} {}", twice(1u8), twice("a"), twice(Metres(2))),
        "const" => counted([1u8, 2]),
        "depth" => depth(Some(3u16), 2),
        "method" => format!("{} {}", Meter.read(1u8), Meter.read(2u16)),
        "impl" => pairs::Pair::of("b").report('!'),
        "trait" => format!("{} {}", pairs::Pair::of(&Metres(4)), Shown(String::from("c"))),
        "impl-trait" => each(&[1, 2], |value| format!("{value};")),
        _ => apply(&5, |value| format!("{value}")),
    }
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.unwrap()));
    }
}
