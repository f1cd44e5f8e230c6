//! The attribute's arguments: `?Send` or nothing, and anything else is an error in its place.

use proc_macro2::{Span, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Result, Token};

/// The argument list.
#[derive(Clone, Copy)]
pub struct Args {
    /// `?Send`: the future of an `async` function stays on its thread.
    pub local: Option<Span>,
}

impl Parse for Args {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut local = None;
        if input.peek(Token![?]) && input.peek2(syn::Ident) {
            let start = input.parse::<Token![?]>()?.span;
            let word: syn::Ident = input.parse()?;
            if word != "Send" {
                return Err(unknown(word));
            }
            local = Some(start);
        }
        let rest: TokenStream = input.parse()?;
        if rest.is_empty() {
            return Ok(Args { local });
        }
        Err(unknown(rest))
    }
}

fn unknown(tokens: impl quote::ToTokens) -> Error {
    Error::new_spanned(
        tokens,
        "#[hot] takes no arguments but `?Send`, for an async function whose future is never sent to another thread",
    )
}
