//! Values made by one generation and used by the next: heap, `Any`, trait objects, closures, function pointers.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::rc::Rc;

use hotpatch_rt::hot;

#[derive(Clone, Debug, PartialEq)]
struct Secret {
    value: u32,
}

trait Animal {
    fn sound(&self) -> String;
    fn age(&mut self) -> u32;
}

struct Dog {
    years: u32,
}

impl Animal for Dog {
    #[hot]
    fn sound(&self) -> String {
        format!("woof {}", self.years)
    }

    fn age(&mut self) -> u32 {
        self.years += 1;
        self.years
    }
}

struct Cat;

impl Animal for Cat {
    fn sound(&self) -> String {
        "meow".to_string()
    }

    fn age(&mut self) -> u32 {
        9
    }
}

struct State {
    any: Vec<Box<dyn Any>>,
    animals: Vec<Box<dyn Animal>>,
    calls: Vec<Box<dyn FnMut(u32) -> u32>>,
    map: HashMap<String, Rc<Secret>>,
}

#[hot]
fn fill(state: &mut State) -> String {
    let value = state.any.len() as u32;
    state.any.push(Box::new(Secret { value }));
    state.animals.push(Box::new(Dog { years: value }));
    state.animals.push(Box::new(Cat));
    let mut total = 0;
    state.calls.push(Box::new(move |by| {
        total += by;
        total
    }));
    let shared = Rc::new(Secret { value });
    state.map.insert(format!("key {value}"), shared.clone());
    format!("{} values", state.any.len())
}

#[hot]
fn downcast(state: &State) -> String {
    let values = state.any.iter().filter_map(|any| any.downcast_ref::<Secret>());
    let values: Vec<String> = values.map(|secret| secret.value.to_string()).collect();
    format!("{} of {}", values.join(","), state.any.len())
}

#[hot]
fn listen(state: &mut State) -> String {
    let sounds: Vec<String> = state.animals.iter().map(|animal| animal.sound()).collect();
    let ages: Vec<u32> = state.animals.iter_mut().map(|animal| animal.age()).collect();
    format!("{} {ages:?}", sounds.join(","))
}

#[hot]
fn call(state: &mut State) -> String {
    let results: Vec<u32> = state.calls.iter_mut().map(|call| call(5)).collect();
    format!("{results:?}")
}

#[hot]
fn hot_type_ids() -> [TypeId; 3] {
    [
        TypeId::of::<Secret>(),
        TypeId::of::<Box<dyn Animal>>(),
        TypeId::of::<HashMap<String, Secret>>(),
    ]
}

fn base_type_ids() -> [TypeId; 3] {
    [
        TypeId::of::<Secret>(),
        TypeId::of::<Box<dyn Animal>>(),
        TypeId::of::<HashMap<String, Secret>>(),
    ]
}

fn downcast_in_base(state: &State) -> usize {
    state.any.iter().filter(|any| any.is::<Secret>()).count()
}

#[hot]
fn look_up(state: &State) -> String {
    let mut found: Vec<String> =
        state.map.iter().map(|(key, secret)| format!("{key}: {}", secret.value)).collect();
    found.sort();
    found.join(", ")
}

fn main() {
    let mut state = State {
        any: vec![Box::new("text")],
        animals: Vec::new(),
        calls: Vec::new(),
        map: HashMap::new(),
    };
    for line in std::io::stdin().lines() {
        let reply = match line.expect("a line").as_str() {
            "fill" => fill(&mut state),
            "downcast" => format!("{}, base {}", downcast(&state), downcast_in_base(&state)),
            "listen" => listen(&mut state),
            "call" => call(&mut state),
            "ids" => (hot_type_ids() == base_type_ids()).to_string(),
            "look up" => look_up(&state),
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
