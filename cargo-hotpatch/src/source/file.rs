//! One source file taken apart: functions, other items, modules, and what to make visible.
//!
//! Pure. Nothing of the syntax tree is kept: positions are byte ranges of the text, and code is
//! compared by fingerprints, so a file is cheap to keep and to compare with its next version.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use super::cfg::Cfg;
use super::read::Reader;
use super::syntax;

/// A place in a file, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What a function belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A module.
    Free,
    /// An `impl` block without or with a trait.
    Impl(Arc<Impl>),
    /// A trait that provides the body.
    Trait(String),
}

impl Owner {
    /// Whether it is an `impl` of a trait.
    #[must_use]
    pub fn implements_a_trait(&self) -> bool {
        matches!(self, Self::Impl(head) if head.trait_path.is_some())
    }

    /// The last name of the trait that it is or implements.
    #[must_use]
    pub fn trait_name(&self) -> Option<&str> {
        match self {
            Self::Free => None,
            Self::Trait(name) => Some(name),
            Self::Impl(head) => head.trait_name.as_deref(),
        }
    }
}

/// The head of an `impl` block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Impl {
    /// `<'a, T: X>` with the brackets, or nothing.
    pub generics: String,
    /// `<'a>` of `<'a: 'b>`: to name the parameters again.
    pub params: String,
    /// `where T: Y`, or nothing.
    pub bounds: String,
    /// The type as written.
    pub self_ty: String,
    /// The trait as written.
    pub trait_path: Option<String>,
    /// The last name of the type, see [`type_name`].
    pub self_name: String,
    /// The last name of the trait.
    pub trait_name: Option<String>,
    /// Associated types.
    pub types: Vec<String>,
    /// It has type or const parameters.
    pub generic: bool,
}

/// Names a function of a crate for as long as its path, owner and name stay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FnKey(Arc<str>);

/// A function with a body.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its key in the crate.
    pub key: FnKey,
    /// The module it stands in, crate root first (empty for the root).
    pub module: Arc<[String]>,
    /// Its name.
    pub name: String,
    /// What it belongs to.
    pub owner: Owner,
    /// Its body can be compiled elsewhere without anybody noticing, as far as the function itself tells.
    pub plain: bool,
    /// The same of its instances: its code is made for the types that it is used with, and nothing else keeps it in place.
    pub generic: bool,
    /// Its body goes into the scope as it is.
    pub kept: bool,
    /// The module that with those below it may name it, if not everybody may; in a scope everybody may.
    pub home: Option<Arc<[String]>>,
    /// Of the name.
    pub place: Place,
    /// From the first attribute to the closing brace.
    pub item: Range<usize>,
    /// Outer attributes with their names.
    pub attrs: Vec<(Range<usize>, String)>,
    /// The visibility, empty if there is none.
    pub vis: Range<usize>,
    /// From after the visibility to before the opening brace.
    pub sig: Range<usize>,
    /// The name in the signature.
    pub ident: Range<usize>,
    /// What is between the braces.
    pub body: Range<usize>,
    /// Fingerprint of attributes (not docs) and of what callers see of the signature.
    pub signature: u64,
    /// Fingerprint of the body and of what it calls its parameters.
    pub code: u64,
    /// The body names a function of this name.
    pub names_itself: bool,
    /// Files it takes in, as written.
    pub includes: Vec<String>,
    /// Identifiers in signature and body.
    pub mentions: Arc<BTreeSet<String>>,
}

/// What an item that is no function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Type,
    Trait,
    Const,
    Static,
    Use,
    MacroRules,
    ItemMacro,
    ThreadLocal,
    Impl,
    Module,
    Other,
}

impl Kind {
    /// A macro's definition, or a call of one at item level.
    #[must_use]
    pub fn is_macro(self) -> bool {
        matches!(self, Self::MacroRules | Self::ItemMacro)
    }
}

/// A field that not everybody may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateField {
    /// Its name, or its number.
    pub name: String,
    /// More than its module may name it.
    pub restricted: bool,
}

/// An item that is no function.
#[derive(Debug, Clone)]
pub struct OtherItem {
    /// The module it stands in.
    pub module: Arc<[String]>,
    /// What it is.
    pub kind: Kind,
    /// Its name, or its text where it has none.
    pub name: String,
    /// Names it brings into its module.
    pub names: Vec<String>,
    /// Where it starts.
    pub place: Place,
    /// All of it.
    pub range: Range<usize>,
    /// Fingerprint of all of it (methods of an impl are not part of it).
    pub code: u64,
    /// Files it takes in, as written.
    pub includes: Vec<String>,
    /// Identifiers in it (macros), or the names of its methods (traits).
    pub mentions: Arc<BTreeSet<String>>,
    /// For a `use`: what it brings in.
    pub imports: Vec<Import>,
    /// The module that with those below it may name it, if not everybody may; in a scope everybody may.
    pub home: Option<Arc<[String]>>,
    /// For structs and unions: the fields that not everybody may name.
    pub private_fields: Vec<PrivateField>,
    /// For types: it names `Deref`, perhaps to derive it.
    pub names_deref: bool,
}

/// A name that a `use` brings in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Import {
    /// The whole path; for a glob that of what all is taken from.
    pub path: Vec<String>,
    /// What it is called here; `*` for a glob.
    pub name: String,
}

/// `mod name;`
#[derive(Debug, Clone)]
pub struct ModuleFile {
    /// Its full path in the crate.
    pub path: Arc<[String]>,
    /// The folders of inline modules around it.
    pub inline: Vec<String>,
    /// The value of its `#[path]`.
    pub explicit: Option<String>,
    /// Where `mod` stands.
    pub place: Place,
    /// The position of `mod`.
    pub at: usize,
    /// Its macros are known after it.
    pub macro_use: bool,
}

/// `mod name { … }`
#[derive(Debug, Clone)]
pub struct InlineModule {
    /// Its full path in the crate.
    pub path: Arc<[String]>,
    /// From `mod` to after the opening brace.
    pub head: Range<usize>,
    /// The closing brace.
    pub close: Range<usize>,
    /// Its macros are known after it.
    pub macro_use: bool,
}

/// A replacement of a piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty to insert.
    pub range: Range<usize>,
    /// By what.
    pub text: Cow<'static, str>,
    /// The type whose field, or the enum, it makes visible: that is part of the type's identity.
    pub of_type: Option<String>,
    /// It widens the `use` that is this one of the items.
    pub import: Option<usize>,
}

/// A file and all that is known of it.
#[derive(Debug, Clone, Default)]
pub struct ParsedFile {
    /// The text.
    pub text: Arc<str>,
    /// Functions with a body, in order.
    pub functions: Vec<Function>,
    /// All other items.
    pub items: Vec<OtherItem>,
    /// Modules in files of their own.
    pub module_files: Vec<ModuleFile>,
    /// Modules in this file.
    pub inline_modules: Vec<InlineModule>,
    /// What makes every item visible.
    pub widening: Vec<Edit>,
    /// `macro_rules!` definitions and `#[macro_use] extern crate`: copied into a patch.
    pub macros: Vec<Range<usize>>,
    /// `#![…]` at the file's top (for a crate's root).
    pub inner_attrs: Vec<Range<usize>>,
    /// Files that code in it takes in, relative to its folder, with the fingerprints of what they hold.
    pub included: Vec<(String, Option<u64>)>,
    /// Equal for files that say the same, however they are laid out.
    pub fingerprint: u64,
    /// Equal for files that look the same from a scope.
    pub surface: u64,
}

/// Takes a file apart. `module` is the path of the module it is.
///
/// # Errors
/// The text does not parse.
pub fn parse(text: &Arc<str>, module: &Arc<[String]>, cfg: &Cfg) -> syn::Result<ParsedFile> {
    let out = syntax::parse_file(text, cfg.edition).map(|parsed| {
        let syntax = parsed.file;
        let mut reader = Reader {
            out: ParsedFile {
                text: text.clone(),
                ..ParsedFile::default()
            },
            cfg,
            offset: parsed.skipped,
            lines: parsed.lines,
            renames: HashMap::new(),
        };
        reader.crate_attrs(&syntax.attrs, module);
        reader.items(&syntax.items, module, &[]);
        reader.out.seal();
        reader.out
    });
    // Each parse adds to a table of this thread that nothing else would ever empty.
    proc_macro2::extra::invalidate_current_thread_spans();
    out
}

impl ParsedFile {
    /// Numbers functions that have one key, and sums the file up.
    fn seal(&mut self) {
        let mut seen: BTreeMap<FnKey, usize> = BTreeMap::new();
        for function in &mut self.functions {
            let count = seen.entry(function.key.clone()).or_default();
            *count += 1;
            if *count > 1 {
                function.key = FnKey(format!("{}#{count}", function.key.0).into());
            }
        }
        let functions = self.functions.iter().map(|function| &function.includes);
        let items = self.items.iter().map(|item| &item.includes);
        let included: BTreeSet<&String> = functions.chain(items).flatten().collect();
        self.included = included
            .into_iter()
            .map(|name| (name.clone(), None))
            .collect();
        self.sum_up();
    }

    fn sum_up(&mut self) {
        let (mut all, mut surface) = (DefaultHasher::new(), DefaultHasher::new());
        for function in &self.functions {
            let Function {
                key,
                signature,
                code,
                kept,
                ..
            } = function;
            (key, signature, code).hash(&mut all);
            (key, signature, kept.then_some(code)).hash(&mut surface);
        }
        for item in &self.items {
            let OtherItem {
                module,
                kind,
                name,
                code,
                ..
            } = item;
            for hasher in [&mut all, &mut surface] {
                (module, *kind as u8, name, code).hash(hasher);
            }
        }
        self.fingerprint = all.finish();
        self.surface = surface.finish();
    }

    /// What is in included files is part of the code that includes them.
    pub(super) fn take_in(&mut self, included: Vec<(String, Option<u64>)>) {
        let mix = |code: &mut u64, includes: &[String]| {
            let found = included.iter().filter(|(name, _)| includes.contains(name));
            for (_, content) in found {
                let mut hasher = DefaultHasher::new();
                (*code, content).hash(&mut hasher);
                *code = hasher.finish();
            }
        };
        for function in &mut self.functions {
            mix(&mut function.code, &function.includes);
        }
        for item in &mut self.items {
            mix(&mut item.code, &item.includes);
        }
        self.included = included;
        self.sum_up();
    }
}

impl FnKey {
    pub(super) fn new(module: &[String], owner: &Owner, name: &str) -> Self {
        let module = module.join("::");
        Self(match owner {
            Owner::Free => format!("{module}||{name}").into(),
            Owner::Trait(of) => format!("{module}|trait {of}|{name}").into(),
            Owner::Impl(head) => format!(
                "{module}|impl{} {} for {} {}|{name}",
                head.generics,
                head.trait_path.as_deref().unwrap_or(""),
                head.self_ty,
                head.bounds,
            )
            .into(),
        })
    }
}
