//! The attribute's arguments: none, `retry`, or `skip` for a function of a block that is marked as a whole.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, Result};

/// What the attribute says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Args {
    /// The item is hot.
    Hot,
    /// So it is, and a call that panics is made again once there is other code.
    Retry,
    /// The function is not, though the block around it is.
    Skip,
}

/// The argument for calls that are made again.
pub const RETRY: &str = "retry";

/// The argument that takes a function out.
pub const SKIP: &str = "skip";

impl Parse for Args {
    fn parse(input: ParseStream) -> Result<Self> {
        if input.is_empty() {
            return Ok(Args::Hot);
        }
        let word = input.fork().parse::<Ident>().ok();
        let tokens: TokenStream = input.parse()?;
        if let Some(word) = word
            && tokens.clone().into_iter().count() == 1
        {
            if word == SKIP {
                return Ok(Args::Skip);
            }
            if word == RETRY {
                return Ok(Args::Retry);
            }
        }
        Err(Error::new_spanned(
            tokens,
            "#[hot] takes no arguments but `retry`, or `skip` for a function of an impl, a trait or a module that is hot",
        ))
    }
}
