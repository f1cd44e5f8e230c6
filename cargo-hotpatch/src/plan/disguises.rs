//! Where code takes values of one type for values of another, as rustc's MIR tells: casts of pointers, transmutes.
//!
//! Safe code only meets a value through its type. A type that an edit changed must not be among those that `unsafe`
//! code reaches in another way, since an older value may be kept there under another name. Pure: text in, text out.

use std::collections::{BTreeSet, HashMap};

/// A cast that leads to a type or away from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disguise {
    /// The function, as MIR names it.
    pub function: String,
    /// What is cast.
    pub from: String,
    /// What it is cast to.
    pub to: String,
}

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

/// Reads MIR line by line and finds what has to do with types of certain names.
#[derive(Debug)]
pub struct Finder<'a> {
    /// Last names of the types.
    words: &'a BTreeSet<String>,
    function: String,
    locals: HashMap<String, String>,
    found: Vec<Disguise>,
}

impl<'a> Finder<'a> {
    /// Looks for these types, each by the last part of its path.
    #[must_use]
    pub fn new(words: &'a BTreeSet<String>) -> Self {
        Self {
            words,
            function: String::new(),
            locals: HashMap::new(),
            found: Vec::new(),
        }
    }

    /// What was found.
    #[must_use]
    pub fn found(self) -> Vec<Disguise> {
        self.found
    }

    /// Takes in a line.
    pub fn line(&mut self, line: &str) {
        if line.starts_with("fn ") {
            self.enter(line);
            return;
        }
        let text = line.trim();
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
        } else if CASTING.iter().any(|call| value.contains(call)) {
            let call = value.split('(').next().unwrap_or(value);
            self.add(call.to_owned(), String::new());
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
        let mentions = |text: &str| {
            text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .any(|word| self.words.contains(word))
        };
        if mentions(&from) || mentions(&to) {
            self.found.push(Disguise {
                function: self.function.clone(),
                from,
                to,
            });
        }
    }
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
    use super::Finder;
    use std::collections::BTreeSet;

    fn found(mir: &str) -> Vec<(String, String)> {
        let words = BTreeSet::from(["Token".to_owned()]);
        let mut finder = Finder::new(&words);
        mir.lines().for_each(|line| finder.line(line));
        let found = finder.found();
        found.into_iter().map(|one| (one.from, one.to)).collect()
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
