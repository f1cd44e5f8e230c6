//! Reads one function: what of it is signature and what body, and how its new body can get into a patch.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Attribute, Item, Visibility};

use super::cfg;
use super::file::{FnKey, Function, NestedStatic, Owner, Shape};
use super::read::Reader;
use super::tokens::{fingerprint, mentions};
use super::tree::{bare_name, mentions_impl_trait, start_of};

impl Reader<'_> {
    pub(super) fn function(&mut self, parts: &Parts<'_>, module: &Arc<[String]>, owner: Owner) {
        let Parts {
            attrs,
            vis,
            sig,
            block,
        } = parts;
        let metas = self.cfg.attributes(attrs);
        if metas
            .iter()
            .any(|meta| meta.path().is_ident("test") || meta.path().is_ident("bench"))
        {
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
        let outer: Vec<&Attribute> = attrs
            .iter()
            .filter(|attr| attr.style == syn::AttrStyle::Outer)
            .collect();
        let private = matches!(vis, Some(Visibility::Inherited))
            && !matches!(&owner, Owner::Impl(head) if head.trait_path.is_some());
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
pub(super) const PRELUDE: &[&str] = &[
    "drop",
    "size_of",
    "size_of_val",
    "align_of",
    "align_of_val",
    "Some",
    "Ok",
    "Err",
];

pub(super) struct Parts<'a> {
    pub(super) attrs: &'a [Attribute],
    pub(super) vis: Option<&'a Visibility>,
    pub(super) sig: &'a syn::Signature,
    pub(super) block: &'a syn::Block,
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
            Item::Struct(_) | Item::Enum(_) | Item::Union(_) | Item::Trait(_) => {
                self.has_types = true
            }
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
