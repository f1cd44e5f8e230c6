//! Text to syntax trees, for every edition.
//!
//! syn knows the words of the newest editions. In edition 2015 `async`, `await`, `try` and, mostly, `dyn` are
//! names like others; there they are read as raw ones. Up to edition 2018 `Box<Fn()>` means `Box<dyn Fn()>`.
//! Positions stay those of the text.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// A file, and what was skipped before it.
pub struct Parsed {
    /// The tree; positions count from after what was skipped.
    pub file: syn::File,
    /// Bytes before it: a byte order mark, a shebang.
    pub skipped: usize,
    /// Lines before it.
    pub lines: usize,
}

/// The editions that are read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edition {
    E2015,
    E2018,
    #[default]
    Newer,
}

impl Edition {
    /// As rustc is told of it.
    #[must_use]
    pub fn of(flag: Option<&str>) -> Self {
        match flag {
            None | Some("2015") => Self::E2015,
            Some("2018") => Self::E2018,
            Some(_) => Self::Newer,
        }
    }
}

/// Parses a source file.
///
/// # Errors
/// It is not Rust.
pub fn parse_file(text: &str, edition: Edition) -> syn::Result<Parsed> {
    let stripped = text.strip_prefix('\u{feff}').unwrap_or(text);
    // rustc's rule for a shebang, as syn has it: `#!` not followed by `[`.
    let shebang = if stripped.starts_with("#!") && !stripped[2..].trim_start().starts_with('[') {
        stripped.find('\n').unwrap_or(stripped.len())
    } else {
        0
    };
    let body = &stripped[shebang..];
    let file = match edition {
        Edition::Newer => syn::parse_file(body)?,
        _ => syn::parse2(as_written_today(body.parse::<TokenStream>()?, edition))?,
    };
    let skipped = text.len() - body.len();
    Ok(Parsed {
        file,
        skipped,
        lines: text[..skipped].matches('\n').count(),
    })
}

fn as_written_today(tokens: TokenStream, edition: Edition) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let token = match token {
            TokenTree::Ident(word)
                if edition == Edition::E2015 && is_name(&word, tokens.peek()) =>
            {
                TokenTree::Ident(Ident::new_raw(&word.to_string(), word.span()))
            }
            TokenTree::Ident(word) if is_bare_closure(&out, &word, tokens.peek()) => {
                out.push(TokenTree::Ident(Ident::new("dyn", word.span())));
                TokenTree::Ident(word)
            }
            TokenTree::Group(group) => {
                let inner = as_written_today(group.stream(), edition);
                let mut inner = Group::new(group.delimiter(), inner);
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other,
        };
        out.push(token);
    }
    out.into_iter().collect()
}

/// `Fn(…)` as a type, which is none where a bound may stand.
fn is_bare_closure(before: &[TokenTree], word: &Ident, next: Option<&TokenTree>) -> bool {
    let is_trait = ["Fn", "FnMut", "FnOnce"].iter().any(|name| word == name);
    let is_called = matches!(next, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
    let is_type = match before.last() {
        None => true,
        Some(TokenTree::Punct(before)) => matches!(before.as_char(), '<' | '&' | ',' | '='),
        Some(TokenTree::Ident(word)) => {
            let is_lifetime = before.len() > 1
                && matches!(&before[before.len() - 2], TokenTree::Punct(p) if p.as_char() == '\'');
            word == "mut" || is_lifetime
        }
        _ => false,
    };
    is_trait && is_called && is_type
}

fn is_name(word: &Ident, next: Option<&TokenTree>) -> bool {
    match word.to_string().as_str() {
        "async" | "await" | "try" => true,
        // A keyword only where a bound follows.
        "dyn" => match next {
            Some(TokenTree::Ident(next)) => next == "as",
            Some(TokenTree::Punct(next)) => !matches!(next.as_char(), '\'' | '?'),
            Some(TokenTree::Group(next)) => next.delimiter() != Delimiter::None,
            _ => true,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::ToTokens;

    fn text(edition: Edition, text: &str) -> String {
        let parsed = parse_file(text, edition).expect("it is of that edition");
        parsed.file.to_token_stream().to_string()
    }

    #[test]
    fn words_of_later_editions_are_names_in_2015() {
        let old = "fn f(async: u8) { let dyn = try!(g(async)); dyn(1); let x: &dyn Debug = dyn; }";
        assert!(parse_file(old, Edition::E2018).is_err());
        let text = text(Edition::E2015, old);
        for part in ["r#async : u8", "r#dyn (1)", "& dyn Debug"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn closures_need_no_dyn_up_to_2018() {
        let old = "type A<'a> = Vec<&'a Fn(u8)>; type B = Box<FnMut() -> u8 + Send>; \
                   fn f<F: Fn(u8)>(a: &mut FnMut(), b: impl Fn()) where F: 'a + Fn(u8) {}";
        assert!(parse_file(old, Edition::Newer).is_err());
        assert_eq!(text(Edition::E2018, old).matches("dyn").count(), 3);
    }

    #[test]
    fn what_is_skipped_is_counted() {
        let parsed = parse_file("#!/usr/bin/env x\nfn f() {}", Edition::Newer).expect("it parses");
        assert_eq!((parsed.skipped, parsed.lines), (16, 0));
    }
}
