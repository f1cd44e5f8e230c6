//! What makes items visible: their own visibility, and what attributes say of that of what macros make of them.
//!
//! The latter only in a scope. The base keeps it as it is written: what macros make is no part of another type's
//! identity.

use std::borrow::Cow;

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::Visibility;
use syn::spanned::Spanned;

use super::file::Edit;
use super::read::Reader;
use super::tree::bare_name;

impl Reader<'_> {
    /// Makes what has this visibility public; `at` is the first token after it.
    pub(super) fn widen(&mut self, vis: &Visibility, at: Span) {
        let before = self.out.widening.len();
        self.widen_import(vis, at, 0);
        for edit in &mut self.out.widening[before..] {
            edit.import = None;
        }
    }

    pub(super) fn widen_import(&mut self, vis: &Visibility, at: Span, import: usize) {
        let import = Some(import);
        let edit = match vis {
            Visibility::Public(_) => return,
            Visibility::Restricted(vis) => Edit {
                range: self.range(vis.span()),
                text: Cow::Borrowed("pub"),
                import,
                of_type: None,
            },
            Visibility::Inherited => {
                let start = self.range(at).start;
                Edit {
                    range: start..start,
                    text: Cow::Borrowed("pub "),
                    import,
                    of_type: None,
                }
            }
        };
        self.out.widening.push(edit);
    }

    /// The visibility of a field, which an enum's fields have from it, counts in type ids.
    pub(super) fn widen_type(&mut self, of: &syn::Ident, vis: &Visibility, at: Span) {
        let before = self.out.widening.len();
        self.widen(vis, at);
        for edit in &mut self.out.widening[before..] {
            edit.of_type = Some(bare_name(of));
        }
    }

    pub(super) fn fields(&mut self, of: &syn::Ident, fields: &syn::Fields) {
        for field in fields {
            let at = field
                .ident
                .as_ref()
                .map_or_else(|| field.ty.span(), Spanned::span);
            self.widen_type(of, &field.vis, at);
        }
    }

    /// Macros are told in attributes how visible to make what they make: `visibility(pub(crate))`.
    pub(super) fn widen_attributes(&mut self, attrs: &[syn::Attribute]) {
        for attr in attrs {
            if let syn::Meta::List(list) = &attr.meta {
                self.widen_tokens(list.tokens.clone());
            }
        }
    }

    /// What is made for other crates to be careful with is used in a patch as in its own crate.
    pub(super) fn widen_exhaustive(&mut self, attrs: &[syn::Attribute]) {
        for attr in attrs
            .iter()
            .filter(|attr| attr.path().is_ident("non_exhaustive"))
        {
            let range = self.range(attr.span());
            self.out.widening.push(Edit {
                range,
                text: Cow::Borrowed(""),
                import: None,
                of_type: None,
            });
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
