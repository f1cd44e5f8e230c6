//! Reads the annotated function, and refuses what cannot be hot.
//!
//! Only attributes, visibility and signature are parsed. The body stays a group of raw tokens: rustc reports its
//! errors better than we could, and help from an IDE survives while it is half typed.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Error, FnArg, Result, ReturnType, Safety, Signature, Token, Type, Visibility,
};

use crate::names;

/// A function that can be hot.
pub struct HotFn {
    pub attrs: Vec<Attribute>,
    pub vis: Visibility,
    pub sig: Signature,
    /// The body with its braces.
    pub body: Group,
}

/// A static, which stays as it is: the tool sees to its new values.
pub struct HotStatic;

impl Parse for HotStatic {
    fn parse(input: ParseStream) -> Result<Self> {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        let word = input.parse::<Token![static]>()?;
        if input.peek(Token![mut]) {
            return Err(refusal("a static mut", word.span));
        }
        input.parse::<TokenStream>()?;
        Ok(Self)
    }
}

impl Parse for HotFn {
    fn parse(input: ParseStream) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        if let Some(error) = not_a_function(&input.fork()) {
            // Without this the rest would be a second, vaguer error.
            input.parse::<TokenStream>()?;
            return Err(error);
        }
        // Functions in extern blocks may begin with it, and are refused for want of a body.
        if input.peek(Token![safe]) && (input.peek2(Token![fn]) || input.peek2(Token![unsafe])) {
            input.parse::<Token![safe]>()?;
        }
        let sig: Signature = input.parse()?;
        let mut errors = Vec::new();
        refuse_attributes(&attrs, &mut errors);
        refuse_signature(&sig, &mut errors);
        let body = match input.parse::<Option<Token![;]>>()? {
            Some(semi) => {
                errors.push(Error::new_spanned(
                    semi,
                    "a function without a body cannot be hot",
                ));
                None
            }
            None => Some(parse_body(input)?),
        };
        let error = errors.into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        });
        match (error, body) {
            (Some(error), _) => Err(error),
            (None, Some(body)) => Ok(HotFn {
                attrs,
                vis,
                sig,
                body,
            }),
            (None, None) => unreachable!("invariant: a missing body is an error"),
        }
    }
}

/// Why a function cannot be hot, if it cannot.
pub fn cannot_be_hot(func: &HotFn) -> Option<Error> {
    let mut errors = Vec::new();
    refuse_attributes(&func.attrs, &mut errors);
    refuse_signature(&func.sig, &mut errors);
    errors.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    })
}

fn parse_body(input: ParseStream) -> Result<Group> {
    let body: TokenTree = input.parse()?;
    let span = body.span();
    match unwrap_group(body) {
        Some(body) => Ok(body),
        None => Err(Error::new(span, "expected a function body")),
    }
}

/// The braces in a token. A block that came through a `$body:block` of some macro lies in a group without
/// delimiters.
fn unwrap_group(token: TokenTree) -> Option<Group> {
    let TokenTree::Group(group) = token else {
        return None;
    };
    match group.delimiter() {
        Delimiter::Brace => Some(group),
        Delimiter::None => unwrap_group(group.stream().into_iter().next()?),
        Delimiter::Parenthesis | Delimiter::Bracket => None,
    }
}

/// What begins with one of these keywords, once `unsafe`, `auto` and ABIs are skipped, is another item.
const OTHER_ITEMS: &[(&str, &str)] = &[
    ("const", "a constant"),
    ("enum", "an enum"),
    ("extern", "an extern block"),
    ("macro", "a macro"),
    ("macro_rules", "a macro"),
    ("static", "a static mut"),
    ("struct", "a struct"),
    ("type", "a type alias"),
    ("union", "a union"),
    ("use", "an import"),
];

fn not_a_function(input: ParseStream) -> Option<Error> {
    let tokens: TokenStream = input.parse().ok()?;
    let mut first: Option<(String, Span)> = None;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                let word = ident.to_string();
                match word.as_str() {
                    "fn" => return None,
                    "async" | "auto" | "default" | "safe" | "unsafe" => {}
                    // These two begin functions as well, and only what follows tells.
                    "const" | "extern" if first.is_none() => first = Some((word, ident.span())),
                    "crate" if first.is_some() => {
                        return first.map(|(_, span)| refusal("an extern crate", span));
                    }
                    _ => {
                        // `const N: u8`, and so on: the first of the two keywords names the item.
                        let (word, span) = first.unwrap_or((word, ident.span()));
                        return named(&word, span);
                    }
                }
            }
            // The ABI of a function or of an extern block.
            TokenTree::Literal(_) => {}
            TokenTree::Punct(_) | TokenTree::Group(_) => break,
        }
    }
    first.and_then(|(word, span)| named(&word, span))
}

fn named(word: &str, span: Span) -> Option<Error> {
    let (_, what) = OTHER_ITEMS.iter().find(|(keyword, _)| *keyword == word)?;
    Some(refusal(what, span))
}

fn refusal(what: &str, span: Span) -> Error {
    Error::new(
        span,
        format!(
            "#[hot] on {what} is not supported, only on a function, an impl, a trait, a module or a static"
        ),
    )
}

fn refuse_attributes(attrs: &[Attribute], errors: &mut Vec<Error>) {
    for attr in attrs {
        let path = attr.path();
        if path.is_ident("track_caller") {
            // A function pointer cannot pass the caller's location on.
            errors.push(Error::new_spanned(
                path,
                "a function with #[track_caller] cannot be hot",
            ));
        }
        let of_rt = path.segments.len() == 2
            && path.segments[0].ident == names::RT_CRATE
            && path.segments[1].ident == names::HOT;
        if path.is_ident(names::HOT) || of_rt {
            errors.push(Error::new_spanned(path, "duplicate #[hot]"));
        }
    }
}

fn refuse_signature(sig: &Signature, errors: &mut Vec<Error>) {
    if let Some(token) = &sig.constness {
        errors.push(Error::new_spanned(token, "a const function cannot be hot"));
    }
    if let (Some(token), ReturnType::Type(_, ty)) = (&sig.asyncness, &sig.output)
        && matches!(**ty, Type::Never(_))
    {
        // `!` is no type that the future of a newer body could name.
        errors.push(Error::new_spanned(
            token,
            "an async function that never returns cannot be hot",
        ));
    }
    for input in &sig.inputs {
        let attrs = match input {
            FnArg::Receiver(receiver) => &receiver.attrs,
            FnArg::Typed(arg) => &arg.attrs,
        };
        for attr in attrs
            .iter()
            .filter(|attr| attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr"))
        {
            // A call cannot leave out an argument by `cfg`.
            errors.push(Error::new_spanned(
                attr.path(),
                "conditional arguments are not supported by #[hot] yet",
            ));
        }
    }
    refuse_impl_trait(sig.output.to_token_stream(), errors);
    if let Some(variadic) = &sig.variadic {
        errors.push(Error::new_spanned(
            variadic.dots,
            "a variadic function cannot be hot",
        ));
    }
}

/// In a type the keyword `impl` has no other use, so looking at the tokens is enough.
fn refuse_impl_trait(tokens: TokenStream, errors: &mut Vec<Error>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if ident == "impl" => {
                let message = "`impl Trait` in return position is not supported by #[hot]";
                errors.push(Error::new_spanned(ident, message));
            }
            TokenTree::Group(group) => refuse_impl_trait(group.stream(), errors),
            _ => {}
        }
    }
}

impl ToTokens for HotFn {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for attr in &self.attrs {
            attr.to_tokens(tokens);
        }
        self.vis.to_tokens(tokens);
        self.sig.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

impl HotFn {
    /// Whether calling the function takes an `unsafe` block.
    pub fn is_unsafe(&self) -> bool {
        matches!(self.sig.safety, Safety::Unsafe(_))
    }
}
