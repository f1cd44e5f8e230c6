//! Fields whose visibility decides what a name means.

use std::collections::BTreeSet;
use std::sync::Arc;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::file::{FnKey, Function, Kind, Owner, Shape};
use super::items::{CrateSource, SourceFile};

/// Private fields of types with a `Deref`: the module that may use them, and their name.
#[must_use]
pub fn private_fields_before_deref(source: &CrateSource) -> Vec<(Arc<[String]>, String)> {
    let derefs: BTreeSet<&str> = source
        .functions()
        .filter_map(|(_, function)| match &function.owner {
            Owner::Impl(head) if head.trait_name.as_deref() == Some("Deref") => {
                Some(head.self_name.as_str())
            }
            _ => None,
        })
        .collect();
    let items = source.files.iter().flat_map(|file| &file.parsed.items);
    let types = items.filter(|item| {
        item.kind == Kind::Type
            && (item.paths.contains("Deref")
                || item.names.iter().any(|name| derefs.contains(name.as_str())))
    });
    types
        .flat_map(|item| {
            let fields = item
                .members
                .iter()
                .filter(|member| member.private && !member.name.contains('.'));
            fields.map(|member| {
                // `pub(super)` is taken for `pub(crate)`: a function too many stays in its place.
                let home = if member.restricted {
                    Arc::from([])
                } else {
                    item.module.clone()
                };
                (home, member.name.clone())
            })
        })
        .collect()
}

/// Functions whose code stays where it is and is compiled through the scope: those that may use such a field, which
/// taken out of their module might be led past it to what is behind the `Deref`, those with thread-locals of their own, and
/// those that rustc refused.
#[must_use]
pub fn in_place(source: &CrateSource) -> BTreeSet<FnKey> {
    let placed = source
        .functions()
        .filter(|(_, function)| function.placed)
        .map(|(_, function)| function.key.clone());
    let known = source.in_place.iter().cloned().chain(placed);
    let fields = private_fields_before_deref(source);
    if fields.is_empty() {
        return known.collect();
    }
    let uses = |file: &SourceFile, function: &Function| {
        let near: Vec<&str> = fields
            .iter()
            .filter(|(module, _)| function.module.starts_with(module))
            .map(|(_, field)| field.as_str())
            .collect();
        let is_number = |field: &&str| field.starts_with(|c: char| c.is_ascii_digit());
        let may = near
            .iter()
            .any(|field| is_number(field) || function.mentions.contains(*field));
        may && {
            let used = fields_used(file, function);
            near.iter().any(|field| used.contains(*field))
        }
    };
    let functions = source.functions();
    functions
        .filter(|(_, function)| function.shape == Shape::Plain)
        .filter(|(file, function)| uses(file, function))
        .map(|(_, function)| function.key.clone())
        .chain(known)
        .collect()
}

/// Whether a function's code can be compiled where it stands. The body of a hot method of a trait has to go by another name,
/// as a method of the type's, for which that must be one of the crate's own.
#[must_use]
pub fn can_be_in_place(source: &CrateSource, function: &Function) -> bool {
    let Owner::Impl(head) = &function.owner else {
        return true;
    };
    let named = |kind: Kind, name: &str| {
        let mut items = source.files.iter().flat_map(|file| &file.parsed.items);
        items.any(|item| item.kind == kind && item.names.iter().any(|known| known == name))
    };
    let path = head.self_ty.replace(' ', "");
    let first = path.split_once("::").map_or("self", |(first, _)| first);
    let is_own = named(Kind::Type, &head.self_name)
        && path.starts_with(|c: char| c.is_alphabetic())
        && (matches!(first, "crate" | "self" | "super") || named(Kind::Module, first));
    !function.hot || head.trait_path.is_none() || (function.future.is_none() && is_own)
}

/// What stands after a dot in the function and is not called, and what stands where the fields of a value or of
/// a pattern do.
#[must_use]
pub fn fields_used(file: &SourceFile, function: &Function) -> BTreeSet<String> {
    fn walk(tokens: TokenStream, out: &mut BTreeSet<String>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            let after_dot = index > 0
                && matches!(&tokens[index - 1], TokenTree::Punct(p) if p.as_char() == '.');
            let after_path = index > 0
                && match &tokens[index - 1] {
                    TokenTree::Ident(_) => true,
                    // `Name::<T> { … }`
                    TokenTree::Punct(p) => p.as_char() == '>',
                    _ => false,
                };
            match token {
                TokenTree::Group(group) => {
                    if after_path && group.delimiter() == Delimiter::Brace {
                        in_braces(group.stream(), out);
                    }
                    walk(group.stream(), out);
                }
                TokenTree::Ident(name) if after_dot => {
                    let called = matches!(tokens.get(index + 1), Some(TokenTree::Group(group))
                        if group.delimiter() == Delimiter::Parenthesis);
                    if !called {
                        out.insert(name.to_string().trim_start_matches("r#").to_owned());
                    }
                }
                TokenTree::Literal(number) if after_dot => {
                    out.extend(number.to_string().split('.').map(str::to_owned));
                }
                _ => {}
            }
        }
    }
    /// `a`, `b: …` and `ref c` between commas, or else statements, which begin with no name and comma.
    fn in_braces(tokens: TokenStream, out: &mut BTreeSet<String>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |token: Option<&TokenTree>, char: char| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == char);
        for (index, token) in tokens.iter().enumerate() {
            let TokenTree::Ident(name) = token else {
                continue;
            };
            let next = tokens.get(index + 1);
            let is_path = is(next, ':') && is(tokens.get(index + 2), ':');
            if next.is_none() || is(next, ',') || (is(next, ':') && !is_path) {
                out.insert(name.to_string().trim_start_matches("r#").to_owned());
            }
        }
    }
    let mut out = BTreeSet::new();
    if let Ok(tokens) = file.parsed.text[function.body.clone()].parse() {
        walk(tokens, &mut out);
    }
    proc_macro2::extra::invalidate_current_thread_spans();
    out
}
