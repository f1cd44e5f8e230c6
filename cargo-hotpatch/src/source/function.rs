//! Reads one function: what of it is signature and what body, and how its new body can get into a patch.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Attribute, Item, Visibility};

use super::cfg::{self, Cfg};
use super::file::{FnKey, Function, Future, NestedStatic, Owner, Shape};
use super::macros::STATELESS;
use super::read::Reader;
use super::rewrite::included;
use super::tokens::{fingerprint, mentions};
use super::tree::{
    attributes, bare_name, expression_attributes, home, imports, mentions_impl_trait, start_of,
    type_name,
};

impl Reader<'_> {
    pub(super) fn function(&mut self, parts: &Parts<'_>, module: &Arc<[String]>, owner: Owner) {
        let Parts {
            attrs,
            vis,
            sig,
            block,
            around,
        } = parts;
        let metas = self.cfg.attributes(attrs);
        let around: Vec<String> = self
            .cfg
            .attributes(around)
            .iter()
            .map(|meta| cfg::name(meta.path()))
            .collect();
        if metas
            .iter()
            .any(|meta| meta.path().is_ident("test") || meta.path().is_ident("bench"))
        {
            return;
        }
        let names: Vec<String> = metas.iter().map(|meta| cfg::name(meta.path())).collect();
        let hot = names.iter().any(|name| is_hot(name));
        let says = |word: &str| {
            attrs.iter().any(|attr| {
                attr.path().is_ident("inline") && attr.to_token_stream().to_string().contains(word)
            })
        };
        let (always, never) = (says("always"), says("never"));
        let inline = names.iter().any(|name| name == "inline") && !never;
        // Which traits are the workspace's own is not known here; see the index.
        let implicit = owner.implements_a_trait();
        let mut nested = Nested::under(self.cfg);
        nested.visit_block(block);
        let macros = Macros::of(&names, &around);
        let attribute = metas.iter().find(|meta| is_hot(&cfg::name(meta.path())));
        let argument = attribute.and_then(|meta| meta.require_list().ok());
        let argument = argument.map(|list| list.tokens.to_string());
        let future = (hot && sig.asyncness.is_some()).then(|| match &argument {
            Some(argument) if argument.contains("Send") => Future::Local,
            _ => Future::Sent,
        });
        // Others expand before or after `#[hot]` does, which then stands on another function.
        let is_alone = macros == Macros::None && around.iter().all(|name| !is_macro(name));
        let future = future.filter(|_| is_alone);
        let mut shape = shape(&names, &macros, sig, &owner, inline, (hot, future), &nested);

        let mut idents = BTreeSet::new();
        let block_tokens = block.to_token_stream();
        mentions(block_tokens.clone(), &mut idents);
        let names_itself = idents.contains(&bare_name(&sig.ident));
        mentions(sig.to_token_stream(), &mut idents);
        let asks = IDENTITY.iter().any(|name| idents.contains(*name));
        // The patch's type of that name would be another one, for whoever asks which type a value has; a scope's is the
        // same.
        if nested.has_types && shape == Shape::Plain {
            if !hot {
                shape = Shape::Reinstantiated;
            } else if asks {
                shape = fixed(
                    "a hot function that asks which type a value has, with a type of its own",
                );
            }
        }
        // What it keeps is found by its place, and its place is the scope's, too.
        let placed = hot
            && !nested.has_types
            && !owner.implements_a_trait()
            && nested
                .elsewhere
                .is_some_and(|what| shape == fixed(what) && !is_exported(&names));
        if placed {
            shape = Shape::Plain;
        }
        if !nested.implemented.is_subset(&nested.types) {
            // It counts everywhere, and the function's patch would have another one.
            shape = fixed("a function with an `impl` for a type of others");
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
        code.extend(block_tokens.clone());
        let mut surface = TokenStream::new();
        for attr in attrs.iter().filter(|attr| !is_hot(&cfg::name(attr.path()))) {
            attr.to_tokens(&mut surface);
        }
        surface.extend(argument.and_then(|argument| argument.parse::<TokenStream>().ok()));
        sig_alone.to_tokens(&mut surface);

        let open = self.range(block.brace_token.span.open());
        let close = self.range(block.brace_token.span.close());
        let start = self.range(start_of(sig)).start;
        let outer: Vec<&Attribute> = attrs
            .iter()
            .filter(|attr| attr.style == syn::AttrStyle::Outer)
            .collect();
        let home = vis.and_then(|vis| home(vis, module)).filter(|_| !implicit);
        let vis = match vis {
            None | Some(Visibility::Inherited) => start..start,
            Some(vis) => self.range(vis.span()),
        };
        let first = outer
            .first()
            .map_or(vis.start, |attr| self.range(attr.span()).start);
        let statics = nested
            .statics
            .iter()
            .map(|item| NestedStatic {
                name: item.ident.to_string(),
                mutable: matches!(item.mutability, syn::StaticMutability::Mut(_)),
                range: self.range(item.span()),
                ty: self.range(item.ty.span()),
                value: fingerprint(item.expr.to_token_stream()),
                init: self.range(item.expr.span()),
            })
            .collect();
        // An `impl` counts everywhere, wherever it stands.
        let kept = shape != Shape::Plain || nested.has_impls;
        let is_generic = is_generic(sig, &owner);
        let name = bare_name(&sig.ident);
        self.out.functions.push(Function {
            key: FnKey::new(module, &owner, &name),
            module: module.clone(),
            name,
            owner,
            shape,
            placed,
            hot,
            future,
            inline: always,
            implicit,
            home,
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
            inner: nested
                .inner
                .iter()
                .map(|start| self.range(*start).start)
                .collect(),
            signature: fingerprint(surface),
            code: fingerprint(code),
            kept,
            opened: !inline && !is_generic,
            constant: sig.constness.is_some(),
            generic: is_generic,
            nested: nested.parts(),
            macros: fingerprint(nested.macros),
            wrapped: macros == Macros::Wrapping,
            names_itself,
            includes: if idents.contains("include_str") || idents.contains("include_bytes") {
                included(&block_tokens)
            } else {
                Vec::new()
            },
            globs: nested.globs,
            mentions: Arc::new(idents),
        });
    }
}

pub(super) struct Parts<'a> {
    pub(super) attrs: &'a [Attribute],
    pub(super) vis: Option<&'a Visibility>,
    pub(super) sig: &'a syn::Signature,
    pub(super) block: &'a syn::Block,
    /// Attributes of the `impl` or trait around it.
    pub(super) around: &'a [Attribute],
}

/// Attributes that leave a function's body to the compiler as it is written.
const INERT: &[&str] = &[
    "allow",
    "warn",
    "deny",
    "forbid",
    "expect",
    "inline",
    "cold",
    "must_use",
    "deprecated",
    "doc",
    "cfg",
    "cfg_attr",
    "no_mangle",
    "export_name",
    "link_section",
    "unsafe",
    "target_feature",
    "track_caller",
    "ignore",
    "should_panic",
    "instruction_set",
    "coverage",
    "optimize",
];

/// The attribute macros on a function and around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Macros {
    None,
    /// They put code before and after the body, and statics of a kind that each patch may have for itself.
    Wrapping,
    /// Nobody knows what they do; in the crate itself they do it as ever.
    Unknown,
}

/// Attribute macros that put code around a body: `tracing`'s.
const WRAPPING: &[&str] = &["instrument"];
/// Attribute macros of an impl that leave those of its methods alone that are not `async`.
const TRANSPARENT: &[&str] = &["async_trait"];

impl Macros {
    fn of(attrs: &[String], around: &[String]) -> Self {
        let last = |name: &String| name.rsplit("::").next().unwrap_or_default().to_owned();
        let mut own = attrs.iter().filter(|name| is_macro(name)).peekable();
        let wraps = own.peek().is_some();
        let known = own.all(|name| WRAPPING.contains(&last(name).as_str()));
        let mut around = around.iter().filter(|name| is_macro(name));
        let clear = around.all(|name| TRANSPARENT.contains(&last(name).as_str()));
        match (known && clear, wraps) {
            (true, false) => Self::None,
            (true, true) => Self::Wrapping,
            (false, _) => Self::Unknown,
        }
    }
}

/// An attribute of this name is neither the compiler's nor ours.
fn is_macro(name: &str) -> bool {
    !INERT.contains(&name)
        && !is_hot(name)
        && !name.starts_with("rustfmt::")
        && !name.starts_with("clippy::")
        && !name.starts_with("diagnostic::")
}

pub(super) fn is_hot(name: &str) -> bool {
    name == "hot" || name.ends_with("::hot")
}

fn is_exported(attrs: &[String]) -> bool {
    let words = ["no_mangle", "export_name", "unsafe"];
    attrs.iter().any(|name| words.contains(&name.as_str()))
}

fn shape(
    attrs: &[String],
    macros: &Macros,
    sig: &syn::Signature,
    owner: &Owner,
    inline: bool,
    (hot, future): (bool, Option<Future>),
    nested: &Nested<'_>,
) -> Shape {
    let is = |word: &str| attrs.iter().any(|name| name == word);
    let is_exported = is_exported(attrs);
    // Each of these means something else, or has another value, wherever it is compiled.
    let other = if sig.asyncness.is_some() && future.is_none() {
        Some("an `async fn` under an attribute macro")
    } else if sig.constness.is_some() {
        Some("a `const fn`")
    } else if mentions_impl_trait(&sig.output.to_token_stream()) {
        Some("a function that returns `impl Trait`")
    } else if is("track_caller") || inherits_track_caller(owner) {
        Some("a `#[track_caller]` function")
    } else {
        nested.elsewhere.or_else(|| {
            // Its value may be of the type as the base has it.
            (nested.has_types && !nested.statics.is_empty())
                .then_some("a function with a `static` and a type of its own")
        })
    };
    let is_default = matches!(owner, Owner::Trait(_));
    if *macros == Macros::Unknown && (hot || is_exported) {
        fixed("a hot function under an attribute macro")
    } else if sig.variadic.is_some() {
        fixed("a variadic function")
    } else if nested.has_twins() {
        fixed("a function with two statics of one name")
    } else if is_default || is_generic(sig, owner) || inline {
        Shape::Reinstantiated
    } else if let Some(what) = other {
        if hot || is_exported {
            fixed(what)
        } else {
            Shape::Reinstantiated
        }
    } else if *macros == Macros::Unknown {
        Shape::Reinstantiated
    } else {
        Shape::Plain
    }
}

/// The standard library's traits whose methods pass on where they were called from.
fn inherits_track_caller(owner: &Owner) -> bool {
    let names = ["Index", "IndexMut"];
    matches!(owner, Owner::Impl(head) if head.trait_name.as_deref().is_some_and(|name| names.contains(&name)))
}

/// Its code is made where it is used: rustc keeps it for other crates by itself.
fn is_generic(sig: &syn::Signature, owner: &Owner) -> bool {
    mentions_impl_trait(&sig.inputs.to_token_stream())
        || sig.generics.type_params().next().is_some()
        || sig.generics.const_params().next().is_some()
        || matches!(owner, Owner::Trait(_))
        || matches!(owner, Owner::Impl(head) if head.generic)
}

/// What a type or trait is called.
fn own_name(item: &Item) -> Option<String> {
    match item {
        Item::Struct(item) => Some(bare_name(&item.ident)),
        Item::Enum(item) => Some(bare_name(&item.ident)),
        Item::Union(item) => Some(bare_name(&item.ident)),
        Item::Trait(item) => Some(bare_name(&item.ident)),
        _ => None,
    }
}

/// What tells types apart while the program runs.
const IDENTITY: &[&str] = &[
    "Any",
    "TypeId",
    "type_id",
    "downcast",
    "downcast_ref",
    "downcast_mut",
    "type_name",
];

fn fixed(what: &'static str) -> Shape {
    Shape::Fixed(Cow::Borrowed(what))
}

/// Items inside a function's body.
struct Nested<'a> {
    cfg: &'a Cfg,
    statics: Vec<syn::ItemStatic>,
    /// Where functions start that are not `#[inline]`.
    inner: Vec<proc_macro2::Span>,
    /// What keeps it from being taken out of its place.
    elsewhere: Option<&'static str>,
    has_types: bool,
    has_impls: bool,
    /// Types of its own.
    types: BTreeSet<String>,
    /// Those that it has an `impl` for.
    implemented: BTreeSet<String>,
    depth: usize,
    /// What values may be left of: statics and types, with the fingerprint of what their values are.
    state: Vec<(String, u64)>,
    /// Calls of macros that may make statics.
    macros: TokenStream,
    /// Where glob imports take all from: the last names of their paths.
    globs: Vec<String>,
}

impl<'a> Nested<'a> {
    fn under(cfg: &'a Cfg) -> Self {
        Self {
            cfg,
            statics: Vec::new(),
            inner: Vec::new(),
            elsewhere: None,
            globs: Vec::new(),
            has_types: false,
            has_impls: false,
            types: BTreeSet::new(),
            implemented: BTreeSet::new(),
            depth: 0,
            state: Vec::new(),
            macros: TokenStream::new(),
        }
    }

    fn keep(&mut self, name: String, tokens: TokenStream) {
        self.state.push((name, fingerprint(tokens)));
    }

    /// An inner function.
    fn inner(&mut self, attrs: &[Attribute], vis: &Visibility, sig: &syn::Signature) {
        // What else stands on it may mind another attribute.
        let known = ["allow", "expect", "doc", "must_use", "cold"];
        let is_known = |attr: &Attribute| known.iter().any(|name| attr.path().is_ident(name));
        if attrs.iter().all(is_known) {
            self.inner.push(match vis {
                Visibility::Inherited => start_of(sig),
                vis => vis.span(),
            });
        }
    }

    /// Two statics that only their order tells apart.
    fn has_twins(&self) -> bool {
        let statics = || {
            self.state
                .iter()
                .map(|(name, _)| name)
                .filter(|name| name.contains("static"))
        };
        statics().collect::<BTreeSet<_>>().len() < statics().count()
    }

    fn parts(&self) -> Vec<(String, u64)> {
        let mut seen: BTreeMap<&String, usize> = BTreeMap::new();
        self.state
            .iter()
            .map(|(name, code)| {
                let count = seen.entry(name).or_default();
                *count += 1;
                (format!("{name}#{count}").replace("#1", ""), *code)
            })
            .collect()
    }

    /// What a macro call declares as `static`, if anything.
    fn declared(&mut self, call: &syn::Macro) -> bool {
        let tokens: Vec<TokenTree> = call.tokens.clone().into_iter().collect();
        let is = |at: usize, word: &str| matches!(&tokens[at], TokenTree::Ident(i) if i == word);
        let is_lifetime = |at: usize| {
            at > 0 && matches!(&tokens[at - 1], TokenTree::Punct(p) if p.as_char() == '\'')
        };
        let mut found = false;
        for at in (0..tokens.len()).filter(|at| is(*at, "static") && !is_lifetime(*at)) {
            let name = tokens[at + 1..]
                .iter()
                .find(|token| matches!(token, TokenTree::Ident(i) if i != "ref" && i != "mut"))
                .map(ToString::to_string);
            let of = cfg::name(&call.path);
            let of = of.rsplit("::").next().unwrap_or_default();
            let name = name.unwrap_or_default();
            self.keep(format!("static `{name}` of `{of}!`"), call.tokens.clone());
            found = true;
        }
        found
    }
}

impl<'ast> Visit<'ast> for Nested<'_> {
    fn visit_expr(&mut self, expr: &'ast syn::Expr) {
        if self.cfg.keeps(expression_attributes(expr)) {
            syn::visit::visit_expr(self, expr);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if self.cfg.keeps(&local.attrs) {
            syn::visit::visit_local(self, local);
        }
    }

    fn visit_stmt_macro(&mut self, call: &'ast syn::StmtMacro) {
        if self.cfg.keeps(&call.attrs) {
            syn::visit::visit_stmt_macro(self, call);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if self.cfg.keeps(&arm.attrs) {
            syn::visit::visit_arm(self, arm);
        }
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !self.cfg.keeps(attributes(item)) {
            return;
        }
        match item {
            Item::Static(item) => {
                let mut what = item.mutability.to_token_stream();
                item.ty.to_tokens(&mut what);
                self.keep(format!("static `{}`", item.ident), what);
                if self.depth == 0 {
                    self.statics.push(item.clone());
                } else {
                    self.elsewhere = Some("a function with a `static` in an inner function");
                }
            }
            Item::Use(item) => {
                let mut found = Vec::new();
                imports(&item.tree, &mut Vec::new(), &mut found);
                let globs = found.into_iter().filter(|import| import.name == "*");
                self.globs
                    .extend(globs.filter_map(|mut import| import.path.pop()));
            }
            Item::Struct(_) | Item::Enum(_) | Item::Union(_) | Item::Trait(_) => {
                self.has_types = true;
                self.types.extend(own_name(item));
                let name = match item {
                    Item::Struct(item) => format!("struct `{}`", item.ident),
                    Item::Enum(item) => format!("enum `{}`", item.ident),
                    Item::Union(item) => format!("union `{}`", item.ident),
                    _ => String::new(),
                };
                if !name.is_empty() {
                    self.keep(name, item.to_token_stream());
                }
            }
            Item::Impl(item) => {
                self.has_impls = true;
                self.implemented.insert(type_name(&item.self_ty));
            }
            Item::Fn(item) => self.inner(&item.attrs, &item.vis, &item.sig),
            _ => {}
        }
        self.depth += 1;
        syn::visit::visit_item(self, item);
        self.depth -= 1;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if self.cfg.keeps(&item.attrs) {
            self.inner(&item.attrs, &item.vis, &item.sig);
            syn::visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = cfg::name(&call.path);
        let last = name.rsplit("::").next().unwrap_or_default();
        if !STATELESS.contains(&last) {
            call.to_tokens(&mut self.macros);
        }
        let declares = self.declared(call);
        if matches!(last, "thread_local" | "lazy_static") {
            self.elsewhere = Some("a function with a `thread_local!` or `lazy_static!` inside");
        } else if declares {
            // Whether it is one cannot be seen from here for sure.
            self.elsewhere = Some("a function with a `static` inside a macro call");
        }
    }
}
