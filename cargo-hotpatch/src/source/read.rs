//! Reads a file's syntax tree item by item: what each is called, and what makes it visible.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Attribute, Item, Meta, Visibility};

use super::cfg::Cfg;
use super::file::{
    InlineModule, Kind, ModuleFile, OtherItem, Owner, ParsedFile, Place, PrivateField,
};
use super::function::Parts;
use super::rewrite::included;
use super::tokens::{fingerprint, paths};
use super::tree::{attributes, bare_name, home, imports, leaves, start_of};

impl OtherItem {
    /// An item of which only its code is known.
    fn new(module: &Arc<[String]>, kind: Kind, tokens: TokenStream) -> Self {
        let includes = included(&tokens);
        let code = fingerprint(tokens);
        Self {
            module: module.clone(),
            kind,
            name: String::new(),
            names: Vec::new(),
            place: Place::default(),
            range: 0..0,
            code,
            includes,
            mentions: Arc::default(),
            imports: Vec::new(),
            home: None,
            private_fields: Vec::new(),
            names_deref: false,
        }
    }
}

pub(super) struct Reader<'a> {
    pub(super) out: ParsedFile,
    pub(super) cfg: &'a Cfg,
    pub(super) offset: usize,
    pub(super) lines: usize,
    /// What the module's imports call otherwise, by the name they give it.
    pub(super) renames: HashMap<String, String>,
}

/// What imports call otherwise: symbols have the names that items were given where they stand.
fn renames(items: &[Item]) -> HashMap<String, String> {
    let mut found = Vec::new();
    for item in items {
        if let Item::Use(item) = item {
            imports(&item.tree, &mut Vec::new(), &mut found);
        }
    }
    let renamed = found.into_iter().filter_map(|import| {
        let own = import.path.last()?.clone();
        (own != import.name && !matches!(import.name.as_str(), "*" | "_"))
            .then_some((import.name, own))
    });
    renamed.collect()
}

impl Reader<'_> {
    pub(super) fn range(&self, span: Span) -> Range<usize> {
        let range = span.byte_range();
        range.start + self.offset..range.end + self.offset
    }

    pub(super) fn place(&self, span: Span) -> Place {
        let start = span.start();
        Place {
            line: start.line + self.lines,
            column: start.column + 1,
        }
    }

    pub(super) fn crate_attrs(&mut self, attrs: &[Attribute], module: &Arc<[String]>) {
        for attr in attrs {
            let is_doc = attr.path().is_ident("doc");
            if !is_doc {
                self.out.inner_attrs.push(self.range(attr.span()));
                self.other(module, Kind::Other, attr.to_token_stream(), attr.span());
            }
        }
    }

    pub(super) fn other(
        &mut self,
        module: &Arc<[String]>,
        kind: Kind,
        tokens: TokenStream,
        span: Span,
    ) -> &mut OtherItem {
        let place = self.place(span);
        let range = self.range(span);
        let name = tokens.to_string();
        let item = OtherItem::new(module, kind, tokens);
        self.push(OtherItem {
            name,
            place,
            range,
            ..item
        })
    }

    fn push(&mut self, item: OtherItem) -> &mut OtherItem {
        self.out.items.push(item);
        self.out
            .items
            .last_mut()
            .expect("invariant: an item was just pushed")
    }

    /// Notes of the item that was just read who may name it.
    pub(super) fn seen_by(&mut self, vis: &Visibility, module: &Arc<[String]>) {
        if let Some(item) = self.out.items.last_mut() {
            item.home = home(vis, module);
        }
    }

    pub(super) fn named(
        &mut self,
        module: &Arc<[String]>,
        kind: Kind,
        what: &str,
        ident: &syn::Ident,
        tokens: TokenStream,
    ) -> &mut OtherItem {
        let mut named = BTreeSet::new();
        if kind == Kind::Type {
            paths(tokens.clone(), &mut named);
        }
        let place = self.place(ident.span());
        let range = self.range(tokens.span());
        let item = OtherItem::new(module, kind, tokens);
        self.push(OtherItem {
            name: format!("{what} {ident}"),
            names: vec![bare_name(ident)],
            place,
            range,
            names_deref: named.contains("Deref"),
            ..item
        })
    }

    pub(super) fn items(&mut self, items: &[Item], module: &Arc<[String]>, inline: &[String]) {
        let outer = std::mem::replace(&mut self.renames, renames(items));
        for item in items {
            self.item(item, module, inline);
        }
        self.renames = outer;
    }

    #[expect(clippy::too_many_lines, reason = "one arm per kind of item")]
    pub(super) fn item(&mut self, item: &Item, module: &Arc<[String]>, inline: &[String]) {
        if !self.cfg.keeps(attributes(item)) {
            return;
        }
        match item {
            Item::Fn(func) => {
                let parts = Parts {
                    attrs: &func.attrs,
                    vis: Some(&func.vis),
                    sig: &func.sig,
                    block: &func.block,
                    around: &[],
                };
                self.function(&parts, module, Owner::Free);
                self.widen(&func.vis, start_of(&func.sig));
            }
            Item::Struct(item) => {
                self.widen_attributes(&item.attrs);
                self.widen_exhaustive(&item.attrs);
                let fields = private_fields(self.cfg, &item.fields);
                self.named(
                    module,
                    Kind::Type,
                    "struct",
                    &item.ident,
                    item.to_token_stream(),
                )
                .private_fields = fields;
                self.seen_by(&item.vis, module);
                self.widen(&item.vis, item.struct_token.span);
                self.fields(&item.ident, &item.fields);
            }
            Item::Union(item) => {
                let fields = private_fields(self.cfg, &item.fields.named);
                self.named(
                    module,
                    Kind::Type,
                    "union",
                    &item.ident,
                    item.to_token_stream(),
                )
                .private_fields = fields;
                self.seen_by(&item.vis, module);
                self.widen(&item.vis, item.union_token.span);
                for field in &item.fields.named {
                    self.widen_type(&item.ident, &field.vis, field.ident.span());
                }
            }
            Item::Enum(item) => {
                self.widen_attributes(&item.attrs);
                self.widen_exhaustive(&item.attrs);
                for variant in &item.variants {
                    self.widen_exhaustive(&variant.attrs);
                }
                self.named(
                    module,
                    Kind::Type,
                    "enum",
                    &item.ident,
                    item.to_token_stream(),
                );
                self.seen_by(&item.vis, module);
                self.widen_type(&item.ident, &item.vis, item.enum_token.span);
            }
            Item::Type(item) => {
                self.named(
                    module,
                    Kind::Type,
                    "type",
                    &item.ident,
                    item.to_token_stream(),
                );
                self.seen_by(&item.vis, module);
                self.widen(&item.vis, item.type_token.span);
            }
            Item::Const(item) => {
                self.named(
                    module,
                    Kind::Const,
                    "const",
                    &item.ident,
                    item.to_token_stream(),
                );
                self.seen_by(&item.vis, module);
                if item.ident != "_" {
                    self.widen(&item.vis, item.const_token.span);
                }
            }
            Item::Static(item) => {
                self.named(
                    module,
                    Kind::Static,
                    "static",
                    &item.ident,
                    item.to_token_stream(),
                );
                self.seen_by(&item.vis, module);
                self.widen(&item.vis, item.static_token.span);
            }
            Item::Trait(item) => self.trait_item(item, module),
            Item::TraitAlias(item) => {
                self.named(
                    module,
                    Kind::Trait,
                    "trait",
                    &item.ident,
                    item.to_token_stream(),
                );
                self.seen_by(&item.vis, module);
                self.widen(&item.vis, item.trait_token.span);
            }
            Item::Impl(item) => self.impl_item(item, module),
            Item::Use(item) => {
                let mut names = Vec::new();
                leaves(&item.tree, &mut names);
                let entry = self.other(module, Kind::Use, item.to_token_stream(), item.span());
                entry.names = names;
                imports(&item.tree, &mut Vec::new(), &mut entry.imports);
                self.seen_by(&item.vis, module);
                let import = self.out.items.len() - 1;
                self.widen_import(&item.vis, item.use_token.span, import);
            }
            Item::ExternCrate(item) => {
                let entry = self.other(module, Kind::Other, item.to_token_stream(), item.span());
                entry.names = vec![item.ident.to_string()];
                self.seen_by(&item.vis, module);
                if item
                    .attrs
                    .iter()
                    .any(|attr| attr.path().is_ident("macro_use"))
                {
                    self.out.macros.push(self.range(item.span()));
                } else {
                    let import = self.out.items.len() - 1;
                    self.widen_import(&item.vis, item.extern_token.span, import);
                }
            }
            Item::ForeignMod(item) => {
                self.other(module, Kind::Other, item.to_token_stream(), item.span());
                for foreign in &item.items {
                    match foreign {
                        syn::ForeignItem::Fn(f) => self.widen(&f.vis, start_of(&f.sig)),
                        syn::ForeignItem::Type(t) => self.widen(&t.vis, t.type_token.span),
                        // `safe static` starts before the keyword: left alone, and then private.
                        syn::ForeignItem::Static(s) if s.vis == Visibility::Inherited => {
                            let plain = s.to_token_stream().into_iter().nth(s.attrs.len() * 2);
                            if matches!(plain, Some(TokenTree::Ident(word)) if word == "static") {
                                self.widen(&s.vis, s.static_token.span);
                            }
                        }
                        _ => {}
                    }
                }
            }
            Item::Macro(item) => self.macro_item(item, module, inline),
            Item::Mod(item) => self.module(item, module, inline),
            other => {
                self.other(module, Kind::Other, other.to_token_stream(), other.span());
            }
        }
    }

    pub(super) fn trait_item(&mut self, item: &syn::ItemTrait, module: &Arc<[String]>) {
        let methods = item.items.iter().filter_map(|part| match part {
            syn::TraitItem::Fn(func) => Some(bare_name(&func.sig.ident)),
            _ => None,
        });
        let entry = self.named(
            module,
            Kind::Trait,
            "trait",
            &item.ident,
            item.to_token_stream(),
        );
        entry.mentions = Arc::new(methods.collect());
        entry.home = home(&item.vis, module);
        self.widen(&item.vis, item.trait_token.span);
        // `unsafe trait`, `auto trait`: the visibility stands before those words.
        if let (Visibility::Inherited, Some(word)) = (&item.vis, &item.unsafety)
            && let Some(edit) = self.out.widening.last_mut()
        {
            let start = word.span.byte_range().start + self.offset;
            edit.range = start..start;
        }
        for part in &item.items {
            if let syn::TraitItem::Fn(func) = part
                && let Some(block) = &func.default
                && self.cfg.keeps(&func.attrs)
            {
                let parts = Parts {
                    attrs: &func.attrs,
                    vis: None,
                    sig: &func.sig,
                    block,
                    around: &item.attrs,
                };
                self.function(&parts, module, Owner::Trait(item.ident.to_string()));
            }
        }
    }

    pub(super) fn module(
        &mut self,
        item: &syn::ItemMod,
        module: &Arc<[String]>,
        inline: &[String],
    ) {
        self.widen(&item.vis, item.mod_token.span);
        let path: Arc<[String]> = module
            .iter()
            .cloned()
            .chain([bare_name(&item.ident)])
            .collect();
        let explicit = self
            .cfg
            .attributes(&item.attrs)
            .iter()
            .find_map(|meta| match meta {
                Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                    syn::Expr::Lit(syn::ExprLit {
                        lit: syn::Lit::Str(value),
                        ..
                    }) => Some(value.value()),
                    _ => None,
                },
                _ => None,
            });
        let macro_use = item
            .attrs
            .iter()
            .any(|attr| attr.path().is_ident("macro_use"));
        let attrs = item
            .attrs
            .iter()
            .flat_map(ToTokens::to_token_stream)
            .collect();
        // Inline or in a file is one and the same module.
        self.named(module, Kind::Module, "mod", &item.ident, attrs);
        self.seen_by(&item.vis, module);
        match &item.content {
            Some((brace, items)) => {
                let open = self.range(brace.span.open());
                self.out.inline_modules.push(InlineModule {
                    path: path.clone(),
                    head: self.range(item.mod_token.span).start..open.end,
                    close: self.range(brace.span.close()),
                    macro_use,
                });
                let mut folders = inline.to_vec();
                folders.push(explicit.unwrap_or_else(|| bare_name(&item.ident)));
                self.items(items, &path, &folders);
            }
            None => {
                let place = self.place(item.mod_token.span);
                let at = self.range(item.mod_token.span).start;
                self.out.module_files.push(ModuleFile {
                    path,
                    inline: inline.to_vec(),
                    explicit,
                    place,
                    at,
                    macro_use,
                });
            }
        }
    }
}

/// The fields of a struct or union that not everybody may name.
fn private_fields<'a>(
    cfg: &Cfg,
    fields: impl IntoIterator<Item = &'a syn::Field>,
) -> Vec<PrivateField> {
    let fields = fields.into_iter().filter(|field| cfg.keeps(&field.attrs));
    let fields = fields.enumerate();
    let private = fields.filter(|(_, field)| !matches!(field.vis, Visibility::Public(_)));
    private
        .map(|(index, field)| PrivateField {
            name: field
                .ident
                .as_ref()
                .map_or_else(|| index.to_string(), bare_name),
            restricted: matches!(field.vis, Visibility::Restricted(_)),
        })
        .collect()
}
