//! The attribute's arguments: none, or `skip` for a function of a block that is marked as a whole.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, Result};

/// What the attribute says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Args {
    /// The item is hot.
    Hot,
    /// The function is not, though the block around it is.
    Skip,
}

/// The argument that takes a function out.
pub const SKIP: &str = "skip";

impl Parse for Args {
    fn parse(input: ParseStream) -> Result<Self> {
        if input.is_empty() {
            return Ok(Args::Hot);
        }
        let is_skip = input.fork().parse::<Ident>().is_ok_and(|word| word == SKIP);
        let tokens: TokenStream = input.parse()?;
        if is_skip && tokens.clone().into_iter().count() == 1 {
            return Ok(Args::Skip);
        }
        Err(Error::new_spanned(
            tokens,
            "#[hot] takes no arguments but `skip`, for a function of an impl, a trait or a module that is hot",
        ))
    }
}
