//! Pieces of a function's text in the words that mean the same in a patch crate.

use std::ops::Range;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};

use super::file::Impl;

/// The method as the local trait declares it.
pub(super) fn declaration(sig: &str, head: &Impl, name: &str) -> Result<String> {
    let mut sig: syn::Signature =
        syn::parse_str(sig).context("failed to read the function's signature")?;
    sig.ident = syn::parse_str(name)?;
    let ty: TokenStream = head
        .self_ty
        .parse()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let path: Option<TokenStream> = head
        .trait_path
        .as_ref()
        .map(|path| path.parse().map_err(|error| anyhow::anyhow!("{error}")))
        .transpose()?;
    for input in &mut sig.inputs {
        match input {
            syn::FnArg::Receiver(receiver) => {
                receiver.mutability = None;
                receiver.attrs.clear();
            }
            syn::FnArg::Typed(arg) => {
                *arg.pat = syn::parse_quote!(_);
                arg.attrs.clear();
                *arg.ty = syn::parse2(without_self(
                    arg.ty.to_token_stream(),
                    &ty,
                    path.as_ref(),
                    head,
                ))?;
            }
        }
    }
    if let syn::ReturnType::Type(_, output) = &mut sig.output {
        **output = syn::parse2(without_self(
            output.to_token_stream(),
            &ty,
            path.as_ref(),
            head,
        ))?;
    }
    Ok(quote!(#sig;).to_string())
}

/// `Self` spelt out, so that the local trait needs no bounds for it.
pub(super) fn without_self(
    tokens: TokenStream,
    ty: &TokenStream,
    path: Option<&TokenStream>,
    head: &Impl,
) -> TokenStream {
    let mut out = TokenStream::new();
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if ident == "Self" => {
                let assoc = match tokens.get(index + 1..index + 4) {
                    Some(
                        [
                            TokenTree::Punct(a),
                            TokenTree::Punct(b),
                            TokenTree::Ident(name),
                        ],
                    ) => {
                        a.as_char() == ':'
                            && b.as_char() == ':'
                            && head.types.contains(&name.to_string())
                    }
                    _ => false,
                };
                match path.filter(|_| assoc) {
                    Some(path) => out.extend(quote!(<#ty as #path>)),
                    None if matches!(tokens.get(index + 1), Some(TokenTree::Punct(p)) if p.as_char() == ':') =>
                    {
                        out.extend(quote!(<#ty>));
                    }
                    None => out.extend(ty.clone()),
                }
            }
            TokenTree::Group(group) => {
                let inner = without_self(group.stream(), ty, path, head);
                out.extend([TokenTree::Group(proc_macro2::Group::new(
                    group.delimiter(),
                    inner,
                ))]);
            }
            other => out.extend([other.clone()]),
        }
    }
    out
}

/// `Self::Output` in an impl of a trait is the trait's; where the code stands elsewhere it must say so. What to replace in
/// this text.
pub(super) fn associated(text: &str, head: &Impl) -> Result<Vec<(Range<usize>, String)>> {
    let mut edits = Vec::new();
    if let Some(path) = head.trait_path.as_ref().filter(|_| !head.types.is_empty()) {
        self_assoc(&lex(text)?, &head.types, &mut |at| {
            edits.push((at, format!("<Self as {path}>")));
        });
    }
    Ok(edits)
}

pub(super) fn lex(text: &str) -> Result<TokenStream> {
    text.parse().map_err(|error| anyhow::anyhow!("{error}"))
}

/// The path of a method, from anywhere.
pub(super) fn method_path(head: &Impl, name: &str) -> Result<String> {
    let ty = with_static_lifetimes(&head.self_ty)?;
    Ok(match &head.trait_path {
        Some(path) => format!("<{ty} as {}>::{name}", with_static_lifetimes(path)?),
        None => format!("<{ty}>::{name}"),
    })
}

/// Calls `found` with the range of each `Self` in `Self::Name` for one of the names.
fn self_assoc(tokens: &TokenStream, names: &[String], found: &mut impl FnMut(Range<usize>)) {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    for window in tokens.windows(4) {
        if let [
            TokenTree::Ident(word),
            TokenTree::Punct(a),
            TokenTree::Punct(b),
            TokenTree::Ident(name),
        ] = window
            && word == "Self"
            && a.as_char() == ':'
            && b.as_char() == ':'
            && names.contains(&name.to_string())
        {
            found(word.span().byte_range());
        }
    }
    for token in &tokens {
        if let TokenTree::Group(group) = token {
            self_assoc(&group.stream(), names, found);
        }
    }
}

fn walk_includes(tokens: &TokenStream, words: &[&str], found: &mut impl FnMut(Range<usize>, &str)) {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    for window in tokens.windows(3) {
        if let [
            TokenTree::Ident(word),
            TokenTree::Punct(bang),
            TokenTree::Group(group),
        ] = window
            && words.iter().any(|known| word == known)
            && bang.as_char() == '!'
            && let Ok(literal) = syn::parse2::<syn::LitStr>(group.stream())
        {
            found(literal.span().byte_range(), &literal.value());
        }
    }
    for token in &tokens {
        if let TokenTree::Group(group) = token {
            walk_includes(&group.stream(), words, found);
        }
    }
}

/// The files that `include_str!` and `include_bytes!` take in, as written.
pub(super) fn included(tokens: &TokenStream) -> Vec<String> {
    let mut out = Vec::new();
    walk_includes(tokens, &["include_str", "include_bytes"], &mut |_, name| {
        out.push(name.to_owned());
    });
    out
}

/// Lifetime parameters do not matter to an address: any lifetime will do.
pub(super) fn with_static_lifetimes(text: &str) -> Result<String> {
    fn walk(tokens: TokenStream) -> TokenStream {
        let mut out = TokenStream::new();
        let mut after_quote = false;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if after_quote && ident != "_" => {
                    out.extend([TokenTree::Ident(proc_macro2::Ident::new(
                        "static",
                        ident.span(),
                    ))]);
                    after_quote = false;
                }
                TokenTree::Group(group) => {
                    let inner = walk(group.stream());
                    out.extend([TokenTree::Group(proc_macro2::Group::new(
                        group.delimiter(),
                        inner,
                    ))]);
                    after_quote = false;
                }
                other => {
                    after_quote = matches!(&other, TokenTree::Punct(p) if p.as_char() == '\'');
                    out.extend([other]);
                }
            }
        }
        out
    }
    let tokens: TokenStream = text.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(walk(tokens).to_string())
}
