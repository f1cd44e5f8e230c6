// editions: 2018 2021 2024
//! Blocks that are hot as a whole, and generic functions.

use hotpatch_rt::hot;

#[hot]
fn largest<T: Ord + Copy, const N: usize>(items: &[T; N]) -> Option<T> {
    items.iter().copied().max()
}

#[hot]
fn shown(what: impl std::fmt::Display, mut times: usize) -> String {
    times += 1;
    what.to_string().repeat(times)
}

#[derive(Default)]
struct Stack<T> {
    items: Vec<T>,
}

#[hot]
impl<T: Clone> Stack<T> {
    const ROOM: usize = 2;

    fn push(&mut self, item: T) -> Result<(), T> {
        if self.items.len() == Self::ROOM {
            return Err(item);
        }
        self.items.push(item);
        Ok(())
    }

    const fn room() -> usize {
        Self::ROOM
    }

    fn all(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    #[hot(skip)]
    fn top(&self) -> Option<T> {
        self.items.last().cloned()
    }
}

#[hot]
trait Greets {
    fn name(&self) -> String;

    fn greeting(&self) -> String {
        format!("hello, {}", self.name())
    }
}

#[hot]
impl Greets for u8 {
    fn name(&self) -> String {
        format!("number {self}")
    }
}

#[hot]
mod inner {
    use std::fmt::Write;

    pub fn lines(of: &[&str]) -> String {
        let mut text = String::new();
        for line in of {
            add(&mut text, line);
        }
        text
    }

    fn add(text: &mut String, line: &str) {
        let _ = write!(text, "[{line}]");
    }

    pub struct Deep(pub u32);

    impl Deep {
        pub fn doubled(&self) -> u32 {
            self.0 * 2
        }
    }
}

fn main() {
    println!("{:?} {:?}", largest(&[1, 3, 2]), largest::<u8, 0>(&[]));
    println!("{} {}", shown("a", 1), shown(7, 2));
    let mut stack = Stack::default();
    let full = [stack.push("x"), stack.push("y"), stack.push("z")];
    println!("{full:?} {:?} {}", stack.top(), Stack::<u8>::room());
    println!("{:?}", stack.all().collect::<Vec<_>>());
    println!("{}", 3.greeting());
    println!("{} {}", inner::lines(&["a", "b"]), inner::Deep(4).doubled());
}
