//! Lifetimes that code leaves out, written out where a patch crate says the same in another place.

use anyhow::Result;
use proc_macro2::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};

use super::file::Impl;

/// The head of an impl whose type and trait name every lifetime: in the declaration of a local trait `'_` would
/// be another lifetime each time.
///
/// ```text
/// // Input:
/// impl PartialEq for Set<'_>
/// // Output:
/// impl<'__hp0> PartialEq for Set<'__hp0>
/// ```
///
/// # Errors
/// The head does not parse.
pub(super) fn named(head: &Impl) -> Result<Impl> {
    let mut names: Vec<String> = Vec::new();
    let mut next = || {
        names.push(format!("__hp{}", names.len()));
        names.last().cloned().unwrap_or_default()
    };
    let self_ty = written_out(&head.self_ty, &mut next)?;
    // Behind `&` a bare `dyn A + B` would be something else.
    let self_ty = if self_ty.starts_with("dyn ") && self_ty.contains('+') {
        format!("({self_ty})")
    } else {
        self_ty
    };
    let path = head.trait_path.as_deref();
    let trait_path = path.map(|path| written_out(path, &mut next)).transpose()?;
    if names.is_empty() {
        return Ok(Impl {
            self_ty,
            ..head.clone()
        });
    }
    let new: Vec<String> = names.iter().map(|name| format!("'{name}")).collect();
    let with_new = |list: &str| {
        let inner = list.trim().strip_prefix('<').unwrap_or_default();
        let inner = inner.strip_suffix('>').unwrap_or_default().trim();
        let separator = if inner.is_empty() { "" } else { ", " };
        format!("<{}{separator}{inner}>", new.join(", "))
    };
    Ok(Impl {
        generics: with_new(&head.generics),
        params: with_new(&head.params),
        self_ty,
        trait_path,
        ..head.clone()
    })
}

/// The text, unchanged if there is nothing to write out.
fn written_out(text: &str, next: &mut dyn FnMut() -> String) -> Result<String> {
    if !text.contains(['&', '_']) {
        return Ok(text.to_owned());
    }
    let tokens: TokenStream = text.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut found = false;
    let mut next = || {
        found = true;
        next()
    };
    let out = walk(tokens, &mut next).to_string();
    Ok(if found { out } else { text.to_owned() })
}

fn walk(tokens: TokenStream, next: &mut dyn FnMut() -> String) -> TokenStream {
    let mut out = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    let mut after_word = false;
    while let Some(token) = tokens.next() {
        let is_lifetime = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == '\'');
        let mut is_word = false;
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                out.extend([TokenTree::Punct(punct)]);
                if !is_lifetime(tokens.peek()) {
                    out.extend(lifetime(&next()));
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                let is_left_out =
                    matches!(tokens.peek(), Some(TokenTree::Ident(name)) if name == "_");
                if is_left_out {
                    tokens.next();
                    out.extend(lifetime(&next()));
                } else {
                    out.extend([TokenTree::Punct(punct)]);
                }
            }
            // What `Fn(&T)` and `fn(&T)` leave out is a lifetime of each call.
            TokenTree::Group(group)
                if !(after_word && group.delimiter() == Delimiter::Parenthesis) =>
            {
                let inner = walk(group.stream(), next);
                out.extend([TokenTree::Group(Group::new(group.delimiter(), inner))]);
            }
            other => {
                is_word = matches!(other, TokenTree::Ident(_));
                out.extend([other]);
            }
        }
        after_word = is_word;
    }
    out
}

fn lifetime(name: &str) -> [TokenTree; 2] {
    [
        TokenTree::Punct(Punct::new('\'', Spacing::Joint)),
        TokenTree::Ident(Ident::new(name, Span::call_site())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(generics: &str, params: &str, trait_path: &str, self_ty: &str) -> [String; 4] {
        let head = Impl {
            generics: generics.to_owned(),
            params: params.to_owned(),
            self_ty: self_ty.to_owned(),
            trait_path: Some(trait_path.to_owned()),
            ..Impl::default()
        };
        let named = named(&head).unwrap();
        let path = named.trait_path.unwrap_or_default();
        [named.generics, named.params, path, named.self_ty].map(|text| text.replace(' ', ""))
    }

    #[test]
    fn lifetimes_that_were_left_out_get_names() {
        assert_eq!(head("", "", "Eq", "Set<u8>"), ["", "", "Eq", "Set<u8>"]);
        assert_eq!(
            head("", "", "Eq", "Set<'_>"),
            ["<'__hp0>", "<'__hp0>", "Eq", "Set<'__hp0>"]
        );
        assert_eq!(
            head(
                "<'a: 'b, T: X>",
                "<'a, T>",
                "From<&T>",
                "(&'a A<'_>, [&u8; 2])"
            ),
            [
                "<'__hp0,'__hp1,'__hp2,'a:'b,T:X>".to_owned(),
                "<'__hp0,'__hp1,'__hp2,'a,T>".to_owned(),
                "From<&'__hp2T>".to_owned(),
                "(&'aA<'__hp0>,[&'__hp1u8;2])".to_owned(),
            ]
        );
    }

    #[test]
    fn those_of_calls_stay() {
        let fixed = "Box<dyn Fn(&str) -> fn(&u8)>";
        assert_eq!(head("", "", "Eq", fixed)[3], fixed.replace(' ', ""));
        assert_eq!(
            head("", "", "Eq", "Map<&str, (&'static u8, Cow<'_, str>)>")[3],
            "Map<&'__hp0str,(&'staticu8,Cow<'__hp1,str>)>"
        );
    }
}
