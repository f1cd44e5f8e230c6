//! Macros at item level: their definitions, and the items that well-known ones are known to make.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;

use super::cfg;
use super::file::{Edit, Kind};
use super::read::Reader;
use super::tokens::mentions;

/// The standard library's `thread_local!`, as it may be called.
const STD: &[&str] = &["thread_local", "std::thread_local"];

impl Reader<'_> {
    pub(super) fn macro_item(&mut self, item: &syn::ItemMacro, module: &Arc<[String]>) {
        let called = cfg::name(&item.mac.path);
        let mut idents = BTreeSet::new();
        mentions(item.mac.tokens.clone(), &mut idents);
        let idents = Arc::new(idents);
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
                entry.mentions = idents;
            }
            _ if STD.contains(&called.as_str()) && self.thread_locals(item, module) => {
                self.widen_statics(item.mac.tokens.clone());
            }
            _ => {
                let entry = self.other(
                    module,
                    Kind::ItemMacro,
                    "macro call",
                    item.to_token_stream(),
                    item.span(),
                );
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

    /// The branches hold items; which of them counts is rustc's to say, so only widen them.
    pub(super) fn cfg_if(&mut self, tokens: TokenStream, module: &Arc<[String]>) {
        for token in tokens {
            let TokenTree::Group(group) = token else {
                continue;
            };
            if group.delimiter() != proc_macro2::Delimiter::Brace {
                continue;
            }
            let Ok(file) = syn::parse2::<syn::File>(group.stream()) else {
                continue;
            };
            let (functions, items, macros) = (
                self.out.functions.len(),
                self.out.items.len(),
                self.out.macros.len(),
            );
            let modules = self.out.inline_modules.len();
            self.items(&file.items, module, &[]);
            self.out.functions.truncate(functions);
            self.out.items.truncate(items);
            self.out.macros.truncate(macros);
            self.out.inline_modules.truncate(modules);
        }
    }
}
