//! Fields whose visibility decides what a name means.

use std::collections::BTreeSet;
use std::sync::Arc;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::file::{FnKey, Function, Kind, Owner};
use super::items::{CrateSource, SourceFile};

/// Private fields of types with a `Deref`: the module that may use them, and their name.
fn private_fields_before_deref(source: &CrateSource) -> Vec<(Arc<[String]>, String)> {
    let derefs: BTreeSet<&str> = source
        .functions()
        .filter_map(|(_, function)| match &function.owner {
            Owner::Impl(head) if head.trait_name.as_deref() == Some("Deref") => {
                Some(head.self_name.as_str())
            }
            _ => None,
        })
        .collect();
    let types = source.items().filter(|item| {
        item.kind == Kind::Type
            && (item.names_deref || item.names.iter().any(|name| derefs.contains(name.as_str())))
    });
    types
        .flat_map(|item| {
            item.private_fields.iter().map(|field| {
                // `pub(super)` is taken for `pub(crate)`: that is a function too many.
                let home = if field.restricted {
                    Arc::from([])
                } else {
                    item.module.clone()
                };
                (home, field.name.clone())
            })
        })
        .collect()
}

/// Functions that may use such a field: taken out of their module they might be led past it to what is behind the `Deref`.
#[must_use]
pub fn in_place(source: &CrateSource) -> BTreeSet<FnKey> {
    let fields = private_fields_before_deref(source);
    if fields.is_empty() {
        return BTreeSet::new();
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
        .filter(|(_, function)| function.plain || function.generic)
        .filter(|(file, function)| uses(file, function))
        .map(|(_, function)| function.key.clone())
        .collect()
}

/// What stands after a dot in the function and is not called, and what stands where the fields of a value or of
/// a pattern do.
fn fields_used(file: &SourceFile, function: &Function) -> BTreeSet<String> {
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
