//! Reads one `impl` block: its head, its constants, and its methods.

use std::sync::Arc;

use quote::ToTokens;
use syn::spanned::Spanned;

use super::file::{Impl, Kind, Owner};
use super::function::Parts;
use super::read::Reader;
use super::tree::{mentions_impl_trait, start_of, type_name};

impl Reader<'_> {
    pub(super) fn impl_item(&mut self, item: &syn::ItemImpl, module: &Arc<[String]>) {
        let (impl_generics, params, bounds) = item.generics.split_for_impl();
        let own_name = |path: &syn::Path| {
            let name = path.segments.last()?.ident.to_string();
            let renamed = self.renames.get(&name).filter(|_| path.segments.len() == 1);
            Some(renamed.cloned().unwrap_or(name))
        };
        let self_name = match &*item.self_ty {
            syn::Type::Path(ty) => own_name(&ty.path),
            _ => None,
        };
        let head = Arc::new(Impl {
            generics: impl_generics.to_token_stream().to_string(),
            params: params.to_token_stream().to_string(),
            bounds: bounds.to_token_stream().to_string(),
            self_ty: item.self_ty.to_token_stream().to_string(),
            trait_path: item
                .trait_
                .as_ref()
                .map(|(path, _)| path.to_token_stream().to_string()),
            self_name: self_name.unwrap_or_else(|| type_name(&item.self_ty)),
            trait_name: item.trait_.as_ref().and_then(|(path, _)| own_name(path)),
            types: item
                .items
                .iter()
                .filter_map(|part| match part {
                    syn::ImplItem::Type(ty) => Some(ty.ident.to_string()),
                    _ => None,
                })
                .collect(),
            generic: item.generics.type_params().next().is_some()
                || item.generics.const_params().next().is_some()
                || mentions_impl_trait(&item.self_ty.to_token_stream()),
        });
        let mut bare = item.clone();
        bare.items
            .retain(|part| !matches!(part, syn::ImplItem::Fn(_) | syn::ImplItem::Const(_)));
        let mut name = bare.clone();
        name.items.clear();
        name.attrs.clear();
        let block = self.range(item.span());
        let entry = self.other(
            module,
            Kind::Impl,
            bare.to_token_stream(),
            item.impl_token.span,
        );
        entry.name = name.to_token_stream().to_string();
        entry.range = block;
        let key = entry.name.clone();
        for part in &item.items {
            match part {
                syn::ImplItem::Fn(func) if self.cfg.keeps(&func.attrs) => {
                    let parts = Parts {
                        attrs: &func.attrs,
                        vis: Some(&func.vis),
                        sig: &func.sig,
                        block: &func.block,
                        around: &item.attrs,
                    };
                    self.function(&parts, module, Owner::Impl(head.clone()));
                    if item.trait_.is_none() {
                        self.widen(&func.vis, start_of(&func.sig));
                    }
                }
                syn::ImplItem::Const(constant) if self.cfg.keeps(&constant.attrs) => {
                    let tokens = constant.to_token_stream();
                    let entry = self.named(module, Kind::Const, "const", &constant.ident, tokens);
                    entry.name = format!("const {} of {key}", constant.ident);
                    if item.trait_.is_none() {
                        self.seen_by(&constant.vis, module);
                        self.widen(&constant.vis, constant.const_token.span);
                    }
                }
                _ => {}
            }
        }
    }
}
