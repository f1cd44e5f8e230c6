//! A macro that makes a type of what a file says, without telling anybody that it reads one.

use proc_macro::TokenStream;

#[proc_macro]
pub fn record(input: TokenStream) -> TokenStream {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names it");
    let fields = std::fs::read_to_string(format!("{folder}/fields.txt")).expect("fields");
    let mut name = input.to_string();
    name.extend([" { ", &fields, " }"]);
    format!("#[derive(Default)] pub struct {name}").parse().expect("a struct")
}
