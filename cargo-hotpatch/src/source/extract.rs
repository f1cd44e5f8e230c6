//! The text of a patch crate: the crate's module tree with only the functions that are compiled for the patch.
//!
//! Every piece stands on the line and, where that is possible, the column it has in the user's
//! file; all else is blank. What the functions name comes from the scope by a glob import in each
//! module. An extracted function stands in a block of its own, so that no other code of the patch
//! sees it by name: calls go by the original symbol, and binding decides where that leads.
//!
//! ```text
//! // Input, in module `world` of crate `app`:
//! impl World {
//!     pub fn report(&self) -> u32 { self.n }
//! }
//! // Output:
//! const _: () = { trait __Hp { fn report (& self) -> u32 ; } impl __Hp for World {
//!         fn report(&self) -> u32 { self.n } }
//!     static __HP0: crate::__HpPair = crate::__HpPair(<World>::report as …, <World as __Hp>::report as …, 0); };
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::additions::Additions;
use super::file::{FnKey, Function, Impl, Kind, Owner};
use super::globs::Modules;
use super::instances::{Instance, Instances};
use super::items::{CrateSource, SourceFile, raw};
use super::lifetimes;
use super::own_imports::{Imports, all_imports, left_private, scope_path};
use super::pieces::{blank, imported_macros, local_trait, macro_items, needed_macros, pairs};
use super::rewrite::{associated, declaration, method_path, with_static_lifetimes};
use super::widen::splice;

/// The files of a patch crate.
pub struct PatchCrate {
    /// The root first: where it is written, which file of the user's it stands for, its text.
    pub files: Vec<PatchFile>,
}

/// One file of a patch crate.
pub struct PatchFile {
    /// Where it is to be written.
    pub path: PathBuf,
    /// The file it stands for.
    pub original: PathBuf,
    /// The text.
    pub text: String,
}

/// What a patch crate is to hold.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The functions whose bodies are wanted; the index of one is what its pair carries.
    pub wanted: &'a [FnKey],
    /// The instances to be made of those that are generic.
    pub instances: &'a Instances,
    /// What else it has of its own.
    pub additions: &'a Additions,
}

/// What the trait is called that the patch has for an added method, with the method's number behind it.
pub const ADDED_TRAIT: &str = "__HpAdded";

/// Makes the patch crate. `private` are imports that the scope does not show, `folder` is where the caller will write it.
///
/// # Errors
/// A function cannot be taken out of its place.
pub fn patch_crate(
    krate: &CrateSource,
    contents: Contents<'_>,
    private: &Imports,
    folder: &Path,
) -> Result<PatchCrate> {
    let Contents {
        wanted,
        instances,
        additions,
    } = contents;
    let numbered = wanted.iter().enumerate();
    let mut by_key: BTreeMap<&FnKey, usize> = numbered.map(|(index, key)| (key, index)).collect();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut found: BTreeMap<&Path, Vec<(usize, &Function)>> = BTreeMap::new();
    let mut modules: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, function) in krate.functions() {
        let Some(index) = by_key.remove(&function.key) else {
            continue;
        };
        found.entry(&file.path).or_default().push((index, function));
        names.extend(function.mentions.iter().map(String::as_str));
        need_module(&mut modules, &function.module);
    }
    if let Some(key) = by_key.keys().next() {
        bail!("the function {key:?} is not in the source");
    }
    names.extend(additions.words(krate));
    for kept in &additions.kept {
        need_module(&mut modules, &kept.module);
    }
    let mut methods = Vec::new();
    for (number, key) in additions.methods.iter().enumerate() {
        let found = krate.function(key);
        let (file, function) = found.with_context(|| format!("{key:?} is not in the source"))?;
        names.extend(function.mentions.iter().map(String::as_str));
        need_module(&mut modules, &function.module);
        methods.push((number, file, function));
    }
    let traits: String = methods
        .iter()
        .map(|(number, _, function)| {
            let path: String = function
                .module
                .iter()
                .map(|part| raw(part) + "::")
                .collect();
            format!("#[allow(unused_imports)] use crate::{path}{ADDED_TRAIT}{number} as _; ")
        })
        .collect();
    let macros = needed_macros(krate, names.clone());
    for (file, item) in macro_items(krate) {
        if item.names.iter().any(|name| macros.contains(name.as_str())) {
            need_module(&mut modules, &file.module);
            need_module(&mut modules, &item.module);
        }
    }

    let known = Modules::of(krate);
    let imports = |module: &[String]| {
        let imported = imported_macros(krate, &known, module, &modules, &macros);
        let private_ones = left_private(krate, module, private, (&names, &macros));
        all_imports(krate, module, &modules, private) + &private_ones + &imported + &traits
    };
    let mut files = Vec::new();
    for (number, file) in krate.files.iter().enumerate() {
        let root = number == 0;
        if !root && !modules.contains(&file.module.to_vec()) {
            continue;
        }
        let mut page = Page {
            file,
            pieces: Vec::new(),
        };
        page.prologue(root, !instances.is_empty(), krate, &imports);
        page.modules(krate, &modules, &imports, folder);
        page.macros(&macros, &modules);
        for kept in additions.kept.iter().filter(|of| of.file == file.path) {
            page.keep(kept.range.clone());
        }
        let own = methods.iter().filter(|(_, of, _)| of.path == file.path);
        for (number, _, function) in own {
            page.method(function, *number)?;
        }
        for (index, function) in found.get(file.path.as_path()).into_iter().flatten() {
            page.function(function, instances.get(&function.key), *index)?;
        }
        files.push(PatchFile {
            path: file_name(folder, number),
            original: file.path.clone(),
            text: page.finish(),
        });
    }
    proc_macro2::extra::invalidate_current_thread_spans();
    Ok(PatchCrate { files })
}

/// The pairs of instances of what is called `own` here, in a trait with these parameters.
fn made(instances: &[Instance], own: &str, params: &str) -> Vec<(String, String)> {
    let made = instances
        .iter()
        .map(|of| (of.in_scope(), of.in_patch(own, params)));
    made.collect()
}

fn file_name(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.rs"))
}

fn need_module(modules: &mut BTreeSet<Vec<String>>, path: &[String]) {
    for depth in 0..=path.len() {
        modules.insert(path[..depth].to_vec());
    }
}

/// A stretch of the original file that is kept, with what replaces parts of it.
pub(super) struct Piece {
    pub(super) range: Range<usize>,
    pub(super) before: String,
    pub(super) edits: Vec<(Range<usize>, String)>,
    pub(super) after: String,
}

pub(super) struct Page<'a> {
    file: &'a SourceFile,
    pub(super) pieces: Vec<Piece>,
}

/// Crate attributes that change what code means.
const MEANINGFUL: &[&str] = &[
    "feature",
    "no_std",
    "recursion_limit",
    "type_length_limit",
    "no_implicit_prelude",
];

impl Page<'_> {
    pub(super) fn text(&self, range: &Range<usize>) -> &str {
        &self.file.parsed.text[range.clone()]
    }

    fn insert(&mut self, at: usize, text: String) {
        self.pieces.push(Piece {
            range: at..at,
            before: text,
            edits: Vec::new(),
            after: String::new(),
        });
    }

    fn prologue(
        &mut self,
        root: bool,
        needs_alloc: bool,
        krate: &CrateSource,
        imports: &dyn Fn(&[String]) -> String,
    ) {
        let mut text = String::new();
        if root {
            for range in &self.file.parsed.inner_attrs {
                let attr = self.text(range).replace('\n', " ");
                let name: String = attr
                    .trim_start_matches(['#', '!', '[', ' '])
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if MEANINGFUL.contains(&name.as_str()) {
                    text.push_str(&attr);
                    text.push(' ');
                }
            }
            text.push_str("extern crate hp_scope; ");
            if needs_alloc {
                text.push_str("extern crate alloc as hp_alloc; ");
            }
            text.push_str(
                "#[repr(C)] pub struct __HpPair(pub *const (), pub *const (), pub usize); ",
            );
            text.push_str("unsafe impl Sync for __HpPair {} ");
            // Macros of other crates by `#[macro_use]` are not importable by a path.
            for file in &krate.files {
                for range in &file.parsed.macros {
                    let item = &file.parsed.text[range.clone()];
                    if item.contains("extern") && item.trim_start().starts_with("#[macro_use") {
                        text.push_str(&item.replace('\n', " "));
                        text.push(' ');
                    }
                }
            }
        }
        text.push_str(&imports(&self.file.module));
        self.insert(0, text);
    }

    fn modules(
        &mut self,
        krate: &CrateSource,
        modules: &BTreeSet<Vec<String>>,
        imports: &dyn Fn(&[String]) -> String,
        folder: &Path,
    ) {
        let parsed = &self.file.parsed;
        for module in &parsed.inline_modules {
            if !modules.contains(&module.path.to_vec()) {
                continue;
            }
            let macro_use = if module.macro_use {
                "#[macro_use] pub "
            } else {
                "pub "
            };
            self.pieces.push(Piece {
                range: module.head.clone(),
                before: macro_use.to_owned(),
                edits: Vec::new(),
                after: format!(" {}", imports(&module.path)),
            });
            self.pieces.push(Piece {
                range: module.close.clone(),
                before: String::new(),
                edits: Vec::new(),
                after: String::new(),
            });
        }
        for module in &parsed.module_files {
            if !modules.contains(&module.path.to_vec()) {
                continue;
            }
            let number = krate
                .files
                .iter()
                .position(|file| file.module == module.path);
            let (Some(number), Some(name)) = (number, module.path.last()) else {
                continue;
            };
            let macro_use = if module.macro_use {
                "#[macro_use] "
            } else {
                ""
            };
            let path = file_name(folder, number);
            let name = raw(name);
            self.insert(
                module.at,
                format!("{macro_use}#[path = {path:?}] pub mod {name}; "),
            );
        }
    }

    fn macros(&mut self, needed: &BTreeSet<&str>, modules: &BTreeSet<Vec<String>>) {
        let parsed = self.file.parsed.clone();
        for item in &parsed.items {
            let wanted = item.names.iter().any(|name| needed.contains(name.as_str()));
            // A module without anything in the patch is not there.
            let is_there = modules.contains(&*item.module) || item.module.is_empty();
            if wanted && item.kind == Kind::Use && is_there {
                self.keep(item.range.clone());
            }
        }
        for range in &parsed.macros {
            let text = &parsed.text[range.clone()];
            let name = text
                .split_once("macro_rules!")
                .map(|(_, rest)| rest.trim_start())
                .map(|rest| {
                    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                        .next()
                });
            if let Some(Some(name)) = name
                && needed.contains(name)
            {
                self.keep(range.clone());
            }
        }
    }

    fn keep(&mut self, range: Range<usize>) {
        self.pieces.push(Piece {
            range,
            before: String::new(),
            edits: Vec::new(),
            after: String::new(),
        });
    }

    fn function(
        &mut self,
        function: &Function,
        instances: Option<&Vec<Instance>>,
        index: usize,
    ) -> Result<()> {
        let mut edits = Vec::new();
        for (range, name) in &function.attrs {
            let keeps = matches!(name.as_str(), "cold" | "target_feature" | "instruction_set");
            if !keeps {
                edits.push((range.clone(), blank(self.text(range))));
            }
        }
        edits.push((function.vis.clone(), blank(self.text(&function.vis))));
        let name = raw(&function.name).into_owned();
        let mut own = name.clone();
        // Its own name must lead to its slot, and must not be ambiguous between two traits.
        if function.names_itself {
            own = format!("__hp_{}", function.name);
            edits.push((function.ident.clone(), own.clone()));
        }
        let (before, after) = match &function.owner {
            Owner::Free => {
                let made = match instances {
                    Some(instances) => made(instances, &own, ""),
                    None => vec![(scope_path(&function.module, &name), own)],
                };
                ("const _: () = { ".to_owned(), pairs(&made, index))
            }
            Owner::Impl(head) => {
                let head = &lifetimes::named(head)?;
                self.associated(head, &function.sig, &mut edits)?;
                self.associated(head, &function.body, &mut edits)?;
                let before = local_trait(head, &declaration(self.text(&function.sig), head, &own)?);
                let made = match instances {
                    Some(instances) => made(instances, &own, &head.params),
                    None => {
                        let ty = with_static_lifetimes(&head.self_ty)?;
                        let params = with_static_lifetimes(&head.params)?;
                        let new = format!("<{ty} as __Hp {params}>::{own}");
                        vec![(method_path(head, &name)?, new)]
                    }
                };
                (before, format!(" }}{}", pairs(&made, index)))
            }
            Owner::Trait(_) => bail!("a default method of a trait cannot be taken out"),
        };
        self.pieces.push(Piece {
            range: function.item.clone(),
            before,
            edits,
            after,
        });
        Ok(())
    }

    /// An added method, in a trait that every module of the patch has: nobody else has a method of this name.
    fn method(&mut self, function: &Function, number: usize) -> Result<()> {
        let Owner::Impl(head) = &function.owner else {
            bail!("only an `impl` has methods");
        };
        let head = lifetimes::named(head)?;
        if !head.generics.is_empty() {
            bail!("the type of an added method has parameters");
        }
        let declaration = declaration(self.text(&function.sig), &head, &raw(&function.name))?;
        let edits = vec![(function.vis.clone(), blank(self.text(&function.vis)))];
        self.pieces.push(Piece {
            range: function.item.clone(),
            before: format!(
                "pub trait {ADDED_TRAIT}{number} {{ {declaration} }} impl {ADDED_TRAIT}{number} for {} {{ ",
                head.self_ty
            ),
            edits,
            after: " }".to_owned(),
        });
        Ok(())
    }

    /// See [`associated`].
    pub(super) fn associated(
        &self,
        head: &Impl,
        range: &Range<usize>,
        edits: &mut Vec<(Range<usize>, String)>,
    ) -> Result<()> {
        let found = associated(self.text(range), head)?.into_iter();
        edits.extend(found.map(|(at, text)| (at.start + range.start..at.end + range.start, text)));
        Ok(())
    }

    fn finish(mut self) -> String {
        self.pieces
            .sort_by_key(|piece| (piece.range.start, piece.range.end));
        let text = &self.file.parsed.text;
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for piece in self.pieces {
            let gap = blank(&text[at..piece.range.start.max(at)]);
            // Additions go to the end of the line before, where they move no column.
            match gap.rfind('\n') {
                Some(line) if !piece.before.is_empty() => {
                    out.push_str(&gap[..line]);
                    out.push_str(&piece.before);
                    out.push_str(&gap[line..]);
                }
                _ => {
                    out.push_str(&gap);
                    out.push_str(&piece.before);
                }
            }
            let start = piece.range.start;
            let edits = piece
                .edits
                .into_iter()
                .map(|(range, new)| (range.start - start..range.end - start, new))
                .collect();
            out.push_str(&splice(&text[piece.range.clone()], edits));
            out.push_str(&piece.after);
            at = piece.range.end;
        }
        out.push('\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::items::fake::krate;

    fn extract(files: &[(&str, &str)], names: &[&str]) -> Vec<String> {
        let krate = krate(files);
        let wanted: Vec<FnKey> = krate
            .functions()
            .filter(|(_, f)| names.contains(&f.name.as_str()))
            .map(|(_, f)| f.key.clone())
            .collect();
        let out = patch_crate(
            &krate,
            Contents {
                wanted: &wanted,
                instances: &Instances::new(),
                additions: &Additions::default(),
            },
            &Imports::new(),
            Path::new("/p"),
        )
        .expect("it can be extracted");
        out.files.into_iter().map(|file| file.text).collect()
    }

    #[test]
    fn a_function_keeps_its_line_and_column() {
        let files = [
            (
                "src/main.rs",
                "mod a;\n\nfn other() {}\n\n/// Doc.\n#[hot]\npub fn f(x: u32) -> u32 {\n    x + 1\n}\n\nfn main() {}\n",
            ),
            ("src/a.rs", ""),
        ];
        let texts = extract(&files, &["f"]);
        assert_eq!(texts.len(), 1);
        let line = texts[0].lines().nth(6).expect("it has the line");
        assert_eq!(line, "    fn f(x: u32) -> u32 {");
        assert_eq!(texts[0].lines().nth(7), Some("    x + 1"));
        assert!(!texts[0].contains("other") && !texts[0].contains("main()"));
        assert!(texts[0].contains("::hp_scope::f as *const (), f as *const (), 0"));
    }

    #[test]
    fn a_function_that_calls_itself_goes_through_its_slot() {
        let texts = extract(&[("src/main.rs", "\nfn f(n: u32) { f(n - 1) }\n")], &["f"]);
        assert!(
            texts[0].contains("fn __hp_f(n: u32) { f(n - 1) }"),
            "{}",
            texts[0]
        );
    }

    #[test]
    fn a_method_becomes_one_of_a_local_trait() {
        let text = "mod m {\n    impl<'a> Foo<'a> {\n        fn get(mut self, (a, b): (Self, u8)) -> Option<Self> {\n            None\n        }\n    }\n}\n";
        let out = &extract(&[("src/lib.rs", text)], &["get"])[0];
        assert!(out.contains("trait __Hp < 'a >  { fn get (self , _ : (Foo < 'a > , u8)) -> Option < Foo < 'a > > ; }"), "{out}");
        assert!(out.contains("<Foo < 'static >>::get as *const ()"), "{out}");
    }

    #[test]
    fn associated_types_of_a_trait_are_spelt_out() {
        let text = "\nimpl Add for V {\n type Output = V;\n fn add(self, o: V) -> Self::Output { let x: Self::Output = o; x }\n}\n";
        let out = &extract(&[("src/lib.rs", text)], &["add"])[0];
        assert!(out.contains("fn add(self, o: V) -> <Self as Add>::Output { let x: <Self as Add>::Output = o; x }"), "{out}");
    }

    #[test]
    fn needed_macros_come_along() {
        let files = [
            (
                "src/lib.rs",
                "#[macro_use]\nmod mac;\nfn f() { twice!(1) }\n",
            ),
            (
                "src/mac.rs",
                "macro_rules! once { () => {} }\nmacro_rules! twice { ($x:expr) => { once!() } }\nmacro_rules! no { () => {} }\n",
            ),
        ];
        let texts = extract(&files, &["f"]);
        assert!(
            texts[1].contains("once") && texts[1].contains("twice") && !texts[1].contains("no {")
        );
        assert!(texts[0].contains("#[macro_use] #[path"));
    }
}
