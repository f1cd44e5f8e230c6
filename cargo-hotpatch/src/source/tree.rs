//! Small questions to syntax trees.

use std::sync::Arc;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{Attribute, Expr, Item};

use super::file::Import;

pub(super) fn attributes(item: &Item) -> &[Attribute] {
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

/// The attributes of an expression: of a kind that one would leave out by `#[cfg]`.
pub(super) fn expression_attributes(expr: &Expr) -> &[Attribute] {
    match expr {
        Expr::Assign(expr) => &expr.attrs,
        Expr::Block(expr) => &expr.attrs,
        Expr::Call(expr) => &expr.attrs,
        Expr::Closure(expr) => &expr.attrs,
        Expr::ForLoop(expr) => &expr.attrs,
        Expr::If(expr) => &expr.attrs,
        Expr::Loop(expr) => &expr.attrs,
        Expr::Macro(expr) => &expr.attrs,
        Expr::Match(expr) => &expr.attrs,
        Expr::MethodCall(expr) => &expr.attrs,
        Expr::Return(expr) => &expr.attrs,
        Expr::Unsafe(expr) => &expr.attrs,
        Expr::While(expr) => &expr.attrs,
        _ => &[],
    }
}

/// The first token of a signature.
pub(super) fn start_of(sig: &syn::Signature) -> Span {
    let mut spans = vec![sig.fn_token.span];
    spans.extend(sig.constness.map(|token| token.span));
    spans.extend(sig.asyncness.map(|token| token.span));
    spans.extend(sig.abi.as_ref().map(|abi| abi.extern_token.span));
    match &sig.safety {
        syn::Safety::Safe(token) => spans.push(token.span),
        syn::Safety::Unsafe(token) => spans.push(token.span),
        syn::Safety::Default => {}
    }
    spans
        .into_iter()
        .min_by_key(|span| span.byte_range().start)
        .expect("invariant: never empty")
}

pub(super) fn bare_name(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#")
        .map_or_else(|| name.clone(), str::to_owned)
}

pub(super) fn mentions_impl_trait(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => mentions_impl_trait(&group.stream()),
        _ => false,
    })
}

/// The names a `use` brings in; `*` for a glob.
pub(super) fn leaves(tree: &syn::UseTree, names: &mut Vec<String>) {
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

pub(super) fn imports(tree: &syn::UseTree, path: &mut Vec<String>, out: &mut Vec<Import>) {
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
            out.push(Import {
                path: whole(&rename.ident, path),
                name: bare_name(&rename.rename),
            });
        }
        syn::UseTree::Glob(_) => {
            let path = if path.is_empty() {
                vec!["crate".to_owned()]
            } else {
                path.clone()
            };
            out.push(Import {
                path,
                name: "*".to_owned(),
            });
        }
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| imports(tree, path, out)),
    }
}

/// The module that, with those below it, sees what has this visibility in `module`; `None` where everybody does.
#[must_use]
pub fn home(vis: &syn::Visibility, module: &Arc<[String]>) -> Option<Arc<[String]>> {
    let path = match vis {
        syn::Visibility::Public(_) => return None,
        syn::Visibility::Inherited => return Some(module.clone()),
        syn::Visibility::Restricted(vis) => &vis.path,
    };
    let mut home = module.to_vec();
    for (number, part) in path.segments.iter().enumerate() {
        match part.ident.to_string().as_str() {
            "crate" => home.clear(),
            "self" => {}
            "super" => drop(home.pop()),
            // In edition 2015 a path begins at the root.
            _ if number == 0 => home = vec![bare_name(&part.ident)],
            _ => home.push(bare_name(&part.ident)),
        }
    }
    Some(home.into())
}

/// What a type is called in a symbol: the last name of its path, or what kind of type it is.
#[must_use]
pub fn type_name(ty: &syn::Type) -> String {
    match ty {
        syn::Type::Path(path) => path
            .path
            .segments
            .last()
            .map_or_else(String::new, |segment| segment.ident.to_string()),
        syn::Type::Reference(reference) => type_name(&reference.elem),
        syn::Type::Paren(paren) => type_name(&paren.elem),
        syn::Type::Group(group) => type_name(&group.elem),
        _ => "?".to_owned(),
    }
}
