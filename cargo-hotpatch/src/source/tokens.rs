//! Token streams as values: what they say, without spacing, comments and docs.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A hash that is equal for equal code, however it is laid out or documented.
#[must_use]
pub fn fingerprint(tokens: TokenStream) -> u64 {
    let mut hasher = DefaultHasher::new();
    feed(tokens, &mut hasher);
    hasher.finish()
}

fn feed(tokens: TokenStream, hasher: &mut DefaultHasher) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                let inner =
                    matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == '!');
                if inner {
                    tokens.next();
                }
                if matches!(tokens.peek(), Some(TokenTree::Group(g)) if is_doc(g)) {
                    tokens.next();
                    continue;
                }
                (0u8, '#', inner).hash(hasher);
            }
            TokenTree::Punct(punct) => {
                let joint = punct.spacing() == proc_macro2::Spacing::Joint;
                (0u8, punct.as_char(), joint).hash(hasher);
            }
            TokenTree::Ident(ident) => (1u8, ident.to_string()).hash(hasher),
            TokenTree::Literal(literal) => (2u8, literal.to_string()).hash(hasher),
            TokenTree::Group(group) => {
                (3u8, group.delimiter() as u8).hash(hasher);
                feed(group.stream(), hasher);
                4u8.hash(hasher);
            }
        }
    }
}

fn is_doc(group: &proc_macro2::Group) -> bool {
    group.delimiter() == Delimiter::Bracket
        && matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(i)) if i == "doc")
}

/// Every identifier of the code, those captured by format strings among them.
pub fn mentions(tokens: TokenStream, into: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                let name = name.strip_prefix("r#").unwrap_or(&name);
                if !into.contains(name) {
                    into.insert(name.to_owned());
                }
            }
            TokenTree::Group(group) => mentions(group.stream(), into),
            TokenTree::Literal(literal) => captured(&literal.to_string(), into),
            TokenTree::Punct(_) => {}
        }
    }
}

/// Every path of the code: `a` for its beginning, `a::b` for each two segments in a row, `::b` where the first of
/// them is no name, as in `<T>::b`. What follows a dot is `.b`; what stands before a single colon is none.
pub fn paths(tokens: TokenStream, into: &mut BTreeSet<String>) {
    let mut last: Option<String> = None;
    let mut colons = 0;
    let mut dot = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) => {
                colons = if punct.as_char() == ':' {
                    colons + 1
                } else {
                    0
                };
                // The dots of `..` and `..=` are followed by an expression.
                dot = punct.as_char() == '.' && !dot;
                if colons == 0 {
                    last = None;
                }
            }
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                let name = name.strip_prefix("r#").unwrap_or(&name);
                let is_label = matches!(tokens.peek(), Some(TokenTree::Punct(p))
                    if p.as_char() == ':' && p.spacing() == proc_macro2::Spacing::Alone);
                match &last {
                    _ if is_label => {}
                    Some(before) if colons == 2 => {
                        into.insert(format!("{before}::{name}"));
                    }
                    None if colons == 2 => {
                        into.insert(format!("::{name}"));
                    }
                    _ if dot => {
                        into.insert(format!(".{name}"));
                    }
                    _ if colons != 2 => {
                        into.insert(name.to_owned());
                    }
                    _ => {}
                }
                last = Some(name.to_owned());
                (colons, dot) = (0, false);
            }
            TokenTree::Group(group) => {
                paths(group.stream(), into);
                last = None;
                (colons, dot) = (0, false);
            }
            TokenTree::Literal(_) => {
                last = None;
                (colons, dot) = (0, false);
            }
        }
    }
}

/// `"{name} {other:?}"` names `name` and `other`.
fn captured(literal: &str, into: &mut BTreeSet<String>) {
    if !literal.contains('{') || !literal.ends_with(['"', '#']) {
        return;
    }
    for part in literal.split('{').skip(1) {
        let name: String = part
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            into.insert(name);
        }
        // `{n:>WIDTH$.PRECISION$}`
        let spec = part.split('}').next().unwrap_or(part);
        let sizes = spec.split('$').map(|before| {
            before
                .trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_')
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default()
        });
        for name in sizes.take(spec.matches('$').count()) {
            if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                into.insert(name.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(text: &str) -> u64 {
        fingerprint(text.parse().unwrap())
    }

    #[test]
    fn layout_comments_and_docs_do_not_count() {
        assert_eq!(
            print("fn f() { 1 + 2 }"),
            print("/// Doc.\nfn f()\n{ 1+2 // x\n}")
        );
        assert_ne!(print("fn f() { 1 + 2 }"), print("fn f() { 1 + 3 }"));
        assert_ne!(print("a & & b"), print("a && b"));
        assert_ne!(print("(a) b"), print("(a b)"));
    }

    #[test]
    fn paths_are_told_from_fields() {
        let mut found = BTreeSet::new();
        let text = "struct S<T: Bound> { field: a::b::C<[u8; N]>, r#type: ::x::Y } f(v.w, 0..z, Q { k: 1 })";
        paths(text.parse().unwrap(), &mut found);
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(
            found,
            [
                ".w", "Bound", "N", "Q", "S", "a", "a::b", "b::C", "f", "struct", "u8", "v", "x",
                "x::Y", "z"
            ]
        );
    }

    #[test]
    fn format_strings_mention_what_they_capture() {
        let mut names = BTreeSet::new();
        mentions(
            r##"f(x.y, "a {LIMIT:?} {{no}} {0} {n:>WIDTH$.DIGITS$}", m!(r#type))"##
                .parse()
                .unwrap(),
            &mut names,
        );
        for name in ["f", "x", "y", "LIMIT", "m", "type", "n", "WIDTH", "DIGITS"] {
            assert!(names.contains(name), "{name}");
        }
    }
}
