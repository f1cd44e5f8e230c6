//! One source file taken apart: functions, other items, modules, and what to make visible.
//!
//! Pure. Nothing of the syntax tree is kept: positions are byte ranges of the text, and code is
//! compared by fingerprints, so a file is cheap to keep and to compare with its next version.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use serde::{Deserialize, Serialize};
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Attribute, Item, Meta, Visibility};

use super::cfg::{self, Cfg};
use super::syntax;
use super::tokens::{fingerprint, mentions, paths};

/// A place in a file, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// How a function's new body can get into a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Compiled once, under one symbol: it is extracted.
    Plain,
    /// Compiled wherever it is used (generic, `#[inline]`): its callers compile it again.
    Reinstantiated,
    /// Not patched yet, and why.
    Fixed(Cow<'static, str>),
}

/// What a function belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// A module.
    Free,
    /// An `impl` block without or with a trait.
    Impl(Arc<Impl>),
    /// A trait that provides the body.
    Trait(String),
}

/// The head of an `impl` block.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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

/// A `static` inside a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NestedStatic {
    /// Its name.
    pub name: String,
    /// It is a `static mut`.
    pub mutable: bool,
    /// The whole item.
    pub range: Range<usize>,
    /// The type.
    pub ty: Range<usize>,
}

/// Names a function of a crate for as long as its path, owner and name stay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FnKey(Arc<str>);

/// A function with a body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Function {
    /// Its key in the crate.
    pub key: FnKey,
    /// The module it stands in, crate root first (empty for the root).
    pub module: Arc<[String]>,
    /// Its name.
    pub name: String,
    /// What it belongs to.
    pub owner: Owner,
    /// How it is patched.
    pub shape: Shape,
    /// It is marked `#[hot]`.
    pub hot: bool,
    /// It is `#[inline(always)]`, and so inlined even where nothing else is.
    pub inline: bool,
    /// Code calls it that does not name it: it implements a trait such as `Add`, `Drop` or `Display`.
    pub implicit: bool,
    /// Only its module may name it; in a scope everybody may.
    pub private: bool,
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
    /// Statics of its own.
    pub statics: Vec<NestedStatic>,
    /// Fingerprint of attributes (not docs, not `hot`) and of what callers see of the signature.
    pub signature: u64,
    /// Fingerprint of the body and of what it calls its parameters.
    pub code: u64,
    /// The body goes into the scope as it is.
    pub kept: bool,
    /// The body names a function of this name.
    pub names_itself: bool,
    /// Identifiers in signature and body.
    pub mentions: Arc<BTreeSet<String>>,
}

/// What an item that is no function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Rust's own words")]
pub enum Kind {
    Type,
    Trait,
    Const,
    Static,
    Use,
    MacroRules,
    ItemMacro,
    Impl,
    Module,
    Other,
}

/// A field or variant of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// `field`, or `Variant` and `Variant.field`.
    pub name: String,
    /// It is a variant.
    pub variant: bool,
    /// Not everybody may name it.
    pub private: bool,
    /// Where it stands.
    pub place: Place,
    /// Fingerprint; that of a variant is without its fields.
    pub code: u64,
}

/// An item that is no function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OtherItem {
    /// The module it stands in.
    pub module: Arc<[String]>,
    /// What it is.
    pub kind: Kind,
    /// Its name, or its text where it has none.
    pub name: String,
    /// What a reader calls it: ``struct `World` ``.
    pub title: String,
    /// Names it brings into its module.
    pub names: Vec<String>,
    /// Where it starts.
    pub place: Place,
    /// All of it, where that is known (imports are).
    pub range: Range<usize>,
    /// Fingerprint of all of it (methods of an impl are not part of it).
    pub code: u64,
    /// For traits: fingerprint without default bodies. For statics: without the initialiser.
    pub surface: u64,
    /// Identifiers in it (macros), or the names of its methods (traits).
    pub mentions: Arc<BTreeSet<String>>,
    /// What it names: `a` for the beginning of a path, `a::b` for two segments of one.
    pub paths: Arc<BTreeSet<String>>,
    /// For a `use`: what it brings in.
    pub imports: Vec<Import>,
    /// For types: what values consist of, in order.
    pub members: Vec<Member>,
}

/// A name that a `use` brings in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Import {
    /// The whole path; for a glob that of what all is taken from.
    pub path: Vec<String>,
    /// What it is called here; `*` for a glob.
    pub name: String,
}

/// `mod name;`
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// What is replaced; empty to insert.
    pub range: Range<usize>,
    /// By what.
    pub text: Cow<'static, str>,
    /// It is about a field or an enum: what it makes visible is part of the identity of a type.
    pub of_type: bool,
    /// It widens the `use` that is this one of the items.
    pub import: Option<usize>,
}

/// A file and all that is known of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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
            out: ParsedFile { text: text.clone(), ..ParsedFile::default() },
            cfg,
            offset: parsed.skipped,
            lines: parsed.lines,
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
        let (mut all, mut surface) = (DefaultHasher::new(), DefaultHasher::new());
        for function in &self.functions {
            let Function { key, signature, code, hot, kept, .. } = function;
            (key, signature, code, hot).hash(&mut all);
            (key, signature, kept.then_some(code)).hash(&mut surface);
        }
        for item in &self.items {
            let OtherItem { module, kind, name, code, .. } = item;
            for hasher in [&mut all, &mut surface] {
                (module, *kind as u8, name, code).hash(hasher);
            }
        }
        self.fingerprint = all.finish();
        self.surface = surface.finish();
    }
}

impl FnKey {
    fn new(module: &[String], owner: &Owner, name: &str) -> Self {
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

struct Reader<'a> {
    out: ParsedFile,
    cfg: &'a Cfg,
    offset: usize,
    lines: usize,
}

impl Reader<'_> {
    fn range(&self, span: Span) -> Range<usize> {
        let range = span.byte_range();
        range.start + self.offset..range.end + self.offset
    }

    fn place(&self, span: Span) -> Place {
        let start = span.start();
        Place { line: start.line + self.lines, column: start.column + 1 }
    }

    fn crate_attrs(&mut self, attrs: &[Attribute], module: &Arc<[String]>) {
        for attr in attrs {
            let is_doc = attr.path().is_ident("doc");
            if !is_doc {
                self.out.inner_attrs.push(self.range(attr.span()));
                self.other(module, Kind::Other, "attribute", attr.to_token_stream(), attr.span());
            }
        }
    }

    fn other(
        &mut self,
        module: &Arc<[String]>,
        kind: Kind,
        what: &str,
        tokens: TokenStream,
        span: Span,
    ) -> &mut OtherItem {
        let place = self.place(span);
        let range = self.range(span);
        let name = tokens.to_string();
        let mut named = BTreeSet::new();
        if kind != Kind::Use {
            paths(tokens.clone(), &mut named);
        }
        let code = fingerprint(tokens);
        self.out.items.push(OtherItem {
            module: module.clone(),
            kind,
            title: what.to_owned(),
            name,
            names: Vec::new(),
            place,
            range,
            code,
            surface: code,
            mentions: Arc::default(),
            paths: Arc::new(named),
            imports: Vec::new(),
            members: Vec::new(),
        });
        self.out.items.last_mut().expect("invariant: an item was just pushed")
    }

    fn named(
        &mut self,
        module: &Arc<[String]>,
        kind: Kind,
        what: &str,
        ident: &syn::Ident,
        tokens: TokenStream,
    ) -> &mut OtherItem {
        let mut named = BTreeSet::new();
        if !matches!(kind, Kind::Module | Kind::MacroRules) {
            paths(tokens.clone(), &mut named);
        }
        let code = fingerprint(tokens);
        let place = self.place(ident.span());
        self.out.items.push(OtherItem {
            module: module.clone(),
            kind,
            title: format!("{what} `{ident}`"),
            name: format!("{what} {ident}"),
            names: vec![ident.to_string()],
            place,
            range: 0..0,
            code,
            surface: code,
            mentions: Arc::default(),
            paths: Arc::new(named),
            imports: Vec::new(),
            members: Vec::new(),
        });
        self.out.items.last_mut().expect("invariant: an item was just pushed")
    }

    /// Makes what has this visibility public; `at` is the first token after it.
    fn widen(&mut self, vis: &Visibility, at: Span) {
        let before = self.out.widening.len();
        self.widen_import(vis, at, 0);
        for edit in &mut self.out.widening[before..] {
            edit.import = None;
        }
    }

    fn widen_import(&mut self, vis: &Visibility, at: Span, import: usize) {
        let import = Some(import);
        let edit = match vis {
            Visibility::Public(_) => return,
            Visibility::Restricted(vis) => {
                Edit { range: self.range(vis.span()), text: Cow::Borrowed("pub"), import, of_type: false }
            }
            Visibility::Inherited => {
                let start = self.range(at).start;
                Edit { range: start..start, text: Cow::Borrowed("pub "), import, of_type: false }
            }
        };
        self.out.widening.push(edit);
    }

    /// The visibility of a field, which an enum's fields have from it, counts in type ids.
    fn widen_type(&mut self, vis: &Visibility, at: Span) {
        let before = self.out.widening.len();
        self.widen(vis, at);
        for edit in &mut self.out.widening[before..] {
            edit.of_type = true;
        }
    }

    fn fields(&mut self, fields: &syn::Fields) {
        for field in fields {
            let at = field.ident.as_ref().map_or_else(|| field.ty.span(), Spanned::span);
            self.widen_type(&field.vis, at);
        }
    }

    fn members(&self, of: &str, fields: &syn::Fields) -> Vec<Member> {
        let kept = fields.iter().filter(|field| self.cfg.keeps(&field.attrs));
        kept.enumerate()
            .map(|(index, field)| {
                let name = field.ident.as_ref().map_or_else(|| index.to_string(), bare_name);
                // Who may use it has no part in what it is.
                let mut bare = field.clone();
                bare.vis = Visibility::Inherited;
                Member {
                    name: format!("{of}{name}"),
                    variant: false,
                    private: !matches!(field.vis, Visibility::Public(_)),
                    place: self.place(field.span()),
                    code: fingerprint(bare.to_token_stream()),
                }
            })
            .collect()
    }

    fn variants(&self, item: &syn::ItemEnum) -> Vec<Member> {
        let mut out = Vec::new();
        for variant in item.variants.iter().filter(|variant| self.cfg.keeps(&variant.attrs)) {
            let name = bare_name(&variant.ident);
            let mut bare = variant.clone();
            match &mut bare.fields {
                syn::Fields::Named(fields) => fields.named.clear(),
                syn::Fields::Unnamed(fields) => fields.unnamed.clear(),
                syn::Fields::Unit => {}
            }
            let fields = self.members(&format!("{name}."), &variant.fields);
            out.push(Member {
                name,
                variant: true,
                private: false,
                place: self.place(variant.ident.span()),
                code: fingerprint(bare.to_token_stream()),
            });
            out.extend(fields);
        }
        out
    }

    fn items(&mut self, items: &[Item], module: &Arc<[String]>, inline: &[String]) {
        for item in items {
            self.item(item, module, inline);
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm per kind of item")]
    fn item(&mut self, item: &Item, module: &Arc<[String]>, inline: &[String]) {
        if !self.cfg.keeps(attributes(item)) {
            return;
        }
        match item {
            Item::Fn(func) => {
                let shadows = PRELUDE.contains(&func.sig.ident.to_string().as_str());
                let parts = Parts {
                    attrs: &func.attrs,
                    vis: Some(&func.vis),
                    sig: &func.sig,
                    block: &func.block,
                };
                self.function(&parts, module, Owner::Free);
                if !(shadows && func.vis == Visibility::Inherited) {
                    self.widen(&func.vis, start_of(&func.sig));
                }
            }
            Item::Struct(item) => {
                let members = self.members("", &item.fields);
                self.named(module, Kind::Type, "struct", &item.ident, item.to_token_stream()).members =
                    members;
                self.widen(&item.vis, item.struct_token.span);
                self.fields(&item.fields);
            }
            Item::Union(item) => {
                let members = self.members("", &syn::Fields::Named(item.fields.clone()));
                self.named(module, Kind::Type, "union", &item.ident, item.to_token_stream()).members =
                    members;
                self.widen(&item.vis, item.union_token.span);
                for field in &item.fields.named {
                    self.widen_type(&field.vis, field.ident.span());
                }
            }
            Item::Enum(item) => {
                let members = self.variants(item);
                self.named(module, Kind::Type, "enum", &item.ident, item.to_token_stream()).members =
                    members;
                self.widen_type(&item.vis, item.enum_token.span);
            }
            Item::Type(item) => {
                self.named(module, Kind::Type, "type", &item.ident, item.to_token_stream());
                self.widen(&item.vis, item.type_token.span);
            }
            Item::Const(item) => {
                self.named(module, Kind::Const, "const", &item.ident, item.to_token_stream());
                if item.ident != "_" {
                    self.widen(&item.vis, item.const_token.span);
                }
            }
            Item::Static(item) => {
                let mut surface = item.mutability.to_token_stream();
                item.ty.to_tokens(&mut surface);
                let mut named = BTreeSet::new();
                paths(surface.clone(), &mut named);
                let surface = fingerprint(surface);
                let entry =
                    self.named(module, Kind::Static, "static", &item.ident, item.to_token_stream());
                entry.surface = surface;
                // Its value is there already, whatever the initialiser means.
                entry.paths = Arc::new(named);
                self.widen(&item.vis, item.static_token.span);
            }
            Item::Trait(item) => self.trait_item(item, module),
            Item::TraitAlias(item) => {
                self.named(module, Kind::Trait, "trait", &item.ident, item.to_token_stream());
                self.widen(&item.vis, item.trait_token.span);
            }
            Item::Impl(item) => self.impl_item(item, module),
            Item::Use(item) => {
                let mut names = Vec::new();
                leaves(&item.tree, &mut names);
                let entry =
                    self.other(module, Kind::Use, "import", item.to_token_stream(), item.span());
                entry.title = format!("`{}`", entry.name);
                entry.names = names;
                imports(&item.tree, &mut Vec::new(), &mut entry.imports);
                let import = self.out.items.len() - 1;
                self.widen_import(&item.vis, item.use_token.span, import);
            }
            Item::ExternCrate(item) => {
                let entry =
                    self.other(module, Kind::Other, "`extern crate`", item.to_token_stream(), item.span());
                entry.names = vec![item.ident.to_string()];
                if item.attrs.iter().any(|attr| attr.path().is_ident("macro_use")) {
                    self.out.macros.push(self.range(item.span()));
                } else {
                    let import = self.out.items.len() - 1;
                    self.widen_import(&item.vis, item.extern_token.span, import);
                }
            }
            Item::ForeignMod(item) => {
                self.other(module, Kind::Other, "`extern` block", item.to_token_stream(), item.span());
                for foreign in &item.items {
                    match foreign {
                        syn::ForeignItem::Fn(f) => self.widen(&f.vis, start_of(&f.sig)),
                        syn::ForeignItem::Type(t) => self.widen(&t.vis, t.type_token.span),
                        // `safe static` starts before the keyword: left alone, and then private.
                        syn::ForeignItem::Static(s) if s.vis == Visibility::Inherited => {
                            let plain = s.to_token_stream().into_iter().skip(s.attrs.len() * 2).next();
                            if matches!(plain, Some(TokenTree::Ident(word)) if word == "static") {
                                self.widen(&s.vis, s.static_token.span);
                            }
                        }
                        _ => {}
                    }
                }
            }
            Item::Macro(item) => self.macro_item(item, module),
            Item::Mod(item) => self.module(item, module, inline),
            other => {
                self.other(module, Kind::Other, "item", other.to_token_stream(), other.span());
            }
        }
    }

    fn trait_item(&mut self, item: &syn::ItemTrait, module: &Arc<[String]>) {
        let mut bare = item.clone();
        for part in &mut bare.items {
            if let syn::TraitItem::Fn(func) = part {
                func.default = func.default.take().map(|_| syn::parse_quote!({}));
            }
        }
        let mut named = BTreeSet::new();
        paths(bare.to_token_stream(), &mut named);
        let methods = item.items.iter().filter_map(|part| match part {
            syn::TraitItem::Fn(func) => Some(bare_name(&func.sig.ident)),
            _ => None,
        });
        let surface = fingerprint(bare.to_token_stream());
        let entry = self.named(module, Kind::Trait, "trait", &item.ident, item.to_token_stream());
        entry.surface = surface;
        entry.paths = Arc::new(named);
        entry.mentions = Arc::new(methods.collect());
        self.widen(&item.vis, item.trait_token.span);
        // `unsafe trait`, `auto trait`: the visibility stands before those words.
        if let (Visibility::Inherited, Some(word)) = (&item.vis, &item.unsafety)
            && let Some(edit) = self.out.widening.last_mut()
        {
            let start = word.span.byte_range().start + self.offset;
            edit.range = start..start;
        }
        for part in &item.items {
            if let syn::TraitItem::Fn(func) = part
                && let Some(block) = &func.default
                && self.cfg.keeps(&func.attrs)
            {
                let parts = Parts { attrs: &func.attrs, vis: None, sig: &func.sig, block };
                self.function(&parts, module, Owner::Trait(item.ident.to_string()));
            }
        }
    }

    fn impl_item(&mut self, item: &syn::ItemImpl, module: &Arc<[String]>) {
        let (impl_generics, params, bounds) = item.generics.split_for_impl();
        let head = Arc::new(Impl {
            generics: impl_generics.to_token_stream().to_string(),
            params: params.to_token_stream().to_string(),
            bounds: bounds.to_token_stream().to_string(),
            self_ty: item.self_ty.to_token_stream().to_string(),
            trait_path: item.trait_.as_ref().map(|(path, _)| path.to_token_stream().to_string()),
            self_name: type_name(&item.self_ty),
            trait_name: item
                .trait_
                .as_ref()
                .and_then(|(path, _)| path.segments.last())
                .map(|segment| segment.ident.to_string()),
            types: item
                .items
                .iter()
                .filter_map(|part| match part {
                    syn::ImplItem::Type(ty) => Some(ty.ident.to_string()),
                    _ => None,
                })
                .collect(),
            generic: item.generics.type_params().next().is_some()
                || item.generics.const_params().next().is_some()
                || mentions_impl_trait(&item.self_ty.to_token_stream()),
        });
        let mut bare = item.clone();
        bare.items.retain(|part| match part {
            syn::ImplItem::Fn(_) => false,
            // Those of a trait cannot come and go by themselves.
            syn::ImplItem::Const(_) => item.trait_.is_some(),
            _ => true,
        });
        let mut name = bare.clone();
        name.items.clear();
        name.attrs.clear();
        let entry = self.other(module, Kind::Impl, "impl", bare.to_token_stream(), item.impl_token.span);
        entry.name = name.to_token_stream().to_string();
        entry.title = match &head.trait_path {
            Some(path) => format!("`impl {path} for {}`", head.self_ty),
            None => format!("`impl {}`", head.self_ty),
        };
        entry.names = head.trait_name.iter().cloned().collect();
        let key = entry.name.clone();
        for part in &item.items {
            match part {
                syn::ImplItem::Fn(func) if self.cfg.keeps(&func.attrs) => {
                    let parts = Parts {
                        attrs: &func.attrs,
                        vis: Some(&func.vis),
                        sig: &func.sig,
                        block: &func.block,
                    };
                    self.function(&parts, module, Owner::Impl(head.clone()));
                    if item.trait_.is_none() {
                        self.widen(&func.vis, start_of(&func.sig));
                    }
                }
                syn::ImplItem::Const(constant)
                    if item.trait_.is_none() && self.cfg.keeps(&constant.attrs) =>
                {
                    let tokens = constant.to_token_stream();
                    let entry = self.named(module, Kind::Const, "const", &constant.ident, tokens);
                    entry.name = format!("const {} of {key}", constant.ident);
                    self.widen(&constant.vis, constant.const_token.span);
                }
                _ => {}
            }
        }
    }

    fn module(&mut self, item: &syn::ItemMod, module: &Arc<[String]>, inline: &[String]) {
        self.widen(&item.vis, item.mod_token.span);
        let path: Arc<[String]> =
            module.iter().cloned().chain([bare_name(&item.ident)]).collect();
        let explicit = self.cfg.attributes(&item.attrs).iter().find_map(|meta| match meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(value), .. }) => Some(value.value()),
                _ => None,
            },
            _ => None,
        });
        let macro_use = item.attrs.iter().any(|attr| attr.path().is_ident("macro_use"));
        let attrs = item.attrs.iter().flat_map(ToTokens::to_token_stream).collect();
        let entry = self.named(module, Kind::Module, "mod", &item.ident, attrs);
        // Inline or in a file is one and the same module.
        entry.title = format!("module `{}`", item.ident);
        match &item.content {
            Some((brace, items)) => {
                let open = self.range(brace.span.open());
                self.out.inline_modules.push(InlineModule {
                    path: path.clone(),
                    head: self.range(item.mod_token.span).start..open.end,
                    close: self.range(brace.span.close()),
                    macro_use,
                });
                let mut folders = inline.to_vec();
                folders.push(explicit.unwrap_or_else(|| bare_name(&item.ident)));
                self.items(items, &path, &folders);
            }
            None => {
                let place = self.place(item.mod_token.span);
                let at = self.range(item.mod_token.span).start;
                self.out.module_files.push(ModuleFile {
                    path,
                    inline: inline.to_vec(),
                    explicit,
                    place,
                    at,
                    macro_use,
                });
            }
        }
    }

    fn macro_item(&mut self, item: &syn::ItemMacro, module: &Arc<[String]>) {
        let called = cfg::name(&item.mac.path);
        let mut idents = BTreeSet::new();
        mentions(item.mac.tokens.clone(), &mut idents);
        let idents = Arc::new(idents);
        match &item.ident {
            Some(ident) if called == "macro_rules" => {
                self.out.macros.push(self.range(item.span()));
                let entry =
                    self.named(module, Kind::MacroRules, "macro", ident, item.to_token_stream());
                entry.mentions = idents;
            }
            _ => {
                let entry =
                    self.other(module, Kind::ItemMacro, "macro call", item.to_token_stream(), item.span());
                entry.title = format!("`{called}!` at item level");
                entry.mentions = idents;
                match called.rsplit("::").next().unwrap_or_default() {
                    "thread_local" | "lazy_static" => self.widen_statics(item.mac.tokens.clone()),
                    "cfg_if" => self.cfg_if(item.mac.tokens.clone(), module),
                    _ => {}
                }
            }
        }
    }

    /// `static` at the top of a macro's input: what `thread_local!` and its like declare.
    fn widen_statics(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            if !matches!(token, TokenTree::Ident(ident) if ident == "static") {
                continue;
            }
            let before = |back: usize| index.checked_sub(back).map(|at| &tokens[at]);
            let is_pub = |token: Option<&TokenTree>| {
                matches!(token, Some(TokenTree::Ident(ident)) if ident == "pub")
            };
            match before(1) {
                previous if is_pub(previous) => {}
                Some(TokenTree::Group(group)) if is_pub(before(2)) => {
                    let range = self.range(group.span());
                    self.out.widening.push(Edit { range, text: Cow::Borrowed(""), import: None, of_type: false });
                }
                _ => {
                    let start = self.range(token.span()).start;
                    self.out.widening.push(Edit { range: start..start, text: Cow::Borrowed("pub "), import: None, of_type: false });
                }
            }
        }
    }

    /// The branches hold items; which of them counts is rustc's to say, so only widen them.
    fn cfg_if(&mut self, tokens: TokenStream, module: &Arc<[String]>) {
        for token in tokens {
            let TokenTree::Group(group) = token else { continue };
            if group.delimiter() != proc_macro2::Delimiter::Brace {
                continue;
            }
            let Ok(file) = syn::parse2::<syn::File>(group.stream()) else { continue };
            let (functions, items, macros) =
                (self.out.functions.len(), self.out.items.len(), self.out.macros.len());
            let modules = self.out.inline_modules.len();
            self.items(&file.items, module, &[]);
            self.out.functions.truncate(functions);
            self.out.items.truncate(items);
            self.out.macros.truncate(macros);
            self.out.inline_modules.truncate(modules);
        }
    }

    fn function(&mut self, parts: &Parts<'_>, module: &Arc<[String]>, owner: Owner) {
        let Parts { attrs, vis, sig, block } = parts;
        let metas = self.cfg.attributes(attrs);
        if metas.iter().any(|meta| meta.path().is_ident("test") || meta.path().is_ident("bench")) {
            return;
        }
        let names: Vec<String> = metas.iter().map(|meta| cfg::name(meta.path())).collect();
        let hot = names.iter().any(|name| is_hot(name));
        let inline = names.iter().any(|name| name == "inline");
        let always = attrs.iter().any(|attr| {
            attr.path().is_ident("inline") && attr.to_token_stream().to_string().contains("always")
        });
        // Which traits are the workspace's own is not known here; see the index.
        let implicit = matches!(&owner, Owner::Impl(head) if head.trait_path.is_some());
        let mut nested = Nested::default();
        nested.visit_block(block);
        let mut shape = shape(&names, sig, &owner, inline, &nested);

        let mut idents = BTreeSet::new();
        let block_tokens = block.to_token_stream();
        mentions(block_tokens.clone(), &mut idents);
        let names_itself = idents.contains(&bare_name(&sig.ident));
        mentions(sig.to_token_stream(), &mut idents);
        if nested.has_types && IDENTITY.iter().any(|name| idents.contains(*name)) {
            // The patch's type of that name is another one.
            shape = fixed("a function that asks which type a value has, with a type of its own");
        }
        // What parameters are called matters to the body alone.
        let mut sig_alone = (*sig).clone();
        let mut code = TokenStream::new();
        for input in &mut sig_alone.inputs {
            if let syn::FnArg::Typed(arg) = input {
                arg.pat.to_tokens(&mut code);
                *arg.pat = syn::parse_quote!(_);
            }
        }
        code.extend(block_tokens);
        let mut surface = TokenStream::new();
        for attr in attrs.iter().filter(|attr| !is_hot(&cfg::name(attr.path()))) {
            attr.to_tokens(&mut surface);
        }
        sig_alone.to_tokens(&mut surface);

        let open = self.range(block.brace_token.span.open());
        let close = self.range(block.brace_token.span.close());
        let start = self.range(start_of(sig)).start;
        let outer: Vec<&Attribute> =
            attrs.iter().filter(|attr| attr.style == syn::AttrStyle::Outer).collect();
        let private = matches!(vis, Some(Visibility::Inherited))
            && !matches!(&owner, Owner::Impl(head) if head.trait_path.is_some());
        let vis = match vis {
            None | Some(Visibility::Inherited) => start..start,
            Some(vis) => self.range(vis.span()),
        };
        let first = outer.first().map_or(vis.start, |attr| self.range(attr.span()).start);
        let statics = nested
            .statics
            .iter()
            .map(|item| NestedStatic {
                name: item.ident.to_string(),
                mutable: matches!(item.mutability, syn::StaticMutability::Mut(_)),
                range: self.range(item.span()),
                ty: self.range(item.ty.span()),
            })
            .collect();
        // An `impl` counts everywhere, wherever it stands.
        let kept = shape != Shape::Plain || nested.has_impls;
        let name = bare_name(&sig.ident);
        self.out.functions.push(Function {
            key: FnKey::new(module, &owner, &name),
            module: module.clone(),
            name,
            owner,
            shape,
            hot,
            inline: always,
            implicit,
            private,
            place: self.place(sig.ident.span()),
            item: first..close.end,
            attrs: outer
                .iter()
                .map(|attr| (self.range(attr.span()), cfg::name(attr.path())))
                .collect(),
            vis,
            sig: start..open.start,
            ident: self.range(sig.ident.span()),
            body: open.end..close.start,
            statics,
            signature: fingerprint(surface),
            code: fingerprint(code),
            kept,
            names_itself,
            mentions: Arc::new(idents),
        });
    }
}

/// Functions every module knows. A private one of that name is left private: visible, a glob import would
/// bring it into modules that mean the prelude's.
const PRELUDE: &[&str] = &["drop", "size_of", "size_of_val", "align_of", "align_of_val", "Some", "Ok", "Err"];

struct Parts<'a> {
    attrs: &'a [Attribute],
    vis: Option<&'a Visibility>,
    sig: &'a syn::Signature,
    block: &'a syn::Block,
}

/// Attributes that leave a function's body to the compiler as it is written.
const INERT: &[&str] = &[
    "allow", "warn", "deny", "forbid", "expect", "inline", "cold", "must_use", "deprecated", "doc",
    "cfg", "cfg_attr", "no_mangle", "export_name", "link_section", "unsafe", "target_feature",
    "track_caller", "ignore", "should_panic", "instruction_set", "coverage", "optimize",
];

fn is_hot(name: &str) -> bool {
    name == "hot" || name.ends_with("::hot")
}

fn shape(
    attrs: &[String],
    sig: &syn::Signature,
    owner: &Owner,
    inline: bool,
    nested: &Nested,
) -> Shape {
    let is_macro = |name: &String| {
        !INERT.contains(&name.as_str())
            && !is_hot(name)
            && !name.starts_with("rustfmt::")
            && !name.starts_with("clippy::")
            && !name.starts_with("diagnostic::")
    };
    let returns_impl = mentions_impl_trait(&sig.output.to_token_stream());
    let takes_impl = mentions_impl_trait(&sig.inputs.to_token_stream());
    if attrs.iter().any(is_macro) {
        fixed("a function under an attribute macro")
    } else if sig.asyncness.is_some() {
        fixed("an `async fn`")
    } else if sig.constness.is_some() {
        fixed("a `const fn`")
    } else if matches!(owner, Owner::Trait(_)) {
        fixed("a default method of a trait")
    } else if returns_impl {
        fixed("a function that returns `impl Trait`")
    } else if sig.variadic.is_some() {
        fixed("a variadic function")
    } else if attrs.iter().any(|name| name == "track_caller") {
        fixed("a `#[track_caller]` function")
    } else if let Some(what) = nested.fixed {
        fixed(what)
    } else if nested.has_types && !nested.statics.is_empty() {
        // Its value may be of the type as the base has it.
        fixed("a function with a `static` and a type of its own")
    } else if takes_impl
        || inline
        || sig.generics.type_params().next().is_some()
        || sig.generics.const_params().next().is_some()
        || matches!(owner, Owner::Impl(head) if head.generic)
    {
        if nested.has_types {
            fixed("a generic or `#[inline]` function with a type of its own")
        } else if nested.statics.is_empty() {
            Shape::Reinstantiated
        } else {
            fixed("a generic or `#[inline]` function with a `static` of its own")
        }
    } else {
        Shape::Plain
    }
}

/// What tells types apart while the program runs.
const IDENTITY: &[&str] = &["Any", "TypeId", "type_id", "downcast", "downcast_ref", "downcast_mut", "type_name"];

fn fixed(what: &'static str) -> Shape {
    Shape::Fixed(Cow::Borrowed(what))
}

/// Items inside a function's body.
#[derive(Default)]
struct Nested {
    statics: Vec<syn::ItemStatic>,
    fixed: Option<&'static str>,
    has_types: bool,
    has_impls: bool,
    depth: usize,
}

impl<'ast> Visit<'ast> for Nested {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Static(item) if self.depth == 0 => self.statics.push(item.clone()),
            Item::Static(_) => self.fixed = Some("a function with a `static` in an inner function"),
            Item::Struct(_) | Item::Enum(_) | Item::Union(_) | Item::Trait(_) => self.has_types = true,
            Item::Impl(_) => self.has_impls = true,
            _ => {}
        }
        self.depth += 1;
        syn::visit::visit_item(self, item);
        self.depth -= 1;
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = cfg::name(&call.path);
        match name.rsplit("::").next().unwrap_or_default() {
            "thread_local" | "lazy_static" => {
                self.fixed = Some("a function with a `thread_local!` or `lazy_static!` inside");
            }
            _ => {}
        }
        // A `static` written inside another macro's input cannot be seen from here for sure.
        let mut before = None;
        for token in call.tokens.clone() {
            if matches!(&token, TokenTree::Ident(word) if word == "static")
                && !matches!(&before, Some(TokenTree::Punct(p)) if p.as_char() == '\'')
            {
                self.fixed = Some("a function with a `static` inside a macro call");
            }
            before = Some(token);
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The first token of a signature.
fn start_of(sig: &syn::Signature) -> Span {
    let mut spans = vec![sig.fn_token.span];
    spans.extend(sig.constness.map(|token| token.span));
    spans.extend(sig.asyncness.map(|token| token.span));
    spans.extend(sig.abi.as_ref().map(|abi| abi.extern_token.span));
    match &sig.safety {
        syn::Safety::Safe(token) => spans.push(token.span),
        syn::Safety::Unsafe(token) => spans.push(token.span),
        syn::Safety::Default => {}
    }
    spans.into_iter().min_by_key(|span| span.byte_range().start).expect("invariant: never empty")
}

fn bare_name(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map_or_else(|| name.clone(), str::to_owned)
}

fn mentions_impl_trait(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => mentions_impl_trait(&group.stream()),
        _ => false,
    })
}

/// The names a `use` brings in; `*` for a glob.
fn leaves(tree: &syn::UseTree, names: &mut Vec<String>) {
    match tree {
        syn::UseTree::Path(path) => {
            let before = names.len();
            leaves(&path.tree, names);
            // `use a::b::{self}` brings in `b`.
            for name in &mut names[before..] {
                if name == "self" {
                    *name = path.ident.to_string();
                }
            }
        }
        syn::UseTree::Name(name) => names.push(name.ident.to_string()),
        syn::UseTree::Rename(rename) => names.push(rename.rename.to_string()),
        syn::UseTree::Glob(_) => names.push("*".to_owned()),
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, names)),
    }
}

fn imports(tree: &syn::UseTree, path: &mut Vec<String>, out: &mut Vec<Import>) {
    let whole = |ident: &syn::Ident, path: &[String]| -> Vec<String> {
        let mut path = path.to_vec();
        if ident != "self" || path.is_empty() {
            path.push(bare_name(ident));
        }
        path
    };
    match tree {
        syn::UseTree::Path(part) => {
            path.push(bare_name(&part.ident));
            imports(&part.tree, path, out);
            path.pop();
        }
        syn::UseTree::Name(name) => {
            let path = whole(&name.ident, path);
            let name = path.last().cloned().unwrap_or_default();
            out.push(Import { path, name });
        }
        syn::UseTree::Rename(rename) => {
            out.push(Import { path: whole(&rename.ident, path), name: bare_name(&rename.rename) });
        }
        syn::UseTree::Glob(_) => {
            let path = if path.is_empty() { vec!["crate".to_owned()] } else { path.clone() };
            out.push(Import { path, name: "*".to_owned() });
        }
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| imports(tree, path, out)),
    }
}

/// What a type is called in a symbol: the last name of its path, or what kind of type it is.
#[must_use]
pub fn type_name(ty: &syn::Type) -> String {
    match ty {
        syn::Type::Path(path) => {
            path.path.segments.last().map_or_else(String::new, |segment| segment.ident.to_string())
        }
        syn::Type::Reference(reference) => type_name(&reference.elem),
        syn::Type::Paren(paren) => type_name(&paren.elem),
        syn::Type::Group(group) => type_name(&group.elem),
        _ => "?".to_owned(),
    }
}
