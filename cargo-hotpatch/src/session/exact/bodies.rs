//! New bodies for the fast lane, compiled against the scope, under the names that the program has.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::refusals::shown;
use super::scoped::ScopedCrate;
use crate::build::identity::Roots;
use crate::command::CancelToken;
use crate::image::elf::{self, Elf};
use crate::object::rename::{undefine, with_names};
use crate::object::v0;
use crate::patch::compile::{Recipe, compile};
use crate::source::additions::Additions;
use crate::source::extract::{ADDED_TRAIT, Contents};
use crate::source::file::FnKey;
use crate::source::items::CrateSource;

/// New bodies, compiled.
pub(super) struct Bodies<'a> {
    /// With the names that the program has.
    pub(super) object: Vec<u8>,
    /// The functions by the symbols that they have in the program.
    pub(super) functions: BTreeMap<String, &'a FnKey>,
    /// Functions that are new, by the symbols that they are to have.
    pub(super) added: BTreeMap<String, &'a FnKey>,
    /// The root of symbols that are the patch's alone.
    pub(super) root: String,
}

/// What the program has, or is to have, of what is compiled.
#[derive(Debug, Default)]
pub(super) struct InProgram<'a> {
    /// Symbols of instances.
    pub(super) instances: Vec<&'a str>,
    /// The symbols that added methods are to have, in their order.
    pub(super) methods: Vec<String>,
}

/// Compiles what a patch holds.
///
/// # Errors
/// rustc does not take it, or an instance is not in the program once.
pub(super) fn compiled<'a>(
    scoped: &ScopedCrate,
    source: &CrateSource,
    contents: Contents<'a>,
    program: &InProgram<'_>,
    folder: &Path,
    cancel: &CancelToken,
) -> Result<Bodies<'a>> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let identity = format!("hotpatch-{}-{name}", std::process::id());
    let recipe = Recipe {
        unit: &scoped.unit,
        source,
        contents,
        scope: &scoped.scope,
        folder,
        identity: &identity,
    };
    let compiled = compile(&recipe, cancel)?;
    let pairs = &compiled.pairs;
    let root = pairs
        .first()
        .and_then(|pair| v0::root(&pair.new, &scoped.unit.krate));
    let root = root.context("the patch has no root")?;
    let mut functions = BTreeMap::new();
    let mut told = BTreeMap::new();
    for pair in pairs {
        let key = usize::try_from(pair.index).ok();
        let key = key.and_then(|index| contents.wanted.get(index));
        let key = key.context("the patch has a function that nobody wants")?;
        let name = match pair.old.strip_suffix(root) {
            Some(old) => made_elsewhere(&in_program(old, &scoped.roots), &program.instances)
                .with_context(|| format!("`{}` is not in the program once", shown(&pair.old)))?,
            None => in_program(&pair.old, &scoped.roots),
        };
        told.insert(pair.new.as_str(), name.clone());
        if pair.old.ends_with(root) {
            told.insert(pair.old.as_str(), name.clone());
        }
        functions.insert(name, key);
    }
    let added = added(&compiled.data, source, contents.additions, program)?;
    for (symbol, (name, _)) in &added {
        let name = match name {
            Some(name) => name.clone(),
            None => symbol.replace(root, &scoped.roots.base),
        };
        told.insert(symbol, name);
    }
    let added = added
        .iter()
        .map(|(symbol, (_, key))| (told[symbol.as_str()].clone(), *key))
        .collect();
    let mut data = compiled.data.clone();
    // The body of before, which the patch need not bring.
    let is_older = |name: &str| name.ends_with(root) && pairs.iter().any(|pair| pair.old == name);
    undefine(&mut data, is_older)?;
    Ok(Bodies {
        object: as_the_program_names_it(&data, &told, root, &scoped.roots)?,
        functions,
        added,
        root: root.to_owned(),
    })
}

/// The added functions by their symbols in the patch, each with the one that the program is to have, if that is told.
fn added<'a>(
    object: &[u8],
    source: &CrateSource,
    additions: &'a Additions,
    program: &InProgram<'_>,
) -> Result<BTreeMap<String, (Option<String>, &'a FnKey)>> {
    if additions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    let defined = symbols
        .iter()
        .filter(|raw| raw.kind == elf::STT_FUNC && raw.section != elf::SHN_UNDEF);
    let defined: Vec<&str> = defined.map(|raw| symbols.name(&raw)).collect();
    let mut found = BTreeMap::new();
    let mut add = |name: &str, is_it: &dyn Fn(&str) -> bool, told, key| -> Result<()> {
        let mut symbols = defined.iter().filter(|symbol| is_it(&shown(symbol)));
        match (symbols.next(), symbols.next()) {
            (Some(symbol), None) => found.insert((*symbol).to_owned(), (told, key)),
            _ => bail!("`{name}` is not in the patch once"),
        };
        Ok(())
    };
    for key in &additions.functions {
        let function = source
            .function(key)
            .context("a function is not in the source")?
            .1;
        let path = [source.name.as_str()];
        let path = path
            .into_iter()
            .chain(function.module.iter().map(String::as_str));
        let path: Vec<&str> = path.chain([function.name.as_str()]).collect();
        let path = path.join("::");
        add(&function.name, &|symbol| symbol == path, None, key)?;
    }
    for (number, (key, told)) in additions.methods.iter().zip(&program.methods).enumerate() {
        let function = source
            .function(key)
            .context("a function is not in the source")?
            .1;
        let end = format!("::{ADDED_TRAIT}{number}>::{}", function.name);
        add(
            &function.name,
            &|symbol| symbol.ends_with(&end),
            Some(told.clone()),
            key,
        )?;
    }
    Ok(found)
}

/// A symbol of a scope as the program has it.
fn in_program(symbol: &str, roots: &Roots) -> String {
    symbol.replace(&roots.scope, &roots.base)
}

/// The one of these symbols that is this instance, for whichever crate it was compiled.
fn made_elsewhere(instance: &str, known: &[&str]) -> Option<String> {
    let is_it = |symbol: &&&str| {
        let compiled_for = symbol.strip_prefix(instance);
        compiled_for.is_some_and(|root| root.starts_with("Cs") || root.starts_with('B'))
    };
    let mut found = known.iter().filter(is_it);
    let first = found.next()?;
    found.next().is_none().then(|| (*first).to_owned())
}

/// The object with the names that the program has for the same, some of which are `told`. `own` is the root of the
/// patch's symbols.
fn as_the_program_names_it(
    object: &[u8],
    told: &BTreeMap<&str, String>,
    own: &str,
    roots: &Roots,
) -> Result<Vec<u8>> {
    let renamed = with_names(object, |name| {
        if let Some(told) = told.get(name) {
            return Some(told.clone());
        }
        let mut told = in_program(name, roots);
        // An instance of generic code that says nothing of the patch but that it was made there.
        let is_for_us = name.ends_with(own) && name.matches(own).count() == 1;
        if is_for_us && v0::is_mangled(name) {
            told.truncate(told.len() - own.len());
            told = v0::compiled_for(&told, &roots.base);
        }
        (told != name).then_some(told)
    })?;
    Ok(renamed)
}
