//! Reads one function: what of it is signature and what body, and whether its body can be compiled elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Attribute, Item, Visibility};

use super::cfg::{self, Cfg};
use super::file::{FnKey, Function, Owner};
use super::read::Reader;
use super::rewrite::included;
use super::tokens::{fingerprint, mentions};
use super::tree::{
    attributes, bare_name, expression_attributes, home, imports, mentions_impl_trait, start_of,
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
        let names = |attrs: &[Attribute]| -> Vec<String> {
            let metas = self.cfg.attributes(attrs);
            metas.iter().map(|meta| cfg::name(meta.path())).collect()
        };
        let (names, around) = (names(attrs), names(around));
        if names
            .iter()
            .any(|name| matches!(name.as_str(), "test" | "bench"))
        {
            return;
        }
        let is_never_inlined = attrs.iter().any(|attr| {
            let is_inline = attr.path().is_ident("inline");
            is_inline && attr.to_token_stream().to_string().contains("never")
        });
        let is_inline = names.iter().any(|name| name == "inline") && !is_never_inlined;
        let mut nested = Nested::under(self.cfg);
        nested.visit_block(block);
        let macros = Macros::of(&names, &around);
        let is_bound = is_inline
            || nested.is_bound
            || macros == Macros::Unknown
            || is_another_elsewhere(&names, sig, &owner);
        let kept = is_bound || is_compiled_where_used(sig, &owner);

        let mut idents = BTreeSet::new();
        let block_tokens = block.to_token_stream();
        mentions(block_tokens.clone(), &mut idents);
        let names_itself = idents.contains(&bare_name(&sig.ident));
        mentions(sig.to_token_stream(), &mut idents);
        let includes = if idents.contains("include_str") || idents.contains("include_bytes") {
            included(&block_tokens)
        } else {
            Vec::new()
        };
        let is_movable = macros == Macros::None && !nested.is_special && includes.is_empty();
        let generic = kept && !is_bound && is_movable && has_instances(sig, &owner);
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
        for attr in *attrs {
            attr.to_tokens(&mut surface);
        }
        sig_alone.to_tokens(&mut surface);

        let open = self.range(block.brace_token.span.open());
        let close = self.range(block.brace_token.span.close());
        let start = self.range(start_of(sig)).start;
        let outer: Vec<&Attribute> = attrs
            .iter()
            .filter(|attr| attr.style == syn::AttrStyle::Outer)
            .collect();
        let home = vis
            .and_then(|vis| home(vis, module))
            .filter(|_| !owner.implements_a_trait());
        let vis = match vis {
            None | Some(Visibility::Inherited) => start..start,
            Some(vis) => self.range(vis.span()),
        };
        let first = outer
            .first()
            .map_or(vis.start, |attr| self.range(attr.span()).start);
        let name = bare_name(&sig.ident);
        self.out.functions.push(Function {
            key: FnKey::new(module, &owner, &name),
            module: module.clone(),
            name,
            owner,
            plain: !kept && is_movable,
            generic,
            kept,
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
            signature: fingerprint(surface),
            code: fingerprint(code),
            names_itself,
            includes,
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
    /// They put code before and after the body.
    Wrapping,
    /// Nobody knows what they do.
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

fn is_hot(name: &str) -> bool {
    name == "hot" || name.ends_with("::hot")
}

/// Its code is made where it is used: by those who say with which types, or by whoever calls it.
fn is_compiled_where_used(sig: &syn::Signature, owner: &Owner) -> bool {
    mentions_impl_trait(&sig.inputs.to_token_stream())
        || sig.generics.type_params().next().is_some()
        || sig.generics.const_params().next().is_some()
        || matches!(owner, Owner::Trait(_))
        || matches!(owner, Owner::Impl(head) if head.generic)
}

/// The types that it is made for can be written down: it has names for them.
fn has_instances(sig: &syn::Signature, owner: &Owner) -> bool {
    !mentions_impl_trait(&sig.inputs.to_token_stream()) && !matches!(owner, Owner::Trait(_))
}

/// It means something else, or has another value, wherever it is compiled.
fn is_another_elsewhere(attrs: &[String], sig: &syn::Signature, owner: &Owner) -> bool {
    sig.asyncness.is_some()
        || sig.constness.is_some()
        || sig.variadic.is_some()
        || mentions_impl_trait(&sig.output.to_token_stream())
        || attrs.iter().any(|name| name == "track_caller")
        || inherits_track_caller(owner)
}

/// The standard library's traits whose methods pass on where they were called from.
fn inherits_track_caller(owner: &Owner) -> bool {
    let names = ["Index", "IndexMut"];
    matches!(owner, Owner::Impl(head) if head.trait_name.as_deref().is_some_and(|name| names.contains(&name)))
}

/// Items inside a function's body.
struct Nested<'a> {
    cfg: &'a Cfg,
    depth: usize,
    /// One of them would be another one in a copy of the function, or counts everywhere.
    is_bound: bool,
    /// There are others that a copy of the function should not have: statics, functions, or glob imports.
    is_special: bool,
}

impl<'a> Nested<'a> {
    fn under(cfg: &'a Cfg) -> Self {
        Self {
            cfg,
            depth: 0,
            is_bound: false,
            is_special: false,
        }
    }
}

/// Whether a macro call may declare a static: it has the word in it, and not as a lifetime.
fn may_declare(call: &syn::Macro) -> bool {
    let tokens: Vec<TokenTree> = call.tokens.clone().into_iter().collect();
    let is_quote = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == '\'');
    tokens.iter().enumerate().any(|(at, token)| {
        let is_static = matches!(token, TokenTree::Ident(i) if i == "static");
        is_static && !(at > 0 && is_quote(&tokens[at - 1]))
    })
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
            // One in an inner function is known by its place.
            Item::Static(_) if self.depth > 0 => self.is_bound = true,
            Item::Static(_) => self.is_special = true,
            Item::Use(item) => {
                let mut found = Vec::new();
                imports(&item.tree, &mut Vec::new(), &mut found);
                self.is_special |= found.iter().any(|import| import.name == "*");
            }
            Item::Struct(_) | Item::Enum(_) | Item::Union(_) | Item::Trait(_) | Item::Impl(_) => {
                self.is_bound = true
            }
            Item::Fn(_) => self.is_special = true,
            _ => {}
        }
        self.depth += 1;
        syn::visit::visit_item(self, item);
        self.depth -= 1;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if self.cfg.keeps(&item.attrs) {
            self.is_special = true;
            syn::visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = cfg::name(&call.path);
        let last = name.rsplit("::").next().unwrap_or_default();
        // Whether it is a static cannot be seen from here for sure.
        self.is_bound |= matches!(last, "thread_local" | "lazy_static") || may_declare(call);
    }
}
