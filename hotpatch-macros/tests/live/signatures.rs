// editions: 2018 2021 2024
//! Signatures of many kinds, in a crate that allows neither unsafe code nor warnings.

#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    unused_qualifications,
    unreachable_pub,
    clippy::all
)]

use hotpatch_rt::hot;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Debug, Display};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

#[hot]
fn nothing() {}

#[hot]
fn elided(text: &str) -> &str {
    text.trim()
}

#[hot]
fn named<'a, 'b: 'a>(left: &'a str, right: &'b str) -> &'a str {
    if left.len() > right.len() {
        left
    } else {
        right
    }
}

#[hot]
fn boxed<'a>(text: &'a str) -> Box<dyn Display + 'a> {
    Box::new(text)
}

#[hot]
fn boxed_elided(text: &str) -> Box<dyn Display + '_> {
    Box::new(text)
}

#[hot]
fn coerced(n: u32) -> Box<dyn Debug> {
    Box::new(n)
}

#[hot]
fn callback(f: &dyn Fn(&str) -> usize, g: fn(&u32) -> &u32, n: &u32) -> usize {
    f("four") + *g(n) as usize
}

#[hot]
fn mutates(list: &mut Vec<u32>, n: u32) -> Option<&mut u32> {
    list.push(n);
    list.last_mut()
}

#[hot]
fn early(n: Result<u32, String>) -> Result<u32, String> {
    let n = n?;
    if n == 0 {
        return Err("zero".to_owned());
    }
    Ok(n)
}

#[hot]
fn patterns(
    &(a, ref b): &(u32, String),
    [c, .., d]: [u32; 4],
    _: u32,
    whole @ Pair(e, _): Pair,
) -> u32 {
    a + b.len() as u32 + c + d + e + whole.1
}

#[hot]
fn mutable(mut n: u32, mut list: Vec<u32>) -> Vec<u32> {
    n += 1;
    list.push(n);
    list
}

#[hot]
fn wild(_: &str, _unused: u32, (_, n): (u32, u32), mut m: u32, _: &Pair) -> u32 {
    m += n;
    m
}

#[hot]
fn recursive(n: u32) -> u32 {
    if n == 0 { 0 } else { n + recursive(n - 1) }
}

#[hot]
fn labels(n: u32) -> u32 {
    'outer: loop {
        for i in 0.. {
            if i == n {
                break 'outer i;
            }
        }
    }
}

#[hot]
fn nested(n: u32) -> u32 {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(5);
    #[hot]
    fn inner(n: u32) -> u32 {
        n * COUNT.load(std::sync::atomic::Ordering::Relaxed)
    }
    inner(n)
}

#[hot]
fn inner_attribute(n: u32) -> u32 {
    #![allow(unused_variables)]
    let unused = 1;
    n
}

#[hot]
#[inline]
#[must_use]
/// Documented behind the attribute.
pub fn attributes(#[allow(unused_variables)] n: u32) -> u32 {
    7
}

#[hot]
extern "C" fn c_abi(n: u32) -> u32 {
    n
}

#[hot]
fn where_clause<'a>(text: Cow<'a, str>) -> String
where
    Cow<'a, str>: Display,
{
    text.to_string()
}

#[hot]
fn shadowing(option: Option<u32>) -> Option<u32> {
    #[derive(PartialEq)]
    enum Option {
        Some,
    }
    assert!(Option::Some == Option::Some);
    option
}

#[hot]
fn diverges() -> ! {
    std::process::exit(0)
}

#[hot]
fn diverges_with(code: i32) -> ! {
    loop {
        std::process::exit(code)
    }
}

#[hot]
fn tuple_of_functions() -> (fn(u32) -> u32, [Option<Box<dyn Fn(u32) -> u32 + Send>>; 1]) {
    (recursive, [Some(Box::new(|n| n + 1))])
}

macro_rules! made_by_macro {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($arg:ident: $ty:ty) -> $output:ty $body:block) => {
        $(#[$meta])*
        $vis fn $name($arg: $ty) -> $output $body
    };
}

made_by_macro! {
    #[hot]
    pub(crate) fn from_macro(n: u64) -> u64 { n + 1 }
}

#[derive(Clone, Debug)]
struct Pair(u32, u32);

struct Holder<'a> {
    text: &'a str,
    map: HashMap<&'a str, u32>,
}

impl<'a> Holder<'a> {
    const ONE: u32 = 1;

    #[hot]
    fn new(text: &'a str) -> Self {
        Self {
            text,
            map: HashMap::new(),
        }
    }

    #[hot]
    fn get(&self) -> &'a str {
        self.text
    }

    #[hot]
    fn entry(&mut self, key: &'a str) -> &mut u32 {
        self.map.entry(key).or_insert(Self::ONE)
    }

    #[hot]
    fn find(&mut self, key: &str) -> Option<&mut u32> {
        if self.map.is_empty() {
            return None;
        }
        self.map.get_mut(key)
    }

    #[hot]
    fn iter(&self) -> Box<dyn Iterator<Item = &u32> + '_> {
        Box::new(self.map.values())
    }

    #[hot]
    fn by_value(mut self) -> HashMap<&'a str, u32> {
        self.map.insert("more", 9);
        self.map
    }

    #[hot]
    fn destructured(&mut self, (a, b): (u32, u32), mut n: u32) -> bool {
        n += a;
        self.map.insert("n", n);
        n > b
    }
}

struct Plain(u32);

impl Plain {
    #[hot]
    fn pinned(self: Pin<&mut Self>) -> u32 {
        self.0
    }

    #[hot]
    fn boxed(self: Box<Self>) -> u32 {
        self.0
    }

    #[hot]
    fn counted(self: Rc<Self>, other: &Arc<Self>) -> u32 {
        self.0 + other.0
    }

    #[hot]
    fn explicit(self: &Self) -> &u32 {
        &self.0
    }

    #[hot]
    pub(crate) fn associated(n: u32) -> Self
    where
        Self: Sized,
    {
        Self(n)
    }
}

impl Display for Plain {
    #[hot]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

impl Iterator for Plain {
    type Item = u32;

    #[hot]
    fn next(&mut self) -> Option<Self::Item> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.0)
    }
}

impl Drop for Plain {
    #[hot]
    fn drop(&mut self) {
        println!("drop {}", self.0);
    }
}

#[hot]
fn main() {
    nothing();
    println!("{} {}", elided(" a "), named("b", "cc"));
    println!("{} {} {:?}", boxed("d"), boxed_elided("e"), coerced(1));
    println!("{}", callback(&str::len, |n| n, &3));
    let mut list = vec![1];
    println!("{:?}", mutates(&mut list, 2));
    println!("{:?} {:?}", early(Ok(0)), early(Err("no".to_owned())));
    println!(
        "{}",
        patterns(&(1, "xy".to_owned()), [1, 2, 3, 4], 9, Pair(100, 1000))
    );
    println!(
        "{:?} {}",
        mutable(3, list),
        wild("", 1, (2, 3), 4, &Pair(0, 0))
    );
    println!(
        "{} {} {} {}",
        recursive(4),
        labels(6),
        nested(3),
        inner_attribute(8)
    );
    println!(
        "{} {} {}",
        attributes(1),
        c_abi(2),
        where_clause("w".into())
    );
    println!("{:?} {}", shadowing(Some(1)), from_macro(1));
    let (f, [g]) = tuple_of_functions();
    println!("{} {:?}", f(3), g.map(|g| g(1)));
    let mut holder = Holder::new("t");
    *holder.entry("k") += 4;
    println!("{} {:?}", holder.get(), holder.find("k"));
    println!("{:?}", holder.iter().count());
    println!(
        "{} {}",
        holder.destructured((1, 2), 3),
        holder.by_value().len()
    );
    println!("{}", Box::pin(Plain(1)).as_mut().pinned());
    println!(
        "{} {}",
        Box::new(Plain(2)).boxed(),
        Rc::new(Plain(3)).counted(&Arc::new(Plain(4)))
    );
    println!(
        "{} {} {}",
        Plain(5).explicit(),
        Plain::associated(6),
        Plain(7).sum::<u32>()
    );
    if list_is_short() {
        diverges();
    }
    diverges_with(1);
}

#[hot]
fn list_is_short() -> bool {
    true
}
