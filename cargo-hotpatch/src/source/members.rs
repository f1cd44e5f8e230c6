//! What values of a type consist of, part by part.

use std::collections::BTreeSet;
use std::sync::Arc;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Meta, Token, Visibility};

use super::cfg;
use super::file::Member;
use super::read::Reader;
use super::tokens::fingerprint;
use super::tree::bare_name;

/// A type's definition.
pub(super) enum Looks<'a> {
    Struct(&'a syn::ItemStruct),
    Enum(&'a syn::ItemEnum),
    Union(&'a syn::ItemUnion),
}

/// Attributes of a type that say nothing about its values, or only to derive macros.
const SILENT: &[&str] = &[
    "allow",
    "warn",
    "deny",
    "forbid",
    "expect",
    "must_use",
    "deprecated",
    "doc",
    "non_exhaustive",
    "derive",
    "serde",
    "default",
    "error",
    "clap",
    "command",
    "arg",
    "group",
    "automatically_derived",
];

impl Reader<'_> {
    /// Notes of the type that was just read what its values look like, what it derives, and what those macros read.
    pub(super) fn looks(&mut self, attrs: &[Attribute], what: Looks<'_>) {
        let metas = self.cfg.attributes(attrs);
        let mut derives = Vec::new();
        for meta in metas.iter().filter(|meta| meta.path().is_ident("derive")) {
            let Meta::List(list) = meta else { continue };
            let parsed = list.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated);
            let names = parsed
                .iter()
                .flatten()
                .filter_map(|path| path.segments.last());
            derives.extend(names.map(|segment| segment.ident.to_string()));
        }
        derives.sort();
        derives.dedup();
        let is_silent = |meta: &&Meta| SILENT.iter().any(|name| meta.path().is_ident(name));
        let loud: TokenStream = metas
            .iter()
            .filter(|meta| !is_silent(meta))
            .flat_map(|meta| {
                let mut tokens = meta.to_token_stream();
                tokens.extend(quote::quote!(;));
                tokens
            })
            .collect();
        let macros: BTreeSet<String> = metas
            .iter()
            .filter(|meta| !is_silent(meta) && !meta.path().is_ident("repr"))
            .map(|meta| cfg::name(meta.path()))
            .collect();
        let mut surface = loud;
        let mut helpers = TokenStream::new();
        let is_helper = |meta: &&Meta| {
            let path = meta.path();
            is_silent(meta)
                && !["derive", "doc", "allow", "expect", "must_use"]
                    .iter()
                    .any(|name| path.is_ident(name))
        };
        for meta in metas.iter().filter(is_helper) {
            meta.to_tokens(&mut helpers);
        }
        let mut fields = |fields: &syn::Fields, surface: &mut TokenStream| {
            for field in fields.iter().filter(|field| self.cfg.keeps(&field.attrs)) {
                let mut bare = field.clone();
                bare.vis = Visibility::Inherited;
                let attrs = std::mem::take(&mut bare.attrs);
                let attrs = attrs.iter().filter(|attr| !attr.path().is_ident("doc"));
                // They count where they stand.
                for attr in attrs {
                    attr.to_tokens(&mut helpers);
                    bare.to_tokens(&mut helpers);
                }
                bare.to_tokens(surface);
                surface.extend(quote::quote!(,));
            }
        };
        let generics = match &what {
            Looks::Struct(item) => {
                fields(&item.fields, &mut surface);
                &item.generics
            }
            Looks::Union(item) => {
                fields(&syn::Fields::Named(item.fields.clone()), &mut surface);
                &item.generics
            }
            Looks::Enum(item) => {
                for variant in item.variants.iter().filter(|v| self.cfg.keeps(&v.attrs)) {
                    variant.ident.to_tokens(&mut surface);
                    let mut inner = TokenStream::new();
                    fields(&variant.fields, &mut inner);
                    surface.extend(quote::quote!({ #inner }));
                    if let Some((_, value)) = &variant.discriminant {
                        value.to_tokens(&mut surface);
                    }
                    surface.extend(quote::quote!(,));
                }
                for variant in item.variants.iter().filter(|v| self.cfg.keeps(&v.attrs)) {
                    for attr in variant.attrs.iter().filter(|a| !a.path().is_ident("doc")) {
                        attr.to_tokens(&mut helpers);
                        variant.ident.to_tokens(&mut helpers);
                    }
                }
                &item.generics
            }
        };
        generics.to_tokens(&mut surface);
        generics.where_clause.to_tokens(&mut surface);
        // Nobody knows what a macro makes of them.
        if !macros.is_empty() {
            surface.extend(helpers.clone());
        }
        let Some(entry) = self.out.items.last_mut() else {
            return;
        };
        entry.derives = derives;
        entry.mentions = Arc::new(macros);
        entry.surface = fingerprint(surface);
        entry.helpers = fingerprint(helpers);
    }

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
                    restricted: matches!(field.vis, Visibility::Restricted(_)),
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
                restricted: false,
                place: self.place(variant.ident.span()),
                code: fingerprint(bare.to_token_stream()),
            });
            out.extend(fields);
        }
        out
    }
}
