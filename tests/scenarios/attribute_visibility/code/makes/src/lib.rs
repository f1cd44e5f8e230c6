//! A derive that makes a struct, as visible as an attribute says.

use proc_macro::TokenStream;

#[proc_macro_derive(Made, attributes(made))]
pub fn made(input: TokenStream) -> TokenStream {
    let text: String = input.to_string().split_whitespace().collect();
    let (_, rest) = text.split_once("visibility(").expect("it says how visible");
    let visibility = if rest.starts_with("pub(crate)") {
        "pub(crate)"
    } else {
        "pub"
    };
    format!("{visibility} struct Made {{ {visibility} number: u32 }}")
        .parse()
        .expect("it is Rust")
}
