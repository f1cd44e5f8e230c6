//! Whether an edit is one for the fast lane: what a patch would hold means there what it means where the user wrote it. Pure.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use super::refusals::{last, shown};
use crate::source::additions::{self, Additions, Edit};
use crate::source::fields::in_place;
use crate::source::file::{FnKey, Function, OtherItem, Owner};
use crate::source::items::{CrateSource, SourceFile};
use crate::source::{diff, privacy, shadows};

/// Nothing differs from what runs.
#[derive(Debug, thiserror::Error)]
#[error("what runs is what the source says")]
pub(super) struct NothingDiffers;

/// It is none, and a type is another one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct AnotherType(String);

/// What a patch is to hold so that the code that runs is that of `new`, if all of it means the same there. `settled` is
/// what the scope was made of. `is_program`: no other crate can name anything of this one.
///
/// # Errors
/// It does not; [`NothingDiffers`], or [`AnotherType`].
pub(super) fn edit(
    settled: &CrateSource,
    running: &CrateSource,
    new: &CrateSource,
    is_program: bool,
) -> Result<Edit> {
    if diff::compare(running, new) == diff::Changes::default() && diff::same_code(running, new) {
        return Err(NothingDiffers.into());
    }
    let edit = additions::edit(settled, running, new, is_program);
    let edit = edit.map_err(|error| match additions::turn_a_type(settled, new) {
        true => AnotherType(error.to_string()).into(),
        false => error,
    })?;
    if edit.bodies.is_empty() {
        bail!("it is no edit of bodies");
    }
    if privacy::narrowed(running, new) {
        bail!("less is visible than before");
    }
    let in_place = in_place(new);
    let namesakes = privacy::namesakes(new);
    for key in &edit.bodies {
        let found = new.function(key).zip(running.function(key));
        let (now, was) = found.context("a function is not in the source")?;
        let function = now.1;
        let can_move = can_move(function) && can_move(was.1) && !in_place.contains(key);
        if !can_move {
            bail!("`{}` is no plain function", new.path_of(function));
        }
        if may_misread(new, &namesakes, now, Some(was)) {
            bail!("`{}` may name what is private", new.path_of(function));
        }
    }
    let Additions {
        functions, methods, ..
    } = &edit.additions;
    for key in functions.iter().chain(methods) {
        let now = new
            .function(key)
            .context("a function is not in the source")?;
        let path = || new.path_of(now.1);
        if !can_move(now.1) || in_place.contains(key) {
            bail!("`{}` is no plain function", path());
        }
        if may_misread(new, &namesakes, now, None) {
            bail!("`{}` may name what is private", path());
        }
    }
    for kept in &edit.additions.kept {
        let text = new
            .file(&kept.file)
            .and_then(|file| file.parsed.text.get(kept.range.clone()));
        let text = text.context("an item is not in the source")?;
        let names = additions::words(text).map(str::to_owned).collect();
        let module = &kept.module;
        if privacy::code_may_trespass(new, module, &names, ["", text])
            || privacy::mistaken(&namesakes, module, &names).is_some()
            || shadows::unknown(new, module, (text, &names)).is_some()
        {
            bail!("what is added may name what is private");
        }
    }
    Ok(edit)
}

/// Whether a body may say something that it could not say in its crate, or would mean something else there: in a scope
/// everything is visible.
fn may_misread(
    source: &CrateSource,
    namesakes: &[&OtherItem],
    now: (&SourceFile, &Function),
    was: Option<(&SourceFile, &Function)>,
) -> bool {
    let (file, function) = now;
    let module = &function.module;
    let body = &file.parsed.text[function.body.clone()];
    let mentions = &function.mentions;
    privacy::may_trespass(source, now, was)
        || privacy::mistaken(namesakes, module, mentions).is_some()
        || shadows::unknown(source, module, (body, mentions)).is_some()
}

/// A function whose body, or the instances of it, can be compiled elsewhere without anybody noticing.
fn can_move(function: &Function) -> bool {
    let is_drop =
        matches!(&function.owner, Owner::Impl(head) if head.trait_name.as_deref() == Some("Drop"));
    let is_main = function.name == "main" && function.module.is_empty();
    let is_special = function.attrs.iter().any(|(_, name)| {
        matches!(
            name.as_str(),
            "no_mangle" | "export_name" | "unsafe" | "link_section" | "cfg_attr" | "track_caller"
        )
    });
    (function.plain || function.generic) && !is_drop && !is_main && !is_special
}

/// Functions that some of these may not name, in a scope they may: each by the last name of what it belongs to, or nothing
/// where that is not known, and its own.
pub(super) fn hidden_from<'a>(
    source: &CrateSource,
    functions: impl Iterator<Item = &'a FnKey>,
) -> BTreeSet<(String, String)> {
    let found = functions.filter_map(|key| source.function(key));
    let modules: Vec<_> = found.map(|(_, function)| function.module.clone()).collect();
    let traits = source.homes_of_traits();
    let hidden = source.functions().filter(|(_, function)| {
        let of_trait = function.owner.trait_name();
        let home = function.home.clone();
        let home = home.or_else(|| traits.get(of_trait?)?.clone());
        home.is_some_and(|home| modules.iter().any(|module| !module.starts_with(&home)))
    });
    let named = hidden.map(|(_, function)| {
        let owner = match &function.owner {
            Owner::Free => function.module.last().unwrap_or(&source.name),
            Owner::Impl(head) if head.self_name == "?" => "",
            Owner::Impl(head) => &head.self_name,
            Owner::Trait(name) => name,
        };
        (owner.to_owned(), function.name.clone())
    });
    named.collect()
}

/// What a function belongs to by its path as people read it, and its own name: of `<app::World as app::Show>::show` that
/// is `World` and `Show`, of `app::world::report` it is `world`.
fn owners(path: &str) -> (Vec<&str>, &str) {
    let path = path.split("::{").next().unwrap_or(path);
    let arguments = path.rfind("::<").filter(|_| path.ends_with('>'));
    let path = &path[..arguments.unwrap_or(path.len())];
    let (around, own) = path.rsplit_once("::").unwrap_or(("", path));
    let inner = around
        .strip_prefix('<')
        .and_then(|inner| inner.strip_suffix('>'));
    let parts = inner.unwrap_or(around).split(" as ");
    let name = |part| last(part).trim_start_matches(['&', '(', '[']);
    (parts.map(name).collect(), own)
}

/// Whether the function of this path is among those, each with what it belongs to, if that is known, and its own name.
pub(super) fn is_one_of(path: &str, functions: &BTreeSet<(String, String)>) -> bool {
    let (owners, own) = owners(path);
    let mut owners = owners.into_iter().chain([""]);
    owners.any(|owner| functions.contains(&(owner.to_owned(), own.to_owned())))
}

/// Whether a crate names the ids of types, in a constant perhaps.
pub(super) fn says_type_id(source: &CrateSource) -> bool {
    let mut files = source.files.iter();
    files.any(|file| file.parsed.text.contains("TypeId"))
}

/// Whether code of this symbol may look at the id of a type. A program's scope is another crate than the program, so that
/// the ids of its types are others.
pub(super) fn tells_ids(symbol: &str) -> bool {
    const WORDS: &[&str] = &["::any::", "TypeId", "type_id", "downcast", "::is::<"];
    let path = shown(symbol);
    WORDS.iter().any(|word| path.contains(word))
}

#[cfg(test)]
mod tests {
    use super::owners;

    #[test]
    fn functions_are_told_by_what_they_belong_to() {
        assert_eq!(
            owners("<app::world::World as app::Show>::show"),
            (vec!["World", "Show"], "show")
        );
        assert_eq!(
            owners("<app::world::World<u8>>::report::{closure#0}"),
            (vec!["World"], "report")
        );
        assert_eq!(
            owners("app::world::report::<app::A>"),
            (vec!["world"], "report")
        );
        assert_eq!(owners("app::main"), (vec!["app"], "main"));
    }
}
