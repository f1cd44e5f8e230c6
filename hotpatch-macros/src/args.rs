//! The attribute's arguments: there are none, and any is an error in its place.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Result};

/// The empty argument list.
#[derive(Clone, Copy)]
pub struct Args;

impl Parse for Args {
    fn parse(input: ParseStream) -> Result<Self> {
        let tokens: TokenStream = input.parse()?;
        if tokens.is_empty() {
            return Ok(Args);
        }
        Err(Error::new_spanned(tokens, "#[hot] takes no arguments"))
    }
}
