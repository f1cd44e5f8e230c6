//! Which types an edit changed, and what mentions one of them.
//!
//! A type changed if its layout is another. So did each type that has one of those in it or points to one, for who
//! follows it gets there. Most do so by name: `Vec<app::A>` mentions `app::A`. Only the others have to be kept
//! beside those that differ themselves, and are searched for in names of types and in symbols.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::facts::{Facts, FunctionFacts};
use super::mentions::{Needles, is_box_of_a_future, is_std, key, mentions, without_boxed, words};
use crate::image::layouts::{Kind, Layout, Layouts, differing, last};

/// The types that an edit changed.
#[derive(Debug, Clone, Default)]
pub struct ChangedTypes {
    roots: Vec<String>,
    needles: Needles,
}

impl ChangedTypes {
    /// Compares what is known of types before and after an edit. A type of which only one side knows did not change.
    /// `traits` are those of which vtables have another shape: everything that holds a `dyn` of one changed.
    /// `environments` are types of what closures captured that [`changed_environments`] found to differ.
    #[must_use]
    pub fn between(
        old: &Layouts,
        new: &Layouts,
        traits: &BTreeSet<String>,
        environments: &BTreeSet<String>,
    ) -> Self {
        let mut traits = traits.clone();
        let mut differ: BTreeSet<&str> = environments.iter().map(String::as_str).collect();
        for (path, layout) in new.iter() {
            let Some(known) = old.first(path) else {
                continue;
            };
            if is_same(old, new, path) {
                continue;
            }
            let is_vtable = path.ends_with("::{vtable_type}");
            match trait_of_vtable(path).filter(|_| is_vtable) {
                Some(of) => {
                    if !is_std(of) {
                        traits.insert(of.to_owned());
                    }
                }
                // What differs of a wide pointer is the number of entries in the vtable.
                None => match trait_of_pointer(path, known, layout) {
                    Some(of) => {
                        traits.insert(of);
                    }
                    None => {
                        differ.insert(path);
                    }
                },
            }
        }
        let mut roots: Vec<String> = Vec::new();
        for found in differing(old, new) {
            let is_known = differ.contains(found.ty.as_str())
                || found.member.is_some() && differ.iter().any(|path| is_in(path, &found.ty));
            // The states of an `async` block are types of their own as well.
            let whole = found.ty.rsplit_once("::").map(|(whole, _)| whole);
            let ty = whole.filter(|whole| differ.contains(whole));
            let ty = ty.unwrap_or(&found.ty);
            if is_known && !roots.iter().any(|root| root == ty) {
                roots.push(ty.to_owned());
            }
        }
        let objects = traits.iter().map(|of| format!("dyn {of}"));
        roots.extend(objects.collect::<Vec<_>>());
        // Not all that differs can be told in words.
        for path in &differ {
            if !roots.iter().any(|root| is_in(path, root)) {
                roots.push((*path).to_owned());
            }
        }
        let needles = closure(old, new, &roots);
        Self { roots, needles }
    }

    /// Whether no type changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// The types that differ themselves, those nearest to the cause first.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.roots.iter().map(String::as_str)
    }

    /// The last names of the types that differ, and of those that lead to one without saying so.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.needles.words()
    }

    /// Whether a type is one of them or mentions one.
    #[must_use]
    pub fn mentioned_in(&self, type_name: &str) -> bool {
        self.needles.are_in_type(type_name)
    }

    /// The same, but what closures captured and the states of futures are not looked for in types of functions. One that is
    /// known by its item has no value: calling it makes what the newest code of it makes.
    #[must_use]
    pub fn mentioned_beside_functions(&self, type_name: &str) -> bool {
        self.needles.are_in_type_beside_functions(type_name)
    }

    /// The traits of which a method in these vtables takes or returns one of them, beside what it is called on. A
    /// `dyn` of such a trait changed as well: older values have the older method in their vtables. Compare again
    /// with these among the traits until there are no more.
    #[must_use]
    pub fn traits_about<'a>(
        &self,
        vtables: &BTreeMap<String, Vec<String>>,
        function: impl Fn(&str) -> Option<&'a FunctionFacts>,
    ) -> BTreeSet<String> {
        let is_about = |facts: &FunctionFacts| {
            let signature = facts.signature.iter().enumerate();
            let mut others = signature.filter(|(index, _)| *index != 1);
            others.any(|(_, ty)| self.mentioned_in(ty))
        };
        let mut found = BTreeSet::new();
        for (path, slots) in vtables {
            let of = trait_of_vtable(path).filter(|of| !is_std(of) && !found.contains(*of));
            let mut methods = slots.iter().skip(1).filter_map(|slot| function(slot));
            if let Some(of) = of
                && methods.any(is_about)
            {
                found.insert(of.to_owned());
            }
        }
        found
    }

    /// Whether a symbol is of one of them or mentions one: of an instance of generic code, of an impl, or of a
    /// closure whose captured values changed.
    #[must_use]
    pub fn mentioned_in_symbol(&self, symbol: &str) -> bool {
        !self.is_empty() && {
            let mangled = symbol.split('.').next().unwrap_or_default();
            let text = format!("{:#}", rustc_demangle::demangle(mangled));
            self.needles.are_in_symbol(&text)
        }
    }
}

/// Whether a path means the same on both sides. Where it means several types, each side may know others of them.
fn is_same(old: &Layouts, new: &Layouts, path: &str) -> bool {
    let (old, new) = (old.all(path), new.all(path));
    old.clone().all(|was| new.clone().any(|is| was == is))
        && new.clone().all(|is| old.clone().any(|was| was == is))
}

/// Whether `path` is `root`, or a variant of it.
fn is_in(path: &str, root: &str) -> bool {
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The trait of `<T as Trait>::{vtable}`, without generic arguments.
fn trait_of_vtable(path: &str) -> Option<&str> {
    type_and_trait(path).map(|(_, of)| of)
}

/// Type and trait of `<T as Trait>::{vtable}` or of `<T as Trait>::method`, the trait without generic arguments.
#[must_use]
pub fn type_and_trait(path: &str) -> Option<(&str, &str)> {
    let inner = path.strip_prefix('<')?.rsplit_once(">::")?.0;
    let at = top_level(inner, " as ")?;
    let of = &inner[at + " as ".len()..];
    let of = of.split('<').next().unwrap_or(of);
    (!of.is_empty() && of != "_").then_some((&inner[..at], of))
}

/// Where a text stands outside of all brackets.
fn top_level(text: &str, wanted: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, char) in text.char_indices() {
        match char {
            '<' | '(' | '[' => depth += 1,
            // Of `->`.
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 && text[at..].starts_with(wanted) => return Some(at),
            _ => {}
        }
        before = char;
    }
    None
}

/// The trait of a pointer to a `dyn`, where only the vtables of that trait differ.
fn trait_of_pointer(path: &str, old: &Layout, new: &Layout) -> Option<String> {
    let is_wide = |layout: &Layout| {
        layout.kind == Kind::Struct
            && layout.members.len() == 2
            && layout.members[1].name == "vtable"
            && layout.members[1].ty.starts_with("&[usize; ")
    };
    if !is_wide(old) || !is_wide(new) {
        return None;
    }
    let (_, of) = path.split_once("dyn ")?;
    let end = of.find(|c: char| !(c.is_alphanumeric() || "_:{}#".contains(c)));
    Some(of[..end.unwrap_or(of.len())].to_owned()).filter(|of| !of.is_empty())
}

/// What has to be searched for: the roots, and all types that lead to one without saying so in their name.
fn closure(old: &Layouts, new: &Layouts, roots: &[String]) -> Needles {
    let mut needles = Needles::default();
    if roots.is_empty() {
        return needles;
    }
    for root in roots {
        needles.add(root);
    }
    // Who has a type in it, by that type: of either side.
    let mut holders: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut all: Vec<&str> = Vec::new();
    for (path, _) in old.iter().chain(new.iter()) {
        if path.ends_with("::{vtable_type}") {
            continue;
        }
        all.push(path);
        if is_box_of_a_future(path) {
            continue;
        }
        for layout in old.all(path).chain(new.all(path)) {
            for member in layout.members.iter().filter(|member| !member.ty.is_empty()) {
                holders.entry(&member.ty).or_default().push(path);
            }
        }
    }
    // Which texts mention a new needle is only asked of those that have the word it is found by.
    let mut by_word: HashMap<&str, Vec<&str>> = HashMap::new();
    let texts: HashSet<&str> = all.into_iter().chain(holders.keys().copied()).collect();
    for text in texts {
        let words: HashSet<&str> = words(text).collect();
        for word in words {
            by_word.entry(word).or_default().push(text);
        }
    }
    let mut changed: HashSet<&str> = HashSet::new();
    let mut waiting: Vec<String> = roots.to_vec();
    while let Some(needle) = waiting.pop() {
        let word = key(&needle);
        for text in by_word.get(word).into_iter().flatten() {
            if !mentions(&without_boxed(text), &needle) || !changed.insert(text) {
                continue;
            }
            let mut texts = vec![*text];
            while let Some(text) = texts.pop() {
                for holder in holders.get(text).into_iter().flatten() {
                    if !changed.insert(holder) {
                        continue;
                    }
                    texts.push(holder);
                    if !needles.are_in_type(holder) {
                        needles.add(holder);
                        waiting.push((*holder).to_owned());
                    }
                }
            }
        }
    }
    needles
}

/// The types of what closures captured that differ and of which the layouts do not say so: debug information often
/// leaves such a type out on one side or on both. Then the closure's own entry has to do: it names each captured
/// value. Closures are compared by symbol.
#[must_use]
pub fn changed_environments(old: &Facts, new: &Facts) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (symbol, is) in &new.functions {
        let (Some(environment), Some(was)) = (&is.environment, old.functions.get(symbol)) else {
            continue;
        };
        let is_told = |facts: &Facts| facts.layouts.first(environment).is_some();
        let differs = match (is_told(old), is_told(new)) {
            (true, true) => false,
            (false, false) => was.captures != is.captures,
            // The two do not say it in the same words.
            _ => true,
        };
        if differs || was.environment != is.environment {
            found.insert(environment.clone());
        }
    }
    found
}

/// The traits whose vtables have another shape in one of two maps of vtables, by those of the same type. Which
/// function is in a slot does not matter, only which method it is; nor does it whether the type has something to
/// drop. Traits of the standard library are the same in both.
#[must_use]
pub fn changed_traits(
    old: &BTreeMap<String, Vec<String>>,
    new: &BTreeMap<String, Vec<String>>,
) -> BTreeSet<String> {
    let differ = |Pair { old, new, .. }: &Pair<'_>| {
        let methods =
            |of: &[String]| -> Vec<String> { of.iter().skip(1).map(|slot| method(slot)).collect() };
        old.len() != new.len() || (old != new && methods(old) != methods(new))
    };
    let changed = pairs(old, new)
        .filter(differ)
        .map(|pair| pair.of.to_owned());
    changed.chain(without_counterpart(old, new)).collect()
}

/// The traits of which a method in the vtables takes or returns something else than before: who calls it through the
/// vtable of an older value comes to the older method.
#[must_use]
pub fn changed_signatures<'a>(
    old: &BTreeMap<String, Vec<String>>,
    new: &BTreeMap<String, Vec<String>>,
    old_function: impl Fn(&str) -> Option<&'a FunctionFacts>,
    new_function: impl Fn(&str) -> Option<&'a FunctionFacts>,
) -> BTreeSet<String> {
    // Of two types the receivers differ in any case; it is the first parameter.
    let rest = |facts: &FunctionFacts, is_same_type: bool| -> Vec<String> {
        let signature = facts.signature.iter().enumerate();
        let kept = signature.filter(|(index, _)| is_same_type || *index != 1);
        kept.map(|(_, ty)| ty.clone()).collect()
    };
    let differ = |pair: &Pair<'_>| {
        let mut slots = pair.old.iter().zip(pair.new).skip(1);
        slots.any(|(was, is)| {
            let (was, is) = (old_function(was), new_function(is));
            was.zip(is).is_some_and(|(was, is)| {
                rest(was, pair.is_same_type) != rest(is, pair.is_same_type)
            })
        })
    };
    pairs(old, new)
        .filter(differ)
        .map(|pair| pair.of.to_owned())
        .collect()
}

/// Two vtables of a trait, of before and after an edit.
struct Pair<'a> {
    of: &'a str,
    is_same_type: bool,
    old: &'a [String],
    new: &'a [String],
}

/// Each older vtable with the newer one of the same type, or else of any other: all vtables of a trait have the same
/// methods in the same order.
fn pairs<'a>(
    old: &'a BTreeMap<String, Vec<String>>,
    new: &'a BTreeMap<String, Vec<String>>,
) -> impl Iterator<Item = Pair<'a>> {
    let others = traits(new);
    old.iter().filter_map(move |(path, old)| {
        let of = trait_of_vtable(path).filter(|of| !is_std(of))?;
        let same = new.get(path);
        let other = || others.get(of).copied();
        Some(Pair {
            of,
            is_same_type: same.is_some(),
            old,
            new: same.or_else(other)?,
        })
    })
}

/// The traits of which there are no vtables any more, so that nothing tells what has become of their methods.
#[must_use]
pub fn without_counterpart(
    old: &BTreeMap<String, Vec<String>>,
    new: &BTreeMap<String, Vec<String>>,
) -> BTreeSet<String> {
    let (old, new) = (traits(old), traits(new));
    let gone = old.keys().filter(|of| !new.contains_key(*of));
    gone.map(|of| (*of).to_owned()).collect()
}

/// A vtable of each trait, but for those of the standard library.
fn traits(vtables: &BTreeMap<String, Vec<String>>) -> BTreeMap<&str, &Vec<String>> {
    let all = vtables.iter().filter_map(|(path, slots)| {
        let of = trait_of_vtable(path).filter(|of| !is_std(of))?;
        Some((of, slots))
    });
    all.collect()
}

/// The method that is in a slot.
fn method(slot: &str) -> String {
    let mangled = slot.split('.').next().unwrap_or_default();
    let text = format!("{:#}", rustc_demangle::demangle(mangled));
    if let Some(of) = text
        .strip_suffix("::{vtable}")
        .and_then(|_| trait_of_vtable(&text))
    {
        return of.to_owned();
    }
    let mut text = text.as_str();
    // `::{shim:vtable#0}`
    while let Some((rest, _)) = text.rsplit_once("::{shim:") {
        text = rest;
    }
    // Two traits may have methods of one name.
    let inner = text
        .strip_prefix('<')
        .and_then(|text| Some(text.rsplit_once(">::")?.0));
    let of = inner.and_then(|inner| Some(&inner[top_level(inner, " as ")? + " as ".len()..]));
    let of = of.map_or("", |of| of.split('<').next().unwrap_or(of));
    format!("{}::{}", last(of), last(text))
}
