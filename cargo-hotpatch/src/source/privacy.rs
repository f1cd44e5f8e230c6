//! What code may not name where it stands, and could in a scope, where everything is visible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::diff::{Changes, ItemChange};
use super::file::{FnKey, Function, Kind, OtherItem};
use super::items::{CrateSource, SourceFile};

/// Whether a function names something now, and did not before, that may be private to another place.
///
/// Names are all there is to go by, so this may well be wrong, and rustc has to be asked.
#[must_use]
pub fn may_trespass(
    krate: &CrateSource,
    now: (&SourceFile, &Function),
    before: Option<(&SourceFile, &Function)>,
) -> bool {
    let names = |(file, function): (&SourceFile, &Function)| -> BTreeSet<String> {
        let fields = tuple_fields(&file.parsed.text[function.body.clone()]);
        function.mentions.iter().cloned().chain(fields).collect()
    };
    let known = before.map(names).unwrap_or_default();
    let fresh: BTreeSet<String> = names(now).difference(&known).cloned().collect();
    if fresh.is_empty() {
        return false;
    }
    let module = &now.1.module;
    items(krate)
        .filter(|item| !module.starts_with(&item.module))
        .any(|item| {
            let itself = item.private && item.names.iter().any(|name| fresh.contains(name));
            let mut fields = item.members.iter().filter(|member| member.private);
            itself
                || fields.any(|field| {
                    let name = field.name.rsplit('.').next().unwrap_or_default();
                    fresh.contains(name) && !field.name.contains('.')
                })
        })
}

/// The numbers after single dots: `0` of `point.0`.
fn tuple_fields(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut rest = text;
    while let Some(at) = rest.find('.') {
        rest = &rest[at + 1..];
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if !digits.is_empty() {
            out.insert(digits);
        }
    }
    out
}

/// Private associated constants that share their name with a trait's: outside of its module such a name means the trait's,
/// and in a scope it does not.
#[must_use]
pub fn namesakes(krate: &CrateSource) -> Vec<&OtherItem> {
    let of_impl = |item: &&OtherItem| item.kind == Kind::Const && item.name.contains(" of ");
    let (private, visible): (Vec<_>, Vec<_>) =
        items(krate).filter(of_impl).partition(|item| item.private);
    let of_traits: BTreeSet<&String> = visible
        .into_iter()
        .filter(|item| item.name.contains(" for "))
        .filter_map(|item| item.names.first())
        .collect();
    let shares = |item: &&OtherItem| item.names.iter().any(|name| of_traits.contains(name));
    private.into_iter().filter(shares).collect()
}

/// The name of one of these constants that a function would take for the trait's.
#[must_use]
pub fn mistaken<'a>(namesakes: &[&'a OtherItem], function: &Function) -> Option<&'a str> {
    let outside = namesakes
        .iter()
        .filter(|item| !function.module.starts_with(&item.module));
    let mut names = outside.filter_map(|item| item.names.first());
    names
        .find(|name| function.mentions.contains(*name))
        .map(String::as_str)
}

fn items(krate: &CrateSource) -> impl Iterator<Item = &OtherItem> {
    krate.files.iter().flat_map(|file| &file.parsed.items)
}

/// Whether somewhere less may be done with something than before, so that code which nobody edits may not compile:
/// a function that fewer may name, or a type with other attributes, derives or visibility.
#[must_use]
pub fn narrowed(old: &[CrateSource], new: &[CrateSource], changes: &[Changes]) -> bool {
    let mut items = changes.iter().flat_map(|changes| &changes.items);
    let of_a_type = |change: &ItemChange| change.item.kind == Kind::Type && change.keeps_values();
    if items.any(of_a_type) {
        return true;
    }
    let visible = |file: &SourceFile, function: &Function| -> String {
        file.parsed.text[function.vis.clone()]
            .split_whitespace()
            .collect()
    };
    let narrows = |old: &SourceFile, new: &SourceFile| {
        let before: BTreeMap<&FnKey, &Function> = old
            .parsed
            .functions
            .iter()
            .map(|function| (&function.key, function))
            .collect();
        new.parsed.functions.iter().any(|function| {
            let now = visible(new, function);
            let was = before.get(&function.key).map(|was| visible(old, was));
            now != "pub" && was.is_some_and(|was| was != now)
        })
    };
    old.iter().zip(new).any(|(old, new)| {
        new.files.iter().any(|file| {
            let before = old.file(&file.path);
            before.is_some_and(|before| {
                !Arc::ptr_eq(&before.parsed, &file.parsed) && narrows(before, file)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::items::fake::krate;

    const TYPES: &str = "mod a { pub struct P { x: u8, pub y: u8 } pub struct T(u8); const LIMIT: u8 = 1; pub const OPEN: u8 = 1; \
        impl T { const ID: u8 = 1; } impl super::Id for T { const ID: u8 = 2; } fn near() { LIMIT } }";

    fn trespasses(old: &str, new: &str) -> bool {
        let text = |body: &str| krate(&[("src/main.rs", &format!("{TYPES} fn f() {{ {body} }}"))]);
        let (old, new) = (text(old), text(new));
        let of = |krate: &CrateSource| {
            let mut all = krate.functions();
            let found = all.find(|(_, function)| function.name == "f").unwrap();
            (found.0.clone(), found.1.clone())
        };
        let (before, now) = (of(&old), of(&new));
        may_trespass(&new, (&now.0, &now.1), Some((&before.0, &before.1)))
    }

    #[test]
    fn new_names_of_private_things_are_suspicious() {
        assert!(trespasses("p.y;", "p.y; p.x;"));
        assert!(trespasses("", "a::LIMIT;"));
        assert!(trespasses("t;", "t.0;"));
        assert!(!trespasses("", "a::OPEN;"));
        assert!(!trespasses("p.y;", "p.y + 0.5;"));
        assert!(!trespasses("p.x;", "p.x; p.x;"));
    }

    #[test]
    fn a_private_constant_with_a_traits_name_is_mistaken_outside_of_its_module() {
        let krate = krate(&[(
            "src/main.rs",
            &format!("{TYPES} fn f() {{ a::T::ID }} fn g() {{}}"),
        )]);
        let of = |name: &str| {
            let mut all = krate.functions();
            let (_, function) = all.find(|(_, function)| function.name == name).unwrap();
            mistaken(&namesakes(&krate), function)
        };
        assert_eq!((of("f"), of("g"), of("near")), (Some("ID"), None, None));
    }
}
