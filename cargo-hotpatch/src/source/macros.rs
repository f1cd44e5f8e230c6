//! Macros at item level: their definitions, and the items that well-known ones are known to make.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Item;
use syn::parse::Parser;
use syn::spanned::Spanned;

use super::cfg::{self, Cfg};
use super::file::{Edit, Kind};
use super::read::Reader;
use super::tokens::mentions;

/// The standard library's `thread_local!`, as it may be called.
const STD: &[&str] = &["thread_local", "std::thread_local"];

impl Reader<'_> {
    pub(super) fn macro_item(
        &mut self,
        item: &syn::ItemMacro,
        module: &Arc<[String]>,
        inline: &[String],
    ) {
        let called = cfg::name(&item.mac.path);
        if item.ident.is_none()
            && let Some(items) = selected(&called, &item.mac.tokens, self.cfg)
        {
            // What it makes of them is just what they are.
            return self.items(&items, module, inline);
        }
        match &item.ident {
            Some(ident) if called == "macro_rules" => {
                self.out.macros.push(self.range(item.span()));
                let entry = self.named(
                    module,
                    Kind::MacroRules,
                    "macro",
                    ident,
                    item.to_token_stream(),
                );
                let mut idents = BTreeSet::new();
                mentions(item.mac.tokens.clone(), &mut idents);
                entry.mentions = Arc::new(idents);
            }
            _ if STD.contains(&called.as_str()) && self.thread_locals(item, module) => {
                self.widen_statics(item.mac.tokens.clone());
            }
            _ => {
                self.other(module, Kind::ItemMacro, item.to_token_stream(), item.span());
                match called.rsplit("::").next().unwrap_or_default() {
                    "thread_local" | "lazy_static" => self.widen_statics(item.mac.tokens.clone()),
                    _ => {}
                }
            }
        }
    }

    /// `static` at the top of a macro's input: what `thread_local!` and its like declare.
    pub(super) fn widen_statics(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            if !matches!(token, TokenTree::Ident(ident) if ident == "static") {
                continue;
            }
            let before = |back: usize| index.checked_sub(back).map(|at| &tokens[at]);
            let is_pub = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Ident(ident)) if ident == "pub");
            match before(1) {
                previous if is_pub(previous) => {}
                Some(TokenTree::Group(group)) if is_pub(before(2)) => {
                    let range = self.range(group.span());
                    self.out.widening.push(Edit {
                        range,
                        text: Cow::Borrowed(""),
                        import: None,
                        of_type: None,
                    });
                }
                _ => {
                    let start = self.range(token.span()).start;
                    self.out.widening.push(Edit {
                        range: start..start,
                        text: Cow::Borrowed("pub "),
                        import: None,
                        of_type: None,
                    });
                }
            }
        }
    }
}

/// The items of the branch that counts, of a macro that chooses by `#[cfg]`; nothing for other macros.
fn selected(called: &str, tokens: &TokenStream, cfg: &Cfg) -> Option<Vec<Item>> {
    let branches = match called {
        "cfg_select" | "std::cfg_select" | "core::cfg_select" => arms(tokens.clone()),
        "cfg_if" | "cfg_if::cfg_if" => chain(tokens.clone()),
        _ => None,
    }?;
    for (predicate, body) in branches {
        if cfg.predicate(predicate)? {
            return Some(syn::parse2::<syn::File>(body).ok()?.items);
        }
    }
    Some(Vec::new())
}

/// A predicate, and what is there if it holds.
type Branch = (TokenStream, TokenStream);

/// `unix => { … } any(windows, wasi) => { … } _ => { … }`, with or without commas.
fn arms(tokens: TokenStream) -> Option<Vec<Branch>> {
    let mut out = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while tokens.peek().is_some() {
        let mut predicate = TokenStream::new();
        loop {
            match tokens.next()? {
                TokenTree::Punct(punct)
                    if punct.as_char() == '=' && is_punct(tokens.peek(), '>') =>
                {
                    tokens.next();
                    break;
                }
                other => predicate.extend([other]),
            }
        }
        out.push((predicate, braced(tokens.next()?)?));
        tokens.next_if(|token| is_punct(Some(token), ','));
    }
    Some(out)
}

/// `if #[cfg(…)] { … } else if #[cfg(…)] { … } else { … }`.
fn chain(tokens: TokenStream) -> Option<Vec<Branch>> {
    let mut out = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    let is = |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(i) if i == word);
    while let Some(token) = tokens.next() {
        if !out.is_empty() && !is(&token, "else") {
            return None;
        }
        let conditional = if out.is_empty() {
            is(&token, "if")
        } else {
            tokens.next_if(|token| is(token, "if")).is_some()
        };
        let predicate = if conditional {
            let hash = tokens.next()?;
            let attribute: TokenStream = [hash, tokens.next()?].into_iter().collect();
            let attributes = syn::Attribute::parse_outer.parse2(attribute).ok()?;
            let list = attributes.first()?.meta.require_list().ok()?;
            list.path.is_ident("cfg").then(|| list.tokens.clone())?
        } else if out.is_empty() || tokens.clone().count() > 1 {
            return None;
        } else {
            quote::quote!(_)
        };
        out.push((predicate, braced(tokens.next()?)?));
    }
    Some(out)
}

fn braced(token: TokenTree) -> Option<TokenStream> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    }
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(called: &str, text: &str) -> Option<Vec<String>> {
        let cfg = Cfg::parse("unix\ntarget_os=\"linux\"\n");
        let items = selected(called, &text.parse().unwrap(), &cfg)?;
        let name = |item| match item {
            Item::Fn(item) => item.sig.ident.to_string(),
            Item::Mod(item) => item.ident.to_string(),
            other => panic!("{other:?}"),
        };
        Some(items.into_iter().map(name).collect())
    }

    #[test]
    fn the_arm_that_counts_is_taken() {
        let select = |text: &str| names("std::cfg_select", text);
        let found = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
        assert_eq!(
            select("windows => { mod a; } target_os = \"linux\" => { mod b; fn c() {} } _ => {}"),
            found(&["b", "c"])
        );
        assert_eq!(select("windows => {}, _ => { mod d; },"), found(&["d"]));
        assert_eq!(
            select("all(unix, not(windows)) => { mod e; }"),
            found(&["e"])
        );
        assert_eq!(select("windows => { mod a; }"), found(&[]));
        // What is not understood is left to rustc.
        assert_eq!(select("windows -> { mod a; }"), None);
        assert_eq!(select("unix => 3, _ => 4"), None);
        assert_eq!(names("other", "unix => { mod a; }"), None);
    }

    #[test]
    fn the_branch_that_counts_is_taken() {
        let chain = |text: &str| names("cfg_if::cfg_if", text);
        let found = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
        let both = "if #[cfg(windows)] { mod a; } else if #[cfg(unix)] { mod b; } else { mod c; }";
        assert_eq!(chain(both), found(&["b"]));
        assert_eq!(
            chain("if #[cfg(windows)] { mod a; } else { mod c; }"),
            found(&["c"])
        );
        assert_eq!(chain("if #[cfg(windows)] { mod a; }"), found(&[]));
        assert_eq!(chain("if #[cfg(unix)] { mod a; } mod b;"), None);
        assert_eq!(
            chain("if #[cfg(windows)] { mod a; } else { mod b; } else { mod c; }"),
            None
        );
    }
}
