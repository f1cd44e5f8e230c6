//! Impls, traits and modules: the attribute on one is an attribute on each function inside.
//!
//! A function that has its own attribute is left to that; `#[hot(skip)]` takes one out. What has no one address to be
//! replaced at, such as a `const fn`, is never inlined, which is all that the mark can do for it.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Error, ImplItem, Item, ItemImpl, ItemMod, ItemTrait, Result, Signature, TraitItem,
    Visibility,
};

use crate::args::SKIP;
use crate::expand::{self, Build};
use crate::function::{HotFn, cannot_be_hot};
use crate::names;

/// What can be marked as a whole.
pub enum Block {
    Impl(ItemImpl),
    Trait(ItemTrait),
    Mod(ItemMod),
}

impl Parse for Block {
    fn parse(input: ParseStream) -> Result<Self> {
        match input.parse::<Item>()? {
            Item::Impl(block) => Ok(Block::Impl(block)),
            Item::Trait(block) => Ok(Block::Trait(block)),
            Item::Mod(block) if block.content.is_some() => Ok(Block::Mod(block)),
            Item::Mod(block) => Err(Error::new_spanned(
                block.ident,
                "#[hot] on a module is for one that stands here, with its items",
            )),
            other => Err(Error::new_spanned(other, "no block")),
        }
    }
}

impl Block {
    /// The block as a hot build has it.
    pub fn live(self, build: Build) -> Result<TokenStream> {
        let mut errors = Vec::new();
        let tokens = match self {
            Block::Impl(block) => impl_block(block, build, &mut errors),
            Block::Trait(block) => trait_block(block, build, &mut errors),
            Block::Mod(block) => module(block, build, &mut errors),
        };
        all(errors).map_or(Ok(tokens), Err)
    }

    /// What stands against it in any build.
    pub fn check(self) -> Result<()> {
        self.live(Build::Unoptimised).map(drop)
    }
}

fn all(errors: Vec<Error>) -> Option<Error> {
    errors.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    })
}

fn impl_block(mut block: ItemImpl, build: Build, errors: &mut Vec<Error>) -> TokenStream {
    for item in &mut block.items {
        if let ImplItem::Fn(function) = item
            && !is_default(function.to_token_stream())
        {
            let body = function.block.to_token_stream();
            let hot = function_of_block(
                &function.attrs,
                &function.vis,
                &function.sig,
                body,
                build,
                errors,
            );
            *item = hot.map_or_else(|| item.clone(), ImplItem::Verbatim);
        }
    }
    block.into_token_stream()
}

/// Whether a function of an impl may be another in a more special impl, which stable Rust does not have.
fn is_default(function: TokenStream) -> bool {
    let is = |token: &TokenTree, word| matches!(token, TokenTree::Ident(ident) if ident == word);
    let mut before = function.into_iter().take_while(|token| !is(token, "fn"));
    before.any(|token| is(&token, "default"))
}

fn trait_block(mut block: ItemTrait, build: Build, errors: &mut Vec<Error>) -> TokenStream {
    for item in &mut block.items {
        if let TraitItem::Fn(function) = item
            && let Some(body) = &function.default
        {
            let body = body.to_token_stream();
            let vis = Visibility::Inherited;
            let hot = function_of_block(&function.attrs, &vis, &function.sig, body, build, errors);
            *item = hot.map_or_else(|| item.clone(), TraitItem::Verbatim);
        }
    }
    block.into_token_stream()
}

fn module(mut block: ItemMod, build: Build, errors: &mut Vec<Error>) -> TokenStream {
    let items = block.content.iter_mut().flat_map(|(_, items)| items);
    for item in items {
        if is_marked(attributes(item)) {
            continue;
        }
        *item = match std::mem::replace(item, Item::Verbatim(TokenStream::new())) {
            Item::Fn(function) => {
                let body = function.block.to_token_stream();
                let hot = function_of_block(
                    &function.attrs,
                    &function.vis,
                    &function.sig,
                    body,
                    build,
                    errors,
                );
                hot.map_or(Item::Fn(function), Item::Verbatim)
            }
            Item::Impl(block) => Item::Verbatim(impl_block(block, build, errors)),
            Item::Trait(block) => Item::Verbatim(trait_block(block, build, errors)),
            Item::Mod(block) => Item::Verbatim(module(block, build, errors)),
            other => other,
        };
    }
    block.into_token_stream()
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether one of these is the attribute itself, which then does its own work.
fn is_marked(attrs: &[Attribute]) -> bool {
    let is_hot = |attr: &Attribute| {
        let path = attr.path();
        let last = path.segments.last();
        last.is_some_and(|last| last.ident == names::HOT)
    };
    attrs.iter().any(is_hot)
}

/// A function of a block; nothing if it stays as it is.
fn function_of_block(
    attrs: &[Attribute],
    vis: &Visibility,
    sig: &Signature,
    body: TokenStream,
    build: Build,
    errors: &mut Vec<Error>,
) -> Option<TokenStream> {
    if is_marked(attrs) {
        return None;
    }
    let body: Group = match body.into_iter().next() {
        Some(TokenTree::Group(group)) => group,
        _ => return None,
    };
    let function = HotFn {
        attrs: attrs.to_vec(),
        vis: vis.clone(),
        sig: sig.clone(),
        body,
    };
    match cannot_be_hot(&function) {
        None => Some(expand::live(function, build)),
        // Of a future there is nothing else that the mark could do.
        Some(error) if sig.asyncness.is_some() => {
            let mut error = error;
            let place = sig.ident.span();
            let hint = format!("`#[hot({SKIP})]` on this function takes it out");
            error.combine(Error::new(place, hint));
            errors.push(error);
            None
        }
        Some(_) => (build == Build::Optimised).then(|| never_inlined(function)),
    }
}

fn never_inlined(mut function: HotFn) -> TokenStream {
    function
        .attrs
        .retain(|attr| !attr.path().is_ident("inline"));
    let never = quote_spanned!(Span::mixed_site()=> #[inline(never)]);
    let mut tokens = never;
    function.to_tokens(&mut tokens);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(input: &str, build: Build) -> String {
        let block = syn::parse_str::<Block>(input).expect("the input is a block");
        let tokens = block.live(build).expect("nothing stands against it");
        tokens.to_string().split_whitespace().collect()
    }

    #[test]
    fn an_unoptimised_build_leaves_blocks_as_they_are() {
        let input = "impl<T: Copy> A<T> { const N: u8 = 1; pub fn f(&self) -> u8 { 1 } const fn g() {} #[hot(skip)] async fn h() {} }";
        let same: String = input.split_whitespace().collect();
        assert_eq!(live(input, Build::Unoptimised), same);
    }

    #[test]
    fn each_function_of_a_block_is_marked_unless_it_says_something_itself() {
        let input = "mod m {
            use x::y;
            fn free() {}
            impl A { fn method(&self) {} #[hot(skip)] fn out(&self) {} #[hotpatch_rt::hot] fn own() {} #[inline] const fn early() {} }
            trait B { fn given(&self) {} fn wanted(&self); }
            mod inner { pub fn deep() {} }
            #[hot] mod marked { fn by_itself() {} }
        }";
        let out = live(input, Build::Optimised);
        let barriers = out.matches("static__HOTPATCH_SLOT").count();
        assert_eq!(barriers, 4, "{out}");
        assert!(out.contains("#[hot(skip)]fnout(&self){}"), "{out}");
        assert!(out.contains("#[hotpatch_rt::hot]fnown(){}"), "{out}");
        assert!(out.contains("#[inline(never)]constfnearly(){}"), "{out}");
        assert!(out.contains("fnwanted(&self);"), "{out}");
        assert!(out.contains("fnby_itself(){}"), "{out}");
        assert!(out.starts_with("modm{usex::y;"), "{out}");
    }

    #[test]
    fn a_future_that_cannot_be_hot_is_told() {
        let block = "impl A { async fn f() -> impl Copy { 1 } }";
        let block = syn::parse_str::<Block>(block).expect("the input is a block");
        assert!(block.check().is_err());
        let skipped = "impl A { #[hot(skip)] async fn f() -> impl Copy { 1 } }";
        let block = syn::parse_str::<Block>(skipped).expect("the input is a block");
        assert!(block.check().is_ok());
    }
}
