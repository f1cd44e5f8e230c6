//! Refuses what may change a type, going by names alone: where debug information cannot give a second opinion.
//!
//! Coarser than [`crate::source::names`] on purpose: whatever mentions a changed name may mean it, in whichever
//! module and crate it stands, and names made of that count as changed, too.

use std::collections::BTreeSet;

use super::codes::Code;
use super::verdict::Refusal;
use crate::source::diff::{Became, Changes};
use crate::source::file::{Kind, OtherItem};
use crate::source::items::{CrateSource, SourceFile};

/// Why it is refused what is not known to be harmless.
const WHY: &str = "without debug information nothing else could tell: `debug = \"full\"` in the profile \
                   lets more edits through";

/// The first type that these changes may make another one. `earlier` are the sources of all generations.
#[must_use]
pub fn refusal(
    earlier: &[&[CrateSource]],
    new: &[CrateSource],
    changes: &[Changes],
) -> Option<Refusal> {
    returned(earlier, changes).or_else(|| mentioned(earlier, new, changes))
}

/// A new type whose name an earlier generation had for another.
fn returned(earlier: &[&[CrateSource]], changes: &[Changes]) -> Option<Refusal> {
    let added = changes.iter().enumerate().flat_map(|(krate, changes)| {
        let items = changes.items.iter();
        items
            .filter(|change| change.became == Became::Added && change.item.kind == Kind::Type)
            .map(move |change| (krate, change))
    });
    for (krate, change) in added {
        let item = &change.item;
        let is_other = |old: &OtherItem| {
            old.kind == Kind::Type
                && old.name == item.name
                && old.module == item.module
                && old.surface != item.surface
        };
        let before = earlier.iter().filter_map(|sources| sources.get(krate));
        if before.flat_map(items).any(|(_, old)| is_other(old)) {
            let message = format!("layout of {} changed", item.title);
            let refusal = Refusal::new(Code::HP0101, message, &change.file, change.place);
            return Some(
                refusal
                    .because("an earlier generation had another type of that name")
                    .because(WHY),
            );
        }
    }
    None
}

/// A type that mentions what changed, directly or through other items.
fn mentioned(
    earlier: &[&[CrateSource]],
    new: &[CrateSource],
    changes: &[Changes],
) -> Option<Refusal> {
    let old = earlier.last().copied().unwrap_or_default();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for (krate, changes) in changes.iter().enumerate() {
        let kept = |kind| {
            matches!(
                kind,
                Kind::Const | Kind::MacroRules | Kind::Impl | Kind::Type
            )
        };
        let items = changes.items.iter().filter(|change| {
            kept(change.item.kind) && change.became != Became::Added && !change.keeps_values()
        });
        names.extend(items.flat_map(|change| change.item.names.iter().map(String::as_str)));
        let constant = [old.get(krate), new.get(krate)];
        let functions = constant.into_iter().flatten().flat_map(|source| {
            let keys = changes.bodies.iter().chain(&changes.signatures);
            keys.filter_map(|key| source.function(key))
        });
        names.extend(
            functions
                .filter(|(_, function)| function.constant)
                .map(|(_, function)| function.name.as_str()),
        );
    }
    if names.is_empty() {
        return None;
    }
    let all: Vec<(&SourceFile, &OtherItem)> = new.iter().flat_map(items).collect();
    loop {
        let before = names.len();
        for (file, item) in &all {
            let Some(cause) = mention(item, &names) else {
                continue;
            };
            if is_made_of_types(item) {
                let message = format!("layout of {} may have changed", item.title);
                let refusal = Refusal::new(Code::HP0101, message, &file.path, item.place);
                let because = format!("it mentions `{cause}`, which changed");
                return Some(refusal.because(because).because(WHY));
            }
            names.extend(item.names.iter().map(String::as_str));
        }
        let constant = new.iter().flat_map(CrateSource::functions);
        let constant = constant.filter(|(_, function)| function.constant);
        let calling = constant
            .filter(|(_, function)| function.mentions.iter().any(|word| names.contains(&**word)));
        let calling: Vec<&str> = calling
            .map(|(_, function)| function.name.as_str())
            .collect();
        names.extend(calling);
        if names.len() == before {
            return None;
        }
    }
}

/// A type, or what may make some; `type X = …` is one, too.
fn is_made_of_types(item: &OtherItem) -> bool {
    matches!(
        item.kind,
        Kind::Type | Kind::Trait | Kind::Static | Kind::ThreadLocal | Kind::ItemMacro
    )
}

fn mention<'a>(item: &'a OtherItem, names: &BTreeSet<&'a str>) -> Option<&'a str> {
    let own = |word: &str| item.names.iter().any(|name| name == word);
    let paths = item
        .paths
        .iter()
        .flat_map(|path| path.split("::").map(|part| part.trim_start_matches('.')));
    let words = item.mentions.iter().map(String::as_str);
    paths
        .chain(words)
        .find(|word| names.contains(word) && !own(word))
}

fn items(source: &CrateSource) -> impl Iterator<Item = (&SourceFile, &OtherItem)> {
    let files = source.files.iter();
    files.flat_map(|file| file.parsed.items.iter().map(move |item| (file, item)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::diff;
    use crate::source::items::fake::krate;

    fn between(texts: &[&str]) -> Option<String> {
        let sources: Vec<Vec<CrateSource>> = texts
            .iter()
            .map(|text| vec![krate(&[("src/main.rs", text)])])
            .collect();
        let (new, earlier) = sources.split_last().expect("two versions");
        let earlier: Vec<&[CrateSource]> = earlier.iter().map(Vec::as_slice).collect();
        let old = earlier.last().expect("an earlier version");
        let changes = vec![diff::compare(&old[0], &new[0])];
        let found = refusal(&earlier, new, &changes)?;
        assert_eq!(found.code, Code::HP0101);
        Some(format!("{} ({})", found.message, found.reasons[0]))
    }

    #[test]
    fn a_type_that_mentions_a_changed_name_is_refused() {
        let struct_s = Some("layout of struct `S` may have changed".to_owned());
        let told = |old: &str, new: &str| {
            between(&[old, new]).map(|text| text.split(" (").next().unwrap_or_default().to_owned())
        };
        let with = |item: &str, ty: &str| format!("{item} struct S {{ a: {ty} }}");
        for (old, new, ty) in [
            ("const N: usize = 1;", "const N: usize = 2;", "[u8; N]"),
            (
                "const N: usize = 1;",
                "const N: usize = 2;",
                "[u8; other::N]",
            ),
            (
                "const N: usize = 1; const M: usize = N;",
                "const N: usize = 2; const M: usize = N;",
                "[u8; M]",
            ),
            (
                "const fn n() -> usize { 1 }",
                "const fn n() -> usize { 2 }",
                "[u8; n()]",
            ),
            (
                "const fn m() -> usize { 1 } const fn n() -> usize { m() }",
                "const fn m() -> usize { 2 } const fn n() -> usize { m() }",
                "[u8; n()]",
            ),
            (
                "macro_rules! t { () => { u8 } }",
                "macro_rules! t { () => { u16 } }",
                "t!()",
            ),
            (
                "impl Tr for u8 { type A = u8; }",
                "impl Tr for u8 { type A = u16; }",
                "<u8 as Tr>::A",
            ),
        ] {
            assert_eq!(
                told(&with(old, ty), &with(new, ty)),
                struct_s,
                "{old} in {ty}"
            );
            assert_eq!(told(&with(old, "u8"), &with(new, "u8")), None, "{old}");
        }
        assert_eq!(
            between(&[
                "const N: u8 = 1; static A: [u8; N as usize] = []; fn f() {}",
                "const N: u8 = 2; static A: [u8; N as usize] = []; fn f() {}",
            ])
            .as_deref(),
            Some("layout of static `A` may have changed (it mentions `N`, which changed)")
        );
    }

    #[test]
    fn bodies_and_new_items_are_not_refused() {
        let old = "const N: u8 = 1; struct S([u8; N as usize]); fn f() {}";
        for more in [
            "fn g() {}",
            "const M: u8 = N;",
            "struct T([u8; N as usize]);",
            "impl S { fn h() {} }",
            "use std::fmt;",
        ] {
            assert_eq!(between(&[old, &format!("{old} {more}")]), None, "{more}");
        }
        assert_eq!(between(&[old, &old.replace("f() {}", "f() { 1; }")]), None);
    }

    #[test]
    fn a_type_that_comes_back_is_what_it_was() {
        let with = |fields: &str| format!("fn f() {{}} struct S {{ {fields} }}");
        let gone = "fn f() {}";
        assert_eq!(between(&[&with("a: u8"), gone, &with("a: u8")]), None);
        assert_eq!(between(&[gone, &with("a: u8")]), None);
        assert_eq!(
            between(&[&with("a: u8"), gone, &with("a: u16")]).as_deref(),
            Some(
                "layout of struct `S` changed (an earlier generation had another type of that name)"
            )
        );
    }
}
