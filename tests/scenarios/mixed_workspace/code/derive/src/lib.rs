//! A macro whose work another crate does.

use proc_macro::TokenStream;

#[proc_macro]
pub fn number(_: TokenStream) -> TokenStream {
    mixed_workspace_derive_core::number().parse().expect("a number")
}
