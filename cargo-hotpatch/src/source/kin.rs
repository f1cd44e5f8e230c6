//! What else goes by a name or comes with one: traits that types get through other traits, and modules under other names.

use std::collections::BTreeSet;

use super::file::{Kind, OtherItem, Owner};
use super::items::CrateSource;

/// These traits, and those that a type may have because it has one of them: `impl<T: Display> Show for T`.
#[must_use]
pub fn traits_that_follow(names: &BTreeSet<String>, sources: &[&CrateSource]) -> BTreeSet<String> {
    let mut out = names.clone();
    loop {
        let before = out.len();
        for item in items(sources).filter(|item| item.kind == Kind::Impl) {
            let last = |path: &String| path.rsplit("::").next().unwrap_or(path).to_owned();
            if item.paths.iter().any(|path| out.contains(&last(path))) {
                out.extend(item.names.iter().cloned());
            }
        }
        // What the standard library has for all types with one of its traits.
        for (has, gets) in OF_STD {
            if out.contains(*has) {
                out.extend(gets.split_whitespace().map(str::to_owned));
            }
        }
        if out.len() == before {
            return out;
        }
    }
}

/// Methods of types that have them only where a parameter has one of these traits: `impl<T: Debug> Wrapper<T>`.
#[must_use]
pub fn bounded_methods(traits: &BTreeSet<String>, sources: &[&CrateSource]) -> BTreeSet<String> {
    let names_one = |text: &str| {
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| traits.contains(word))
    };
    let functions = sources.iter().flat_map(|source| source.functions());
    let methods = functions.filter(|(_, function)| {
        matches!(&function.owner, Owner::Impl(head) if head.trait_path.is_none()
            && (names_one(&head.generics) || names_one(&head.bounds)))
    });
    methods.map(|(_, function)| function.name.clone()).collect()
}

/// Traits of the standard library by which it gives types others, as its documentation lists under
/// "Blanket Implementations".
const OF_STD: &[(&str, &str)] = &[
    ("Clone", "ToOwned"),
    ("Display", "ToString"),
    ("Error", "From"),
    ("From", "Into TryFrom"),
    ("Into", "TryInto"),
    ("TryFrom", "TryInto"),
    ("Iterator", "IntoIterator"),
    ("Future", "IntoFuture"),
    ("Deref", "Receiver"),
    ("AsRef", "ToSocketAddrs"),
];

/// Whether a trait's impl is one of several among which types that are told nowhere decide: `impl Mul<u8> for V` and
/// `impl Mul<u16> for V`, or `impl From<A> for V` and `impl From<A> for W`.
#[must_use]
pub fn one_of_several(item: &OtherItem, sources: &[&CrateSource]) -> bool {
    let Some((of, ty)) = parts(item) else {
        return false;
    };
    let Some(name) = item.names.first() else {
        return false;
    };
    if !of.contains('<') && !WITH_A_DEFAULT.contains(&name.as_str()) {
        return false;
    }
    items(sources).any(|other| match other.kind {
        Kind::Impl if other.names.first() == Some(name) && other.title != item.title => {
            parts(other).is_some_and(|(other_of, other_ty)| other_ty == ty || other_of == of)
        }
        Kind::Type => other.derives.contains(name) && other.names.iter().any(|other| other == ty),
        _ => false,
    })
}

/// What an impl is of, and for.
fn parts(item: &OtherItem) -> Option<(&str, &str)> {
    let title = item.title.trim_matches('`').strip_prefix("impl ")?;
    title.split_once(" for ")
}

/// Traits with a parameter that is `Self` where it is left out.
const WITH_A_DEFAULT: &[&str] = &[
    "Add",
    "AddAssign",
    "BitAnd",
    "BitAndAssign",
    "BitOr",
    "BitOrAssign",
    "BitXor",
    "BitXorAssign",
    "Div",
    "DivAssign",
    "Mul",
    "MulAssign",
    "PartialEq",
    "PartialOrd",
    "Product",
    "Rem",
    "RemAssign",
    "Shl",
    "ShlAssign",
    "Shr",
    "ShrAssign",
    "Sub",
    "SubAssign",
    "Sum",
];

/// The names under which a module of this name may be known: its own, and those of imports.
#[must_use]
pub fn names_of_module(name: &str, sources: &[&CrateSource]) -> BTreeSet<String> {
    let mut out = BTreeSet::from([name.to_owned()]);
    loop {
        let before = out.len();
        for import in items(sources).flat_map(|item| &item.imports) {
            let is_one = import.path.last().is_some_and(|last| out.contains(last));
            if is_one && import.name != "*" && import.name != "_" {
                out.insert(import.name.clone());
            }
        }
        if out.len() == before {
            return out;
        }
    }
}

fn items<'a>(sources: &'a [&CrateSource]) -> impl Iterator<Item = &'a OtherItem> {
    let files = sources.iter().flat_map(|source| &source.files);
    files.flat_map(|file| &file.parsed.items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::items::fake::krate;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn blanket_impls_spread_traits() {
        let krate = krate(&[(
            "src/main.rs",
            "impl<T: fmt::Display> Show for W<T> {} impl<T> Loud for T where T: Show {} impl Other for u8 {}",
        )]);
        let follow = |name| traits_that_follow(&set(&[name]), &[&krate]);
        assert_eq!(
            follow("Display"),
            set(&["Display", "Loud", "Show", "ToString"])
        );
        assert_eq!(follow("Other"), set(&["Other"]));
    }

    #[test]
    fn impls_that_decide_types_are_told_from_others() {
        let krate = krate(&[(
            "src/main.rs",
            "impl Mul<u8> for V {} impl Mul<u16> for V {} impl Mul<u8> for W {} impl From<A> for V {} \
             #[derive(PartialEq)] struct V(u8); impl PartialEq<u8> for V {} impl Show for V {} impl Add for W {}",
        )]);
        let items = &krate.files[0].parsed.items;
        let impls = items.iter().filter(|item| item.kind == Kind::Impl);
        let found: Vec<&str> = impls
            .filter(|item| one_of_several(item, &[&krate]))
            .map(|item| item.title.as_str())
            .collect();
        assert_eq!(
            found,
            [
                "`impl Mul < u8 > for V`",
                "`impl Mul < u16 > for V`",
                "`impl Mul < u8 > for W`",
                "`impl PartialEq < u8 > for V`"
            ]
        );
    }

    #[test]
    fn a_module_goes_by_the_names_of_its_imports() {
        let krate = krate(&[(
            "src/main.rs",
            "use crate::types as t; mod a { pub use super::t as u; use std::types::*; } use x::y;",
        )]);
        assert_eq!(
            names_of_module("types", &[&krate]),
            set(&["t", "types", "u"])
        );
    }
}
