//! Thread-locals one by one: what `thread_local!` declares.
//!
//! Only the form of the standard library's macro is read, with no attributes that could make a declaration another
//! one. Everything else stays one item of which nobody knows what it declares.

use std::sync::Arc;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Token, Visibility};

use super::file::Kind;
use super::read::Reader;
use super::tree::home;

/// Attributes that say nothing of the value.
const QUIET: &[&str] = &["doc", "allow", "expect", "warn", "deny", "forbid"];

struct Local {
    attrs: Vec<Attribute>,
    vis: Visibility,
    word: Token![static],
    ident: syn::Ident,
    ty: syn::Type,
    init: TokenStream,
}

struct Locals(Vec<Local>);

impl Parse for Locals {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut out = Vec::new();
        while !input.is_empty() {
            let attrs = Attribute::parse_outer(input)?;
            if let Some(attr) = attrs
                .iter()
                .find(|attr| !QUIET.iter().any(|name| attr.path().is_ident(name)))
            {
                return Err(syn::Error::new_spanned(attr, "it may be another one"));
            }
            let (vis, word, ident) = (input.parse()?, input.parse()?, input.parse()?);
            input.parse::<Token![:]>()?;
            let ty = input.parse()?;
            input.parse::<Token![=]>()?;
            let mut init = TokenStream::new();
            while !input.is_empty() && !input.peek(Token![;]) {
                input.parse::<TokenTree>()?.to_tokens(&mut init);
            }
            if !input.is_empty() {
                input.parse::<Token![;]>()?;
            }
            if init.is_empty() {
                return Err(input.error("a value"));
            }
            out.push(Local {
                attrs,
                vis,
                word,
                ident,
                ty,
                init,
            });
        }
        Ok(Self(out))
    }
}

impl Reader<'_> {
    /// Takes in a call of `thread_local!` at item level, if all of it is understood.
    pub(super) fn thread_locals(&mut self, item: &syn::ItemMacro, module: &Arc<[String]>) -> bool {
        let Ok(Locals(locals)) = syn::parse2(item.mac.tokens.clone()) else {
            return false;
        };
        let path = &item.mac.path;
        for local in locals {
            let (attrs, vis, word, ident) = (&local.attrs, &local.vis, &local.word, &local.ident);
            let (ty, init) = (&local.ty, &local.init);
            let outer = &item.attrs;
            let tokens = quote!(#(#outer)* #path! { #(#attrs)* #vis #word #ident: #ty = #init });
            let home = home(vis, module);
            self.named(module, Kind::ThreadLocal, "thread-local", ident, tokens)
                .home = home;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::source::file::Kind;
    use crate::source::items::fake::krate;

    #[test]
    fn each_is_an_item_of_its_own() {
        let text = "mod m {\n    thread_local! {\n        /// Doc.\n        pub(crate) static A: Cell<u8> = const { Cell::new(1) };\n        #[allow(unused)] static B: Vec<u8> = vec![FIRST]\n    }\n}\n";
        let krate = krate(&[("src/main.rs", text)]);
        let file = &krate.files[0].parsed;
        let [a, b] = &file.items[file.items.len() - 2..] else {
            panic!("two items")
        };
        assert_eq!((a.kind, b.kind), (Kind::ThreadLocal, Kind::ThreadLocal));
        assert_eq!(
            (&*a.names, &*b.names),
            (&["A".to_owned()][..], &["B".to_owned()][..])
        );
        assert_eq!((a.place.line, a.place.column), (4, 27));
        assert_eq!(*a.module, ["m".to_owned()]);
    }

    #[test]
    fn what_is_not_understood_stays_one_item() {
        for block in [
            "thread_local! { #[cfg(unix)] static A: u8 = 1; }",
            "thread_local! { static ref A: u8 = 1; }",
            "thread_local! { static A = 1; }",
            "loom::thread_local! { static A: u8 = 1; }",
            "lazy_static! { static A: u8 = 1; }",
        ] {
            let krate = krate(&[("src/main.rs", block)]);
            let items = &krate.files[0].parsed.items;
            assert_eq!(items.last().unwrap().kind, Kind::ItemMacro, "{block}");
        }
    }
}
