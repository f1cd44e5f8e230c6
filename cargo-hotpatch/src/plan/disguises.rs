//! Where code takes values of one type for values of another, as rustc's MIR tells: casts of pointers, transmutes.
//!
//! Safe code only meets a value through its type. A type that an edit changed must not be among those that `unsafe`
//! code reaches in another way, since an older value may be kept there under another name. Pure: text in, text out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A cast that leads to a type or away from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disguise {
    /// The function, as MIR names it.
    pub function: String,
    /// What is cast.
    pub from: String,
    /// What it is cast to; [`TYPE_ID`] where values are found by the id of their type.
    pub to: String,
}

/// What stands for the type in whose place there is an id.
pub const TYPE_ID: &str = "core::any::TypeId";

/// What asks for the id of a type, or for a value by it, up to the type.
const ASKING: &[&str] = &[
    "TypeId::of::<",
    "::is::<",
    "::downcast::<",
    "::downcast_ref::<",
    "::downcast_mut::<",
];

/// Casts after which memory is taken for what it was not, as MIR names them.
const CASTS: &[&str] = &[
    "(PtrToPtr);",
    "(Transmute);",
    "(PointerWithExposedProvenance);",
];

/// Functions that take memory for another type without a cast in the code that calls them.
const CASTING: &[&str] = &[
    "::cast::<",
    "::align_to::<",
    "::align_to_mut::<",
    "transmute_copy::<",
    "::cast_slice",
    "::from_raw_parts_in::<",
    "::with_exposed_provenance::<",
    "::with_exposed_provenance_mut::<",
    "::without_provenance::<",
    "::without_provenance_mut::<",
];

/// What the code of a crate takes for something else, whatever an edit changed: rustc's MIR, read line by line.
///
/// **Invariant:** every cast of the crate's functions is in it, but for those between types that no edit can change.
#[derive(Debug, Default)]
pub struct Casts {
    /// The function that is read now, and the types of its variables.
    function: String,
    locals: HashMap<String, String>,
    casts: Vec<Disguise>,
    /// Whether ids of types count.
    ids: bool,
    /// Calls with generic arguments: the calling function, and what it calls.
    calls: Vec<(String, String)>,
}

impl Casts {
    /// Nothing yet. In optimised code nothing but MIR tells of all ids of types that are asked for.
    #[must_use]
    pub fn new(of_optimised_code: bool) -> Self {
        Self {
            ids: of_optimised_code,
            ..Self::default()
        }
    }

    /// Takes in a line.
    pub fn line(&mut self, line: &str) {
        if line.starts_with("fn ") {
            self.enter(line);
            return;
        }
        let text = line.trim();
        if self.ids {
            for asking in ASKING {
                for (at, _) in text.match_indices(asking) {
                    let of = up_to_the_end(&text[at + asking.len()..]);
                    self.add(of.to_owned(), TYPE_ID.to_owned());
                }
            }
        }
        let declared = text.strip_prefix("let ");
        if let Some((name, ty)) = declared.and_then(|text| text.split_once(": ")) {
            let name = name.trim_start_matches("mut ").to_owned();
            self.locals
                .insert(name, ty.trim_end_matches(';').to_owned());
            return;
        }
        let Some((_, value)) = text.split_once(" = ") else {
            return;
        };
        let mut casts = CASTS.iter();
        let cast = casts.find_map(|kind| value.strip_suffix(kind)?.strip_suffix(' '));
        if let Some((operand, to)) = cast.and_then(|cast| cast.split_once(" as ")) {
            let from = self.type_of(operand);
            // rustc checks the alignment of each pointer in this way, and nobody can write through it.
            if to != "*const ()" && pointee(&from) != pointee(to) {
                self.add(from, to.to_owned());
            }
        } else if let Some(call) = called(value) {
            if CASTING.iter().any(|casting| value.contains(casting)) {
                self.add(call.to_owned(), String::new());
            } else if call.contains('<') {
                self.calls.push((self.function.clone(), call.to_owned()));
            }
        }
    }

    fn enter(&mut self, line: &str) {
        self.locals.clear();
        let (name, rest) = line[3..].split_once("(_1: ").unwrap_or_else(|| {
            let name = line[3..].split("() -> ").next();
            (name.unwrap_or_default(), "")
        });
        name.clone_into(&mut self.function);
        // `T, _2: U) -> V {`
        let mut number = 1;
        let mut rest = rest;
        while !rest.is_empty() {
            let next = format!(", _{}: ", number + 1);
            let (ty, others) = match rest.split_once(&next) {
                Some((ty, others)) => (ty, others),
                None => (rest.rsplit_once(") -> ").map_or(rest, |(ty, _)| ty), ""),
            };
            self.locals.insert(format!("_{number}"), ty.to_owned());
            rest = others;
            number += 1;
        }
    }

    /// The type of an operand; the operand itself where it is not told.
    fn type_of(&self, operand: &str) -> String {
        let place = operand
            .trim_start_matches("copy ")
            .trim_start_matches("move ");
        if let Some(ty) = self.locals.get(place) {
            return ty.clone();
        }
        // `((*_3).0: T)`
        if let Some((_, ty)) = place.rsplit_once(": ") {
            return ty.trim_end_matches(')').to_owned();
        }
        let local = place.trim_start_matches(['(', '*', '&']);
        let local = local.split([')', '.', ' ']).next().unwrap_or(local);
        self.locals.get(local).cloned().unwrap_or_default()
    }

    fn add(&mut self, from: String, to: String) {
        let of_types = (to != TYPE_ID).then_some(to.as_str());
        let texts = [Some(from.as_str()), of_types];
        if texts
            .iter()
            .flatten()
            .any(|text| names(text).next().is_some())
        {
            self.casts.push(Disguise {
                function: self.function.clone(),
                from,
                to,
            });
        }
    }
}

/// Where code takes a value of one of some types for something else, or the other way round.
///
/// `words` are the last names of the types. Generic code says `T`: it counts if it is instantiated for one of them,
/// which `instances` knows, symbols that mention one.
#[must_use]
pub fn disguises<'a>(
    crates: &[&Casts],
    words: &BTreeSet<String>,
    instances: impl Fn(&str) -> Option<&'a str>,
) -> Vec<Disguise> {
    let mentions_one = |text: &str| names(text).any(|name| words.contains(name));
    let casts = || crates.iter().flat_map(|krate| &krate.casts);
    let calls = || crates.iter().flat_map(|krate| &krate.calls);
    let is_named = |cast: &&Disguise| mentions_one(&cast.from) || mentions_one(&cast.to);
    let mut found: Vec<Disguise> = casts().filter(is_named).cloned().collect();

    // The generic functions that lead to a cast, by name, each with that cast.
    let mut leading: BTreeMap<&str, &Disguise> = BTreeMap::new();
    for cast in casts() {
        if parameters(&cast.from)
            .chain(parameters(&cast.to))
            .next()
            .is_some()
        {
            leading.entry(function_name(&cast.function)).or_insert(cast);
        }
    }
    loop {
        let before = leading.len();
        for (caller, callee) in calls() {
            if parameters(arguments(callee)).next().is_some()
                && let Some(cast) = leading.get(function_name(callee)).copied()
            {
                leading.entry(function_name(caller)).or_insert(cast);
            }
        }
        if leading.len() == before {
            break;
        }
    }
    // Optimised code may have no instance of its own any more, and then the call says it.
    for (caller, callee) in calls().filter(|(_, callee)| mentions_one(arguments(callee))) {
        if let Some(cast) = leading.get(function_name(callee)) {
            found.push(Disguise {
                function: caller.clone(),
                from: callee.clone(),
                to: cast.to.clone(),
            });
        }
    }
    for (name, cast) in leading {
        if let Some(instance) = instances(name) {
            found.push(Disguise {
                function: instance.to_owned(),
                ..cast.clone()
            });
        }
    }
    found.dedup();
    found
}

/// What a statement calls, with generic arguments and without the others.
fn called(value: &str) -> Option<&str> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, char) in value.char_indices() {
        match char {
            '(' if depth == 0 => {
                let path = &value[..at];
                return path
                    .starts_with(|c: char| c.is_alphabetic() || "<_".contains(c))
                    .then_some(path);
            }
            '<' | '(' | '[' => depth += 1,
            // Of `->`.
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => return None,
            _ => {}
        }
        before = char;
    }
    None
}

/// Generic arguments up to the bracket that closes them.
fn up_to_the_end(text: &str) -> &str {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, char) in text.char_indices() {
        match char {
            '<' => depth += 1,
            // Of `->`.
            '>' if before == '-' => {}
            '>' if depth == 0 => return &text[..at],
            '>' => depth -= 1,
            _ => {}
        }
        before = char;
    }
    text
}

/// The generic arguments in a path, with whatever stands between them.
fn arguments(path: &str) -> &str {
    path.find('<').map_or("", |at| &path[at..])
}

/// The last name of a function's path: of `<impl at src/a.rs:1:1: 1:9>::get::{closure#0}` and of `Store::<T>::get` it is
/// `get`.
fn function_name(path: &str) -> &str {
    let path = path.split("::{").next().unwrap_or(path);
    let mut end = path.len();
    if path.ends_with('>') {
        let mut depth = 0_usize;
        for (at, char) in path.char_indices().rev() {
            match char {
                '>' => depth += 1,
                '<' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = at;
                break;
            }
        }
    }
    let path = path[..end].trim_end_matches("::");
    path.rsplit("::").next().unwrap_or(path)
}

/// The names in a type that are not those of primitive types.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| !word.is_empty() && !is_primitive(word))
}

/// The names in a type that stand alone, as type parameters do: `T` of `*mut T`. Types at the root of a crate do so, too.
fn parameters(text: &str) -> impl Iterator<Item = &str> {
    names(text).filter(move |word| {
        let at = word.as_ptr().addr() - text.as_ptr().addr();
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with("::") && !before.ends_with('\'') && !after.starts_with("::")
    })
}

fn is_primitive(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "as", "bool", "char", "const", "dyn", "extern", "f32", "f64", "fn", "for", "i128", "i16",
        "i32", "i64", "i8", "isize", "mut", "str", "u128", "u16", "u32", "u64", "u8", "unsafe",
        "usize",
    ];
    WORDS.contains(&word) || word.starts_with(|c: char| c.is_ascii_digit())
}

/// What a pointer points to, without its kind; memory that may not be initialised yet is of the type that it is for.
fn pointee(ty: &str) -> &str {
    const AROUND: &[&str] = &["std::ptr::NonNull<", "std::mem::MaybeUninit<"];
    let mut ty = ty;
    loop {
        let before = ty;
        for prefix in ["&", "mut ", "*const ", "*mut "] {
            ty = ty.strip_prefix(prefix).unwrap_or(ty);
        }
        for around in AROUND {
            let inner = ty.strip_prefix(around).and_then(|ty| ty.strip_suffix('>'));
            ty = inner.unwrap_or(ty);
        }
        if ty == before {
            return ty;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Casts, disguises};
    use std::collections::BTreeSet;

    fn casts(mir: &str) -> Casts {
        let mut casts = Casts::default();
        mir.lines().for_each(|line| casts.line(line));
        casts
    }

    fn found(mir: &str) -> Vec<(String, String)> {
        let words = BTreeSet::from(["Token".to_owned()]);
        let found = disguises(&[&casts(mir)], &words, |_| None);
        found.into_iter().map(|one| (one.from, one.to)).collect()
    }

    #[test]
    fn ids_of_types_count_in_optimised_code() {
        let mir = "fn put(_1: &mut World, _2: C) -> () {
    scope 1 (inlined TypeId::of::<C>) {
        _3 = Map::insert(move _6, const TypeId::of::<C>::{constant#0}, move _5) -> [return: bb3, unwind continue];
fn main() -> () {
        _2 = World::put::<m::Token>(move _1, move _3) -> [return: bb1, unwind continue];
fn other(_1: &dyn Any) -> Option<&Vec<m::Token>> {
        _0 = <dyn Any>::downcast_ref::<Vec<m::Token>>(copy _1) -> [return: bb1, unwind continue];";
        let words = BTreeSet::from(["Token".to_owned()]);
        let of = |optimised| {
            let mut casts = Casts::new(optimised);
            mir.lines().for_each(|line| casts.line(line));
            let found = disguises(&[&casts], &words, |_| None);
            found
                .into_iter()
                .map(|one| one.function)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(true), ["other", "main"]);
        assert_eq!(of(false), Vec::<String>::new());
    }

    /// As MIR has it: a cast in generic code, and another generic function that calls it.
    const GENERIC: &str = "fn <impl at src/store.rs:3:1: 3:20>::get(_1: &Store<T>) -> &T {
    let mut _3: *mut u8;
        _2 = copy _3 as *mut T (PtrToPtr);
fn through(_1: &Store<U>) -> usize {
        _2 = Store::<U>::get(copy _1) -> [return: bb1, unwind continue];";

    #[test]
    fn casts_of_generic_code_count_for_what_it_is_instantiated_with() {
        let words = BTreeSet::from(["Token".to_owned()]);
        let generic = casts(GENERIC);
        let with = |instance: &'static str| {
            let found = disguises(&[&generic], &words, |name| {
                (name == instance).then_some(instance)
            });
            found
                .into_iter()
                .map(|one| one.function)
                .collect::<Vec<_>>()
        };
        assert_eq!(with("get"), ["get"]);
        assert_eq!(with("through"), ["through"]);
        assert_eq!(with("other"), Vec::<String>::new());
    }

    #[test]
    fn casts_of_generic_code_count_for_those_who_call_it() {
        let words = BTreeSet::from(["Token".to_owned()]);
        let generic = casts(GENERIC);
        let of = |call: &str| {
            let calling = casts(&format!(
                "fn main() -> () {{\n        _2 = {call}(copy _1) -> [return: bb1, unwind continue];"
            ));
            disguises(&[&calling, &generic], &words, |_| None).len()
        };
        assert_eq!(of("through::<m::Token>"), 1);
        assert_eq!(of("Store::<Token>::get"), 1);
        assert_eq!(of("through::<m::Other>"), 0);
        assert_eq!(of("Store::<Token>::put"), 0);
    }

    #[test]
    fn casts_are_found_from_either_side() {
        let to = "fn a(_1: *mut u8) -> u32 {\n    let mut _2: *mut m::Token;\n        _2 = copy _1 as *mut m::Token (PtrToPtr);";
        assert_eq!(
            found(to),
            [("*mut u8".to_owned(), "*mut m::Token".to_owned())]
        );
        let from = "fn d(_1: &mut Token, _2: &mut [u8; 8]) -> () {\n    let mut _5: *mut m::Token;\n        _4 = move _5 as *mut [u8; 8] (PtrToPtr);";
        assert_eq!(found(from).len(), 1);
        let transmute =
            "fn b(_1: [u8; 8]) -> Token {\n        _0 = copy _1 as m::Token (Transmute);";
        assert_eq!(found(transmute).len(), 1);
        let number = "fn e(_1: usize) -> u32 {\n        _2 = copy _1 as *mut m::Token (PointerWithExposedProvenance);";
        assert_eq!(found(number).len(), 1);
        let number = "fn f(_1: usize) -> u32 {\n        _2 = std::ptr::with_exposed_provenance::<m::Token>(copy _1) -> [return: bb1, unwind continue];";
        assert_eq!(found(number).len(), 1);
        let call = "fn c(_1: &[u8]) -> usize {\n        _3 = core::slice::<impl [u8]>::align_to::<Token>(copy _1) -> [return: bb1, unwind continue];";
        assert_eq!(found(call).len(), 1);
    }

    #[test]
    fn what_stays_the_same_type_is_no_disguise() {
        let same = "fn i(_1: *const Token) -> *mut Token {\n        _0 = copy _1 as *mut Token (PtrToPtr);";
        assert_eq!(found(same), []);
        let check = "fn a(_1: *mut Token) -> u32 {\n        _3 = copy _1 as *const () (PtrToPtr);\n        _4 = copy _3 as usize (Transmute);";
        assert_eq!(found(check), []);
        let boxed = "fn f(_1: std::ptr::NonNull<m::Token>) -> u32 {\n        _2 = copy _1 as *const m::Token (Transmute);";
        assert_eq!(found(boxed), []);
        let fresh = "fn f(_1: *mut std::mem::MaybeUninit<[m::Token; 2]>) -> u32 {\n        _2 = copy _1 as *mut [m::Token; 2] (PtrToPtr);";
        assert_eq!(found(fresh), []);
        let other =
            "fn a(_1: *mut u8) -> u32 {\n        _2 = copy _1 as *mut m::TokenKind (PtrToPtr);";
        assert_eq!(found(other), []);
    }
}
