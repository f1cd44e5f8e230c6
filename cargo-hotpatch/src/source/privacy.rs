//! What code may not name where it stands, and could in a scope, where everything is visible.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::diff::{Became, Changes, ItemChange};
use super::file::{FnKey, Function, Kind, Member, OtherItem, Owner};
use super::foreign;
use super::globs::Module;
use super::items::{CrateSource, SourceFile};
use super::kin::names_of_module;
use super::tokens::paths;

/// A place in the code of a workspace.
#[derive(Debug, Clone, Copy)]
pub struct Spot<'a> {
    /// The number of the crate.
    pub krate: usize,
    /// The module.
    pub module: &'a [String],
}

impl<'a> Spot<'a> {
    /// Anywhere in this module.
    #[must_use]
    pub fn of((krate, module): &'a Module) -> Self {
        Self {
            krate: *krate,
            module,
        }
    }

    /// Whether code here may name what of crate `of` has this home.
    #[must_use]
    pub fn may_name(self, of: usize, home: Option<&Arc<[String]>>) -> bool {
        home.is_none_or(|home| of == self.krate && self.module.starts_with(home))
    }
}

/// Whether a function names something now, and did not before, that may be private to another place.
///
/// Names are all there is to go by, so this may well be wrong, and rustc has to be asked.
#[must_use]
pub fn may_trespass(
    krates: &[CrateSource],
    krate: usize,
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
    let (file, function) = now;
    let spot = Spot {
        krate,
        module: &function.module,
    };
    let traits = krates[krate].foreign_traits.get(spot.module);
    if traits.is_some_and(|traits| {
        let text = &file.parsed.text[function.body.clone()];
        foreign::may_be_called(traits, &fresh, text)
    }) {
        return true;
    }
    let mut fields = krates
        .iter()
        .enumerate()
        .flat_map(|(of, krate)| items(krate).map(move |item| (of, item)))
        .filter(|(of, item)| !spot.may_name(*of, Some(&item.module)))
        .flat_map(|(_, item)| item.members.iter().filter(|member| member.private));
    let is_fresh_field = |field: &Member| {
        let name = field.name.rsplit('.').next().unwrap_or_default();
        fresh.contains(name) && !field.name.contains('.')
    };
    if fields.any(is_fresh_field) {
        return true;
    }
    let said = LazyCell::new(|| {
        let mut said = BTreeSet::new();
        for range in [&function.sig, &function.body] {
            if let Ok(tokens) = file.parsed.text[range.clone()].parse() {
                paths(tokens, &mut said);
            }
        }
        said
    });
    names_hidden(krates, spot, &|name| fresh.contains(name), &said)
}

/// Whether an import or another item names something now, and did not before, that may be private to another place.
#[must_use]
pub fn may_trespass_in_item(krates: &[CrateSource], krate: usize, change: &ItemChange) -> bool {
    let names = |item: &OtherItem| -> BTreeSet<String> {
        let imports = item.imports.iter().flat_map(|import| {
            let pairs = import.path.windows(2).map(|pair| pair.join("::"));
            import.path.first().cloned().into_iter().chain(pairs)
        });
        item.paths.iter().cloned().chain(imports).collect()
    };
    let known = change.old.as_ref().map(names).unwrap_or_default();
    let now = names(&change.item);
    let said: BTreeSet<String> = now.difference(&known).cloned().collect();
    let fresh: BTreeSet<&str> = said
        .iter()
        .filter_map(|path| path.rsplit("::").next())
        .collect();
    let spot = Spot {
        krate,
        module: &change.item.module,
    };
    let is_there = change.became != Became::Removed && !fresh.is_empty();
    is_there && names_hidden(krates, spot, &|name| fresh.contains(name), &said)
}

/// Whether these paths may lead to something that is private to another place and has one of the names in question.
fn names_hidden(
    krates: &[CrateSource],
    spot: Spot<'_>,
    is_in_question: &dyn Fn(&str) -> bool,
    said: &BTreeSet<String>,
) -> bool {
    let own = &krates[spot.krate];
    // What the module has itself comes before what its glob imports bring.
    let is_brought_by_a_glob = |name: &str| {
        let here = || items(own).filter(|item| *item.module == *spot.module);
        let is_named = |item: &OtherItem| item.names.iter().any(|known| known == name);
        let is_function = |function: &Function| {
            *function.module == *spot.module
                && function.owner == Owner::Free
                && function.name == name
        };
        let mut functions = own.functions();
        said.contains(name)
            && here().any(|item| item.imports.iter().any(|import| import.name == "*"))
            && !here().any(is_named)
            && !functions.any(|(_, function)| is_function(function))
    };
    let all: Vec<&CrateSource> = krates.iter().collect();
    let leads_there = |of: usize, module: &[String], name: &str| {
        let last = module.last().unwrap_or(&krates[of].name);
        let near = ["self", "super", "crate", "Self"].map(str::to_owned);
        let mut before = names_of_module(last, &all).into_iter().chain(near);
        before.any(|before| said.contains(&format!("{before}::{name}")))
            || is_brought_by_a_glob(name)
    };
    krates.iter().enumerate().any(|(of, krate)| {
        let mut items = items(krate);
        let mut functions = krate.functions();
        items.any(|item| {
            let names = || item.names.iter().filter(|name| is_in_question(name));
            item.kind != Kind::Impl
                && !spot.may_name(of, item.home.as_ref())
                && names().any(|name| {
                    let of_a_type = item.name.contains(" of ");
                    of_a_type || leads_there(of, &item.module, name)
                })
        }) || functions.any(|(_, function)| {
            function.owner == Owner::Free
                && is_in_question(&function.name)
                && !spot.may_name(of, function.home.as_ref())
                && leads_there(of, &function.module, &function.name)
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

/// Private associated constants that share their name with a trait's: where they may not be named such a name means the
/// trait's, and in a scope it does not. With the numbers of their crates.
#[must_use]
pub fn namesakes(krates: &[CrateSource]) -> Vec<(usize, &OtherItem)> {
    let all = krates
        .iter()
        .enumerate()
        .flat_map(|(number, krate)| items(krate).map(move |item| (number, item)));
    let of_impl =
        |(_, item): &(usize, &OtherItem)| item.kind == Kind::Const && item.name.contains(" of ");
    let (private, visible): (Vec<_>, Vec<_>) = all
        .filter(of_impl)
        .partition(|(_, item)| item.home.is_some());
    let of_traits: BTreeSet<&String> = visible
        .into_iter()
        .filter(|(_, item)| item.name.contains(" for "))
        .filter_map(|(_, item)| item.names.first())
        .collect();
    let shares =
        |(_, item): &(usize, &OtherItem)| item.names.iter().any(|name| of_traits.contains(name));
    private.into_iter().filter(shares).collect()
}

/// The name of one of these constants that code which mentions these names would take for the trait's.
#[must_use]
pub fn mistaken<'a>(
    namesakes: &[(usize, &'a OtherItem)],
    spot: Spot<'_>,
    mentions: &BTreeSet<String>,
) -> Option<&'a str> {
    let outside = namesakes
        .iter()
        .filter(|(of, item)| !spot.may_name(*of, item.home.as_ref()));
    let mut names = outside.filter_map(|(_, item)| item.names.first());
    names
        .find(|name| mentions.contains(*name))
        .map(String::as_str)
}

/// Methods that not everybody may call, by name: the number of the crate, and the module that may.
#[must_use]
pub fn private_methods(
    krates: &[CrateSource],
    counts: impl Fn(&Function) -> bool,
) -> BTreeMap<&str, Vec<Module>> {
    let mut out: BTreeMap<&str, Vec<Module>> = BTreeMap::new();
    for (number, krate) in krates.iter().enumerate() {
        let functions = krate.functions().map(|(_, function)| function);
        let methods = functions.filter(|function| function.owner != Owner::Free);
        let traits = LazyCell::new(|| krate.homes_of_traits());
        for function in methods.filter(|function| counts(function)) {
            let of_trait = || traits.get(function.owner.trait_name()?).cloned().flatten();
            if let Some(home) = function.home.clone().or_else(of_trait) {
                out.entry(&function.name).or_default().push((number, home));
            }
        }
    }
    out
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
        may_trespass(&[new], 0, (&now.0, &now.1), Some((&before.0, &before.1)))
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
            let spot = Spot {
                krate: 0,
                module: &function.module,
            };
            mistaken(
                &namesakes(std::slice::from_ref(&krate)),
                spot,
                &function.mentions,
            )
        };
        assert_eq!((of("f"), of("g"), of("near")), (Some("ID"), None, None));
    }
}
