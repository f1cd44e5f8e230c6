//! An edit that changes nothing: `();` at the start of a function's body. Pure.

use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;

use crate::source::file::{Function, ParsedFile};

/// What is written into a body. It is a statement, so the body counts as changed, and has no effect.
const STATEMENT: &str = "();";

/// The file's text with the edit in each of these functions of it, which must come in their order.
#[must_use]
pub fn edited(file: &ParsedFile, functions: &[&Function]) -> String {
    let mut text = String::with_capacity(file.text.len() + STATEMENT.len() * functions.len());
    let mut done = 0;
    for function in functions {
        let body = &file.text[function.body.clone()];
        let at = function.body.start + after_inner_attributes(body);
        text.push_str(&file.text[done..at]);
        text.push_str(STATEMENT);
        done = at;
    }
    text.push_str(&file.text[done..]);
    text
}

/// Where the first statement of a body may stand: behind `#![…]` and `//! …`.
fn after_inner_attributes(body: &str) -> usize {
    if !["#!", "//!", "/*!"].iter().any(|sign| body.contains(sign)) {
        return 0;
    }
    let end = syn::parse_str::<Inner>(body).ok().and_then(|inner| inner.0);
    proc_macro2::extra::invalidate_current_thread_spans();
    let Some((start, end)) = end else {
        return 0;
    };
    if body[start..].starts_with("//") {
        return body[end..].find('\n').map_or(end, |line| end + line + 1);
    }
    end
}

/// From where to where the last inner attribute goes, if there is one.
struct Inner(Option<(usize, usize)>);

impl Parse for Inner {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(syn::Attribute::parse_inner)?;
        input.parse::<proc_macro2::TokenStream>()?;
        let range = attributes.last().map(|last| last.span().byte_range());
        Ok(Self(range.map(|range| (range.start, range.end))))
    }
}

#[cfg(test)]
mod tests {
    use super::edited;
    use crate::source::diff;
    use crate::source::items::fake::krate;

    fn edit(text: &str) -> String {
        let krate = krate(&[("src/main.rs", text)]);
        let file = &krate.files[0].parsed;
        edited(file, &file.functions.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_statement_stands_first_in_each_body() {
        assert_eq!(
            edit("fn a() -> u8 { 1 }\nimpl S {\n    fn b(&self) {\n        c()\n    }\n}\n"),
            "fn a() -> u8 {(); 1 }\nimpl S {\n    fn b(&self) {();\n        c()\n    }\n}\n"
        );
    }

    #[test]
    fn inner_attributes_stay_first() {
        assert_eq!(
            edit("fn a() { #![allow(dead_code)] b() }"),
            "fn a() { #![allow(dead_code)](); b() }"
        );
        assert_eq!(
            edit("fn a() {\n    //! Says.\n    b()\n}"),
            "fn a() {\n    //! Says.\n();    b()\n}"
        );
        assert_eq!(edit("fn a() { \"#!\" }"), "fn a() {(); \"#!\" }");
    }

    #[test]
    fn only_bodies_change_and_lines_stay() {
        let text =
            "fn a() {}\nfn b<T>(t: T) -> T { t }\nconst fn c() -> u8 { 1 }\nasync fn d() { 2; }\n";
        let (old, new) = (
            krate(&[("src/main.rs", text)]),
            krate(&[("src/main.rs", &edit(text))]),
        );
        let changes = diff::compare(&old, &new);
        assert_eq!(changes.bodies.len(), 4);
        assert!(changes.is_bodies_only());
        assert_eq!(edit(text).lines().count(), text.lines().count());
    }
}
