//! An attribute that makes a function anew of one, without the attributes that it has.

use proc_macro::{TokenStream, TokenTree};

#[proc_macro_attribute]
pub fn anew(_: TokenStream, item: TokenStream) -> TokenStream {
    let mut rest = item.into_iter().peekable();
    while let Some(TokenTree::Punct(mark)) = rest.peek() {
        assert_eq!(mark.as_char(), '#', "an attribute");
        rest.next();
        rest.next();
    }
    rest.collect()
}
