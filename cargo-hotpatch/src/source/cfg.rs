//! Which `#[cfg]`s hold for a crate: rustc's own list for the target plus the call's `--cfg`s.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token};

use super::syntax::Edition;

/// The configuration a crate is compiled with.
#[derive(Debug, Clone, Default)]
pub struct Cfg {
    set: BTreeSet<(String, Option<String>)>,
    /// The edition of the code.
    pub edition: Edition,
}

impl Cfg {
    /// From lines as `rustc --print cfg` writes them: `unix`, `target_os="linux"`.
    #[must_use]
    pub fn parse(lines: &str) -> Self {
        let set = lines
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| match line.split_once('=') {
                Some((key, value)) => (
                    key.trim().to_owned(),
                    Some(value.trim().trim_matches('"').to_owned()),
                ),
                None => (line.to_owned(), None),
            })
            .collect();
        Self {
            set,
            edition: Edition::Newer,
        }
    }

    /// The same for code of this edition.
    #[must_use]
    pub fn in_edition(self, edition: Edition) -> Self {
        Self { edition, ..self }
    }

    fn holds(&self, meta: &Meta) -> bool {
        match meta {
            Meta::Path(path) => match name(path).as_str() {
                "true" => true,
                "false" => false,
                name => self.set.contains(&(name.to_owned(), None)),
            },
            Meta::NameValue(pair) => {
                let Expr::Lit(ExprLit {
                    lit: Lit::Str(value),
                    ..
                }) = &pair.value
                else {
                    return false;
                };
                self.set.contains(&(name(&pair.path), Some(value.value())))
            }
            Meta::List(list) => {
                let inner = || {
                    list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                        .unwrap_or_default()
                };
                match name(&list.path).as_str() {
                    "not" => !inner().iter().any(|meta| self.holds(meta)),
                    "any" => inner().iter().any(|meta| self.holds(meta)),
                    "all" => inner().iter().all(|meta| self.holds(meta)),
                    _ => false,
                }
            }
        }
    }

    /// Whether an item with these attributes is part of the crate.
    #[must_use]
    pub fn keeps(&self, attrs: &[Attribute]) -> bool {
        self.attributes(attrs).iter().all(|meta| match meta {
            Meta::List(list) if list.path.is_ident("cfg") => list
                .parse_args::<Meta>()
                .is_ok_and(|predicate| self.holds(&predicate)),
            _ => true,
        })
    }

    /// Whether a predicate such as `target_os = "linux"` holds; `_` always does. Nothing if it is no predicate.
    #[must_use]
    pub fn predicate(&self, tokens: TokenStream) -> Option<bool> {
        if tokens.to_string() == "_" {
            return Some(true);
        }
        syn::parse2::<Meta>(tokens)
            .ok()
            .map(|meta| self.holds(&meta))
    }

    /// The attributes in force, with `cfg_attr` resolved.
    #[must_use]
    pub fn attributes(&self, attrs: &[Attribute]) -> Vec<Meta> {
        let mut out = Vec::new();
        for attr in attrs {
            self.resolve(attr.meta.clone(), &mut out);
        }
        out
    }

    fn resolve(&self, meta: Meta, out: &mut Vec<Meta>) {
        match &meta {
            Meta::List(list) if list.path.is_ident("cfg_attr") => {
                let parts = list
                    .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                    .unwrap_or_default();
                let mut parts = parts.into_iter();
                if parts.next().is_some_and(|predicate| self.holds(&predicate)) {
                    parts.for_each(|meta| self.resolve(meta, out));
                }
            }
            _ => out.push(meta),
        }
    }
}

/// `tokio::main` of `#[tokio::main]`.
#[must_use]
pub fn name(path: &syn::Path) -> String {
    path.segments
        .iter()
        .map(|s| s.ident.to_string())
        .collect::<Vec<_>>()
        .join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicates_are_evaluated() {
        let cfg = Cfg::parse("unix\ntarget_os=\"linux\"\nfeature=\"a\"");
        let keeps = |text: &str| {
            let item: syn::ItemStruct = syn::parse_str(&format!("{text} struct S;")).unwrap();
            cfg.keeps(&item.attrs)
        };
        assert!(keeps("#[cfg(all(unix, target_os = \"linux\"))]"));
        assert!(!keeps("#[cfg(windows)]"));
        assert!(!keeps("#[cfg(test)]"));
        assert!(keeps("#[cfg(any(test, feature = \"a\"))]"));
        assert!(keeps("#[cfg(not(feature = \"b\"))]"));
        assert!(!keeps("#[cfg_attr(unix, cfg(windows))]"));
    }
}
