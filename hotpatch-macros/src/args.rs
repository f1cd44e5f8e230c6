//! The attribute's arguments: none yet, and anything else is an error in its place.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Result};

/// The empty argument list.
pub struct Args;

impl Parse for Args {
    fn parse(input: ParseStream) -> Result<Self> {
        let rest: TokenStream = input.parse()?;
        if rest.is_empty() {
            return Ok(Args);
        }
        Err(Error::new_spanned(rest, "#[hot] takes no arguments yet"))
    }
}
