//! Visibility in attributes: what a macro makes of an item is made visible as well.
//!
//! Only in a scope. The base keeps it as it is written: what macros make is no part of another type's identity.

use std::borrow::Cow;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::file::Edit;
use super::read::Reader;

impl Reader<'_> {
    /// Macros are told in attributes how visible to make what they make: `visibility(pub(crate))`.
    pub(super) fn widen_attributes(&mut self, attrs: &[syn::Attribute]) {
        for attr in attrs {
            if let syn::Meta::List(list) = &attr.meta {
                self.widen_tokens(list.tokens.clone());
            }
        }
    }

    fn widen_tokens(&mut self, tokens: TokenStream) {
        let mut after_pub = false;
        for token in tokens {
            match &token {
                TokenTree::Group(group) if after_pub && is_restriction(group) => {
                    let range = self.range(group.span());
                    self.out.widening.push(Edit {
                        range,
                        text: Cow::Borrowed(""),
                        import: None,
                        of_type: None,
                    });
                }
                TokenTree::Group(group) => self.widen_tokens(group.stream()),
                _ => {}
            }
            after_pub = matches!(&token, TokenTree::Ident(word) if word == "pub");
        }
    }
}

/// The part in parentheses of `pub(crate)` and its like.
fn is_restriction(group: &Group) -> bool {
    let first = group.stream().into_iter().next();
    group.delimiter() == Delimiter::Parenthesis
        && matches!(&first, Some(TokenTree::Ident(word))
            if ["crate", "super", "self", "in"].iter().any(|name| word == name))
}
