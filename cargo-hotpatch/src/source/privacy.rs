//! What code may not name where it stands, and could in a scope, where everything is visible.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::file::{FnKey, Function, Kind, OtherItem, Owner};
use super::foreign;
use super::items::{CrateSource, SourceFile};
use super::tokens::paths;

/// Whether code in a module may name what has this home.
#[must_use]
pub fn may_name(module: &[String], home: Option<&Arc<[String]>>) -> bool {
    home.is_none_or(|home| module.starts_with(home))
}

/// Whether a function names something now, and did not before, that may be private to another place. Without a `before`
/// all that it names is new.
///
/// Names are all there is to go by, so this may well be wrong.
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
    let (file, function) = now;
    let texts = [&function.sig, &function.body].map(|range| &file.parsed.text[range.clone()]);
    code_may_trespass(krate, &function.module, &fresh, texts)
}

/// Whether code in a module, a signature and a body perhaps, names something of these names that may be private to another
/// place.
#[must_use]
pub fn code_may_trespass(
    krate: &CrateSource,
    module: &Arc<[String]>,
    fresh: &BTreeSet<String>,
    texts: [&str; 2],
) -> bool {
    if fresh.is_empty() {
        return false;
    }
    let traits = krate.foreign_traits.get(module);
    if traits.is_some_and(|traits| foreign::may_be_called(traits, fresh, texts[1])) {
        return true;
    }
    let elsewhere = krate.items();
    let elsewhere = elsewhere.filter(|item| !may_name(module, Some(&item.module)));
    let mut fields = elsewhere.flat_map(|item| &item.private_fields);
    if fields.any(|field| fresh.contains(&field.name)) {
        return true;
    }
    let said = LazyCell::new(|| {
        let mut said = BTreeSet::new();
        for text in texts {
            if let Ok(tokens) = text.parse() {
                paths(tokens, &mut said);
            }
        }
        said
    });
    names_hidden(krate, module, fresh, &said)
}

/// Whether these paths, said in a module, may lead to something that is private to another place and has one of the names
/// in question.
fn names_hidden(
    krate: &CrateSource,
    module: &[String],
    in_question: &BTreeSet<String>,
    said: &BTreeSet<String>,
) -> bool {
    // What the module has itself comes before what its glob imports bring.
    let is_brought_by_a_glob = |name: &str| {
        let here = || krate.items().filter(|item| *item.module == *module);
        let is_named = |item: &OtherItem| item.names.iter().any(|known| known == name);
        let is_function = |function: &Function| {
            *function.module == *module && function.owner == Owner::Free && function.name == name
        };
        let mut functions = krate.functions();
        said.contains(name)
            && here().any(|item| item.imports.iter().any(|import| import.name == "*"))
            && !here().any(is_named)
            && !functions.any(|(_, function)| is_function(function))
    };
    let leads_there = |of: &[String], name: &str| {
        let last = of.last().unwrap_or(&krate.name);
        let near = ["self", "super", "crate", "Self"].map(str::to_owned);
        let mut before = names_of_module(krate, last).into_iter().chain(near);
        before.any(|before| said.contains(&format!("{before}::{name}")))
            || is_brought_by_a_glob(name)
    };
    let mut functions = krate.functions();
    krate.items().any(|item| {
        let names = || item.names.iter().filter(|name| in_question.contains(*name));
        item.kind != Kind::Impl
            && !may_name(module, item.home.as_ref())
            && names().any(|name| {
                let of_a_type = item.name.contains(" of ");
                of_a_type || leads_there(&item.module, name)
            })
    }) || functions.any(|(_, function)| {
        function.owner == Owner::Free
            && in_question.contains(&function.name)
            && !may_name(module, function.home.as_ref())
            && leads_there(&function.module, &function.name)
    })
}

/// The names under which a module of this name may be known: its own, and those of imports.
fn names_of_module(krate: &CrateSource, name: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::from([name.to_owned()]);
    loop {
        let before = out.len();
        for import in krate.items().flat_map(|item| &item.imports) {
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

/// The numbers after single dots: `0` of `point.0`.
pub(super) fn tuple_fields(text: &str) -> BTreeSet<String> {
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

/// Private associated constants that share their name with a trait's: where they may not be named such a name means the
/// trait's, and in a scope it does not.
#[must_use]
pub fn namesakes(krate: &CrateSource) -> Vec<&OtherItem> {
    let of_impl = |item: &&OtherItem| item.kind == Kind::Const && item.name.contains(" of ");
    let all = krate.items().filter(of_impl);
    let (private, visible): (Vec<_>, Vec<_>) = all.partition(|item| item.home.is_some());
    let of_traits: BTreeSet<&String> = visible
        .into_iter()
        .filter(|item| item.name.contains(" for "))
        .filter_map(|item| item.names.first())
        .collect();
    let shares = |item: &&OtherItem| item.names.iter().any(|name| of_traits.contains(name));
    private.into_iter().filter(shares).collect()
}

/// The name of one of these constants that code in a module which mentions these names would take for the trait's.
#[must_use]
pub fn mistaken<'a>(
    namesakes: &[&'a OtherItem],
    module: &[String],
    mentions: &BTreeSet<String>,
) -> Option<&'a str> {
    let outside = namesakes
        .iter()
        .filter(|item| !may_name(module, item.home.as_ref()));
    let mut names = outside.filter_map(|item| item.names.first());
    names
        .find(|name| mentions.contains(*name))
        .map(String::as_str)
}

/// Whether fewer may name a function than before, so that code which nobody edited may not compile.
#[must_use]
pub fn narrowed(old: &CrateSource, new: &CrateSource) -> bool {
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
    new.files.iter().any(|file| {
        let before = old.file(&file.path);
        before.is_some_and(|before| {
            !Arc::ptr_eq(&before.parsed, &file.parsed) && narrows(before, file)
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
            mistaken(&namesakes(&krate), &function.module, &function.mentions)
        };
        assert_eq!((of("f"), of("g"), of("near")), (Some("ID"), None, None));
    }

    #[test]
    fn a_module_goes_by_the_names_of_its_imports() {
        let krate = krate(&[(
            "src/main.rs",
            "use crate::types as t; mod a { pub use super::t as u; use std::types::*; } use x::y;",
        )]);
        let found = names_of_module(&krate, "types");
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["t", "types", "u"]);
    }
}
