//! What values of a type consist of, part by part.

use quote::ToTokens;
use syn::Visibility;
use syn::spanned::Spanned;

use super::file::Member;
use super::read::Reader;
use super::tokens::fingerprint;
use super::tree::bare_name;

impl Reader<'_> {
    pub(super) fn members(&self, of: &str, fields: &syn::Fields) -> Vec<Member> {
        let kept = fields.iter().filter(|field| self.cfg.keeps(&field.attrs));
        kept.enumerate()
            .map(|(index, field)| {
                let name = field
                    .ident
                    .as_ref()
                    .map_or_else(|| index.to_string(), bare_name);
                // Who may use it has no part in what it is.
                let mut bare = field.clone();
                bare.vis = Visibility::Inherited;
                Member {
                    name: format!("{of}{name}"),
                    variant: false,
                    private: !matches!(field.vis, Visibility::Public(_)),
                    place: self.place(field.span()),
                    code: fingerprint(bare.to_token_stream()),
                }
            })
            .collect()
    }

    pub(super) fn variants(&self, item: &syn::ItemEnum) -> Vec<Member> {
        let mut out = Vec::new();
        for variant in item
            .variants
            .iter()
            .filter(|variant| self.cfg.keeps(&variant.attrs))
        {
            let name = bare_name(&variant.ident);
            let mut bare = variant.clone();
            match &mut bare.fields {
                syn::Fields::Named(fields) => fields.named.clear(),
                syn::Fields::Unnamed(fields) => fields.unnamed.clear(),
                syn::Fields::Unit => {}
            }
            let fields = self.members(&format!("{name}."), &variant.fields);
            out.push(Member {
                name,
                variant: true,
                private: false,
                place: self.place(variant.ident.span()),
                code: fingerprint(bare.to_token_stream()),
            });
            out.extend(fields);
        }
        out
    }
}
