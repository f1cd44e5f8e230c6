//! What an edit adds to a crate beside new bodies: helpers, methods, constants and types, as far as a patch can have them for
//! itself. Pure.
//!
//! A patch is compiled against the crate as it was. What is new stands in the patch, in the module where the user wrote
//! it, and comes there before what the scope has. That is right as long as nobody else means it: a name that is new must
//! not have been said before, and what says a name with another meaning is compiled again. Names are looked for in the
//! text, where nothing that a macro makes of it can hide; whatever is in doubt is no addition.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::diff::compare;
use super::file::{FnKey, Function, Impl, Kind, OtherItem, Owner};
use super::items::{CrateSource, SourceFile};

/// What a patch has of its own.
#[derive(Debug, Clone, Default)]
pub struct Additions {
    /// Free functions that the crate did not have.
    pub functions: Vec<FnKey>,
    /// Methods and associated functions that it did not have, of types that it had.
    pub methods: Vec<FnKey>,
    /// What stands in the patch as it is written, with its file and module; those functions among it.
    pub kept: Vec<Kept>,
    /// Names of what everybody may name now, for other crates to be asked.
    pub public: BTreeSet<String>,
}

/// A stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub range: Range<usize>,
    /// The module it stands in.
    pub module: Arc<[String]>,
}

impl Additions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.methods.is_empty()
    }

    /// All words of what is kept.
    #[must_use]
    pub fn words<'a>(&self, krate: &'a CrateSource) -> BTreeSet<&'a str> {
        let texts = self.kept.iter().filter_map(|kept| {
            let file = krate.file(&kept.file)?;
            file.parsed.text.get(kept.range.clone())
        });
        texts.flat_map(words).collect()
    }
}

/// What an edit is, beside what it adds.
#[derive(Debug, Default)]
pub struct Edit {
    /// Functions to be compiled anew.
    pub bodies: Vec<FnKey>,
    /// What the patch has of its own.
    pub additions: Additions,
}

/// The edit that leads from the crate as its scope has it, and from the code that runs, to `new`. `is_program`: no other
/// crate can name anything of this one.
///
/// # Errors
/// It is more than this, in a few words.
pub fn edit(
    scope: &CrateSource,
    running: &CrateSource,
    new: &CrateSource,
    is_program: bool,
) -> Result<Edit> {
    let since_running = compare(running, new);
    let since_scope = compare(scope, new);
    if !since_running.more && !since_scope.more {
        return Ok(Edit {
            bodies: since_running.bodies,
            additions: Additions::default(),
        });
    }
    if since_scope.moved || since_running.moved {
        bail!("macros are known elsewhere");
    }
    // Mostly nothing runs ahead of the scope.
    let ran_with = match compare(scope, running).more {
        true => {
            fit(scope, running, new)?;
            Finder::new(scope, running, is_program).find()?
        }
        false => Vec::new(),
    };
    let mut now = Finder::new(scope, new, is_program);
    let callers = now.find()?;
    let bodies = since_running.bodies.into_iter().chain(since_scope.bodies);
    let mut all: BTreeSet<FnKey> = bodies.chain(callers).chain(ran_with).collect();
    let own: BTreeSet<&FnKey> = now.own.iter().collect();
    all.retain(|key| {
        let is_known = [scope, running, new]
            .iter()
            .all(|of| of.function(key).is_some());
        is_known && !own.contains(key)
    });
    Ok(Edit {
        bodies: all.into_iter().collect(),
        additions: now.additions,
    })
}

/// Code that runs may go on with what an earlier patch added: that must be the same, up to bodies and values.
fn fit(scope: &CrateSource, running: &CrateSource, new: &CrateSource) -> Result<()> {
    let (of_scope, of_running, of_new) = (items(scope), items(running), items(new));
    let added = of_running
        .iter()
        .filter(|(key, _)| !of_scope.contains_key(*key));
    for (key, (_, was)) in added.filter(|((_, kind, ..), _)| *kind != Kind::Const) {
        if of_new.get(key).is_some_and(|(_, is)| is.code != was.code) {
            bail!("a type that was just added is another now");
        }
    }
    for (_, was) in running.functions() {
        let is_another = |is: &Function| is.signature != was.signature;
        let now = new.function(&was.key).map(|(_, now)| now);
        if scope.function(&was.key).is_none() && now.is_some_and(is_another) {
            bail!("a signature that was just added is another now");
        }
    }
    Ok(())
}

/// Whether a type of the crate is written otherwise than before.
#[must_use]
pub fn turn_a_type(old: &CrateSource, new: &CrateSource) -> bool {
    let (before, after) = (items(old), items(new));
    let mut types = after
        .iter()
        .filter(|((_, kind, ..), _)| *kind == Kind::Type);
    types.any(|(key, (_, is))| before.get(key).is_some_and(|(_, was)| was.code != is.code))
}

/// What an item is known by.
type ItemKey<'a> = (&'a [String], Kind, &'a str, usize);

struct Finder<'a> {
    scope: &'a CrateSource,
    new: &'a CrateSource,
    is_program: bool,
    additions: Additions,
    /// Functions that are part of what is kept.
    own: Vec<FnKey>,
    /// Names that nothing had before.
    fresh: BTreeSet<String>,
    /// Names that nothing has any more.
    gone: BTreeSet<String>,
    /// Names that mean something else now, each with the module where alone that is so; of a macro with none.
    turned: Vec<(String, Option<Arc<[String]>>)>,
    /// What the patch has of every macro that it needs, with the files.
    macros: Vec<(PathBuf, Range<usize>)>,
    /// Types that are new, by their names.
    types: BTreeSet<&'a str>,
    /// Types that are gone.
    gone_types: BTreeSet<&'a str>,
}

impl<'a> Finder<'a> {
    fn new(scope: &'a CrateSource, new: &'a CrateSource, is_program: bool) -> Self {
        Self {
            scope,
            new,
            is_program,
            additions: Additions::default(),
            own: Vec::new(),
            fresh: BTreeSet::new(),
            gone: BTreeSet::new(),
            turned: Vec::new(),
            macros: Vec::new(),
            types: BTreeSet::new(),
            gone_types: BTreeSet::new(),
        }
    }

    /// Finds what was added, and gives back who says a name that means something else.
    fn find(&mut self) -> Result<Vec<FnKey>> {
        self.items()?;
        self.functions()?;
        self.check_fresh()?;
        self.check_gone()?;
        self.callers()
    }

    fn items(&mut self) -> Result<()> {
        let (before, after) = (items(self.scope), items(self.new));
        let is_added = |key: &ItemKey<'_>| !before.contains_key(key);
        let is_removed = |key: &ItemKey<'_>| !after.contains_key(key);
        let type_names = |of: &BTreeMap<ItemKey<'a>, (&'a SourceFile, &'a OtherItem)>,
                          is_meant: &dyn Fn(&ItemKey<'_>) -> bool|
         -> BTreeSet<&'a str> {
            let types = of.iter().filter(|((_, kind, ..), _)| *kind == Kind::Type);
            let meant = types.filter(|(key, _)| is_meant(key));
            meant
                .flat_map(|(_, (_, item))| item.names.iter().map(String::as_str))
                .collect()
        };
        self.types = type_names(&after, &is_added);
        self.gone_types = type_names(&before, &is_removed);
        for (key, (file, item)) in &after {
            match before.get(key) {
                Some((_, was)) if was.code == item.code => {}
                Some(_) => self.changed(file, item)?,
                None => self.added(file, item)?,
            }
        }
        for (_, (_, item)) in before.iter().filter(|(key, _)| is_removed(key)) {
            self.removed(item)?;
        }
        Ok(())
    }

    fn keep(&mut self, file: &SourceFile, range: Range<usize>, module: &Arc<[String]>) {
        self.additions.kept.push(Kept {
            file: file.path.clone(),
            range,
            module: module.clone(),
        });
    }

    fn added(&mut self, file: &SourceFile, item: &OtherItem) -> Result<()> {
        match item.kind {
            // Of an `impl` block, which comes along as a whole if it is one of a new type.
            Kind::Const if item.name.contains(" of ") => {
                let block = item.name.split_once(" of ").map(|(_, block)| block);
                if !block.is_some_and(|block| is_of_one(block, &self.types)) {
                    bail!("it adds an associated constant");
                }
            }
            Kind::Const | Kind::Type => {
                let names = item.names.iter().filter(|name| *name != "_").cloned();
                let names: Vec<String> = names.collect();
                if item.home.is_none() && !self.is_program {
                    self.additions.public.extend(names.iter().cloned());
                }
                self.fresh.extend(names);
                self.keep(file, item.range.clone(), &item.module);
            }
            Kind::Impl if is_of_one(&item.name, &self.types) => {
                self.keep(file, item.range.clone(), &item.module);
            }
            // A patch has the macros that it needs.
            Kind::MacroRules if self.is_own_macro(file, item) => {
                self.fresh.extend(item.names.iter().cloned());
            }
            _ => bail!("it adds more than functions, constants and types"),
        }
        Ok(())
    }

    /// Whether no other crate can call a macro.
    fn is_own_macro(&self, file: &SourceFile, item: &OtherItem) -> bool {
        let text = file.parsed.text.get(item.range.clone());
        self.is_program || text.is_some_and(|text| !text.contains("macro_export"))
    }

    fn turn_macro(&mut self, file: &SourceFile, item: &OtherItem) {
        let names = item.names.iter().map(|name| (name.clone(), None));
        self.turned.extend(names);
        self.macros.push((file.path.clone(), item.range.clone()));
    }

    fn changed(&mut self, file: &SourceFile, item: &OtherItem) -> Result<()> {
        if item.kind == Kind::MacroRules && self.is_own_macro(file, item) {
            self.turn_macro(file, item);
            return Ok(());
        }
        let is_own = item.home.is_some() || self.is_program;
        if item.kind != Kind::Const || item.name.contains(" of ") || !is_own {
            bail!("it changes more than functions, constants and macros");
        }
        let names = item
            .names
            .iter()
            .map(|name| (name.clone(), Some(item.module.clone())));
        self.turned.extend(names);
        self.keep(file, item.range.clone(), &item.module);
        Ok(())
    }

    fn removed(&mut self, item: &OtherItem) -> Result<()> {
        let of_a_gone_type = |block: &str| is_of_one(block, &self.gone_types);
        match item.kind {
            Kind::Const | Kind::Type if !item.name.contains(" of ") => {
                self.gone.extend(item.names.iter().cloned());
            }
            Kind::Const
                if item
                    .name
                    .split_once(" of ")
                    .is_some_and(|(_, of)| of_a_gone_type(of)) => {}
            Kind::Impl if of_a_gone_type(&item.name) => {}
            _ => bail!("it removes more than functions, constants and types"),
        }
        Ok(())
    }

    fn functions(&mut self) -> Result<()> {
        let all = |krate: &'a CrateSource| -> BTreeMap<&'a FnKey, (&'a SourceFile, &'a Function)> {
            let all = krate.functions();
            all.map(|(file, function)| (&function.key, (file, function)))
                .collect()
        };
        let (before, after) = (all(self.scope), all(self.new));
        for (key, (file, function)) in &after {
            match before.get(*key) {
                Some((_, was)) if was.signature == function.signature => {}
                Some((_, was)) => {
                    let is_own = function.home.is_some() && was.home.is_some() || self.is_program;
                    let is_plain = function.plain && was.plain;
                    if function.owner != Owner::Free || !is_own || !is_plain {
                        bail!("it changes a signature");
                    }
                    let name = (function.name.clone(), Some(function.module.clone()));
                    self.turned.push(name);
                    self.own.push((*key).clone());
                    self.keep(file, function.item.clone(), &function.module);
                }
                None => self.added_function(file, function)?,
            }
        }
        for (_, function) in before
            .iter()
            .filter(|(key, _)| !after.contains_key(**key))
            .map(|(_, of)| of)
        {
            match &function.owner {
                Owner::Impl(head) if self.gone_types.contains(head.self_name.as_str()) => {}
                Owner::Free => drop(self.gone.insert(function.name.clone())),
                Owner::Impl(head) if head.trait_path.is_none() => {
                    self.gone.insert(function.name.clone());
                }
                _ => bail!("it removes what implements a trait"),
            }
        }
        Ok(())
    }

    fn added_function(&mut self, file: &SourceFile, function: &Function) -> Result<()> {
        self.own.push(function.key.clone());
        if let Owner::Impl(head) = &function.owner
            && self.types.contains(head.self_name.as_str())
        {
            // Its block comes along.
            return Ok(());
        }
        let is_free = function.owner == Owner::Free;
        let is_method = matches!(&function.owner, Owner::Impl(head) if is_inherent(head));
        if !function.plain || !(is_free || is_method) {
            bail!("it adds a function that is no plain one");
        }
        if function.home.is_none() && !self.is_program {
            self.additions.public.insert(function.name.clone());
        }
        self.fresh.insert(function.name.clone());
        if is_free {
            self.keep(file, function.item.clone(), &function.module);
            self.additions.functions.push(function.key.clone());
        } else {
            self.additions.methods.push(function.key.clone());
        }
        Ok(())
    }

    /// Whoever said such a name before may mean something else now.
    fn check_fresh(&self) -> Result<()> {
        for file in &self.scope.files {
            if let Some((_, name)) = said(&file.parsed.text, &self.fresh).first() {
                bail!("`{name}` is no new name");
            }
        }
        Ok(())
    }

    /// The scope has it still.
    fn check_gone(&self) -> Result<()> {
        for file in &self.new.files {
            if let Some((_, name)) = said(&file.parsed.text, &self.gone).first() {
                bail!("`{name}` is gone and still a name");
            }
        }
        Ok(())
    }

    /// The functions that say a name which means something else now.
    fn callers(&mut self) -> Result<Vec<FnKey>> {
        self.turn_macros();
        let names: BTreeSet<String> = self.turned.iter().map(|(name, _)| name.clone()).collect();
        let mut callers = Vec::new();
        for file in &self.new.files {
            for (at, name) in said(&file.parsed.text, &names) {
                let mut macros = self.macros.iter();
                if macros.any(|(path, range)| *path == file.path && range.contains(&at)) {
                    continue;
                }
                let mut kept = self.additions.kept.iter();
                let kept = kept.find(|of| of.file == file.path && of.range.contains(&at));
                let (module, caller) = match kept {
                    Some(kept) => (&kept.module, None),
                    None => {
                        let mut functions = file.parsed.functions.iter();
                        // In a signature, or a type, it may change what others see.
                        let function = functions
                            .find(|function| function.body.contains(&at))
                            .with_context(|| format!("`{name}` is said outside of bodies"))?;
                        (&function.module, Some(function.key.clone()))
                    }
                };
                // Elsewhere the scope's own might be meant.
                let is_near = |(other, of): &(String, Option<Arc<[String]>>)| {
                    other != name || of.as_ref().is_none_or(|of| of == module)
                };
                if !self.turned.iter().all(is_near) {
                    bail!("`{name}` is said in another module");
                }
                callers.extend(caller);
            }
        }
        Ok(callers)
    }

    /// Macros that say a macro which is another now are others too.
    fn turn_macros(&mut self) {
        let is_macro = |(file, item): &(&'a SourceFile, &'a OtherItem)| {
            item.kind == Kind::MacroRules && self.is_own_macro(file, item)
        };
        let files = self.new.files.iter();
        let all = files.flat_map(|file| file.parsed.items.iter().map(move |item| (file, item)));
        let macros: Vec<_> = all.filter(is_macro).collect();
        loop {
            let is_turned = |name: &String| self.turned.iter().any(|(of, _)| of == name);
            let next = macros.iter().find(|(_, item)| {
                !item.names.iter().any(is_turned) && item.mentions.iter().any(is_turned)
            });
            match next {
                Some((file, item)) => self.turn_macro(file, item),
                None => return,
            }
        }
    }
}

/// An `impl` of no trait, of a type without parameters.
fn is_inherent(head: &Impl) -> bool {
    head.trait_path.is_none() && !head.generic && head.generics.is_empty()
}

/// Whether an `impl` block, by its head, is of one of these types.
fn is_of_one(block: &str, types: &BTreeSet<&str>) -> bool {
    let Ok(block) = syn::parse_str::<syn::ItemImpl>(block) else {
        return false;
    };
    match &*block.self_ty {
        syn::Type::Path(ty) => {
            let last = ty.path.segments.last();
            last.is_some_and(|last| types.iter().any(|name| last.ident == name))
        }
        _ => false,
    }
}

fn items(krate: &CrateSource) -> BTreeMap<ItemKey<'_>, (&SourceFile, &OtherItem)> {
    let mut out = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for file in &krate.files {
        for item in &file.parsed.items {
            let count: &mut usize = seen
                .entry((&*item.module, item.kind, &*item.name))
                .or_default();
            *count += 1;
            out.insert(
                (&*item.module, item.kind, &*item.name, *count),
                (file, item),
            );
        }
    }
    out
}

/// Where a text says these names. What stands on a line of its own behind `//` is nobody's.
fn said<'text>(text: &'text str, names: &BTreeSet<String>) -> Vec<(usize, &'text str)> {
    let mut found = Vec::new();
    // Of a large crate most files have none of them, and words are slow.
    if !names.iter().any(|name| text.contains(name.as_str())) {
        return found;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim_start().starts_with("//") {
            let mut at = start;
            for part in line.split_inclusive(|c: char| !is_of_a_word(c)) {
                let word = part.trim_end_matches(|c: char| !is_of_a_word(c));
                if names.contains(word) {
                    found.push((at, word));
                }
                at += part.len();
            }
        }
        start += line.len();
    }
    found
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of a text.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !is_of_a_word(c));
    words.filter(|word| !word.is_empty())
}

/// Whether a text says one of these names.
#[must_use]
pub fn says(text: &str, names: &BTreeSet<String>) -> bool {
    words(text).any(|word| names.contains(word))
}

#[cfg(test)]
mod tests {
    use super::{edit, said};
    use crate::source::items::CrateSource;
    use crate::source::items::fake::krate;

    fn of(text: &str) -> CrateSource {
        krate(&[("src/main.rs", text)])
    }

    /// The names of the bodies, then of what is added, with how much is kept; or why it is none.
    fn found(scope: &str, running: &str, new: &str, is_program: bool) -> Result<String, String> {
        let new = of(new);
        let edit = edit(&of(scope), &of(running), &new, is_program);
        let edit = edit.map_err(|error| error.to_string())?;
        let names = |keys: &[crate::source::file::FnKey]| -> String {
            let found = keys.iter().filter_map(|key| new.function(key));
            let mut names: Vec<&str> = found.map(|(_, of)| of.name.as_str()).collect();
            names.sort_unstable();
            names.join(" ")
        };
        let added = &edit.additions;
        Ok(format!(
            "{} | {} | {} | {}",
            names(&edit.bodies),
            names(&added.functions),
            names(&added.methods),
            added.kept.len()
        ))
    }

    fn ahead_of(scope: &str, new: &str) -> Result<String, String> {
        found(scope, scope, new, true)
    }

    #[test]
    fn what_is_new_is_added_where_nobody_said_its_name() {
        let body = "fn f() {}";
        let told = |new: &str| ahead_of(body, new);
        assert_eq!(told("fn f() { g() } fn g() {}").unwrap(), "f | g |  | 1");
        assert_eq!(
            told("fn f() { G + H } const G: u8 = 1; const H: u8 = G;").unwrap(),
            "f |  |  | 2"
        );
        assert_eq!(
            told("fn f() { S::new(); } #[derive(Clone)] struct S; impl S { fn new() -> S { S } } impl T for S {}")
                .unwrap(),
            "f |  |  | 3"
        );
        for (scope, new) in [
            (
                "fn f() { g!() } use m::*;",
                "fn f() { g() } fn g() {} use m::*;",
            ),
            (body, "fn f() { g() } fn g<T>() {}"),
            (body, "fn f() {} use std::fmt;"),
            (body, "fn f() { G } static G: u8 = 1;"),
            (
                "fn f() {} struct S;",
                "fn f() { S::G } struct S; impl S { const G: u8 = 1; }",
            ),
            (
                "fn f() {} struct S;",
                "fn f() {} struct S; impl Clone for S { fn clone(&self) -> S { S } }",
            ),
            ("fn f() {} struct S;", "fn f() {} struct S { a: u8 }"),
            (
                "fn f() {} trait T {}",
                "fn f() {} trait T { fn g(&self) {} }",
            ),
        ] {
            assert!(ahead_of(scope, new).is_err(), "{scope} -> {new}");
        }
    }

    #[test]
    fn methods_are_added_to_blocks_of_plain_types() {
        let scope = "struct S; impl S { fn f(&self) {} }";
        let with = |method: &str, body: &str| {
            format!("struct S; impl S {{ fn f(&self) {{ {body} }} {method} }}")
        };
        assert_eq!(
            ahead_of(scope, &with("fn g(&self) {}", "self.g()")).unwrap(),
            "f |  | g | 0"
        );
        let generic = "struct S<T>(T); impl<T> S<T> { fn f(&self) {} }";
        assert!(ahead_of(generic, &generic.replace("{} }", "{} fn g(&self) {} }")).is_err());
    }

    #[test]
    fn who_says_a_name_that_means_something_else_comes_along() {
        let scope = "const C: u8 = 1; fn f() { C } fn g() { f() } fn h() {}\n// C\n";
        let new = scope.replace("= 1", "= 2");
        assert_eq!(ahead_of(scope, &new).unwrap(), "f |  |  | 1");
        let signature = scope
            .replace("fn f()", "fn f(a: u8)")
            .replace("f() }", "f(1) }");
        assert_eq!(ahead_of(scope, &signature).unwrap(), "g |  |  | 1");
        let with_macros = |value| {
            format!(
                "macro_rules! m {{ () => {{ {value} }} }} macro_rules! n {{ () => {{ m!() }} }} fn f() {{ n!() }} fn g() {{}}"
            )
        };
        assert_eq!(
            ahead_of(&with_macros(1), &with_macros(2)).unwrap(),
            "f |  |  | 0"
        );
        // Others may name it, or it is a part of what is seen from outside.
        let public = scope.replace("const C", "pub const C");
        assert!(found(&public, &public, &public.replace("= 1", "= 2"), false).is_err());
        for more in [
            "static S: u8 = C;",
            "fn i(a: [u8; C]) {}",
            "mod m { use super::*; fn i() { C } }",
        ] {
            let text = format!("{more}{scope}");
            assert!(
                ahead_of(&text, &text.replace("= 1", "= 2")).is_err(),
                "{more}"
            );
        }
        // What is added in another module may mean the scope's own as well.
        let elsewhere = format!("mod m {{ fn i() {{}} }} {scope}");
        let added = elsewhere.replace("fn i() {}", "fn i() { j() } fn j() { super::C }");
        assert!(ahead_of(&elsewhere, &added).is_ok());
        assert!(ahead_of(&elsewhere, &added.replace("= 1", "= 2")).is_err());
    }

    #[test]
    fn what_is_gone_must_not_be_said_any_more() {
        let scope = "fn f() { g() } fn g() {} const C: u8 = 1;";
        assert_eq!(ahead_of(scope, "fn f() { 1 }").unwrap(), "f |  |  | 0");
        assert!(ahead_of(scope, "fn f() { g() } use other::g;").is_err());
        assert!(ahead_of(scope, "fn f() { g!() }").is_err());
    }

    #[test]
    fn a_second_edit_stands_on_the_first() {
        let scope = "fn f() {} fn e() {}";
        let running = "fn f() { g() } fn g() { 1 } struct S { a: u8 } fn e() {}";
        let told = |new: &str| found(scope, running, new, true);
        // All that has something of the first patch is in the second.
        let body = running.replace("{ 1 }", "{ 2 }");
        assert_eq!(told(&body).unwrap(), "f | g |  | 2");
        assert_eq!(
            told(&body.replace("e() {}", "e() { 1 }")).unwrap(),
            "e f | g |  | 2"
        );
        assert_eq!(told(scope).unwrap(), "f |  |  | 0");
        // Frames of the first may call it, and have values of that type.
        assert!(told(&running.replace("fn g()", "fn g(a: u8)")).is_err());
        assert!(told(&running.replace("a: u8", "a: u16")).is_err());
        // What a constant was decides who is to be compiled again.
        let (scope, running) = (
            "const C: u8 = 1; fn f() { C }",
            "const C: u8 = 2; fn f() { C }",
        );
        assert_eq!(found(scope, running, scope, true).unwrap(), "f |  |  | 0");
    }

    #[test]
    fn words_are_found_but_behind_slashes() {
        let text = "a b\n  // a\nab a;a";
        let places: Vec<usize> = said(text, &["a".to_owned()].into())
            .iter()
            .map(|(at, _)| *at)
            .collect();
        assert_eq!(places, [0, 14, 16]);
    }
}
