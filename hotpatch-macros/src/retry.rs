//! `#[hot(retry)]`: the body becomes a closure that the runtime calls, again if it has panicked and there is other code.
//!
//! What the closure captures is told by the signature alone, whatever the body uses: each argument, whole and in order. So a newer
//! body takes the place of this one while a call waits for it.

use proc_macro2::{Delimiter, Group, Ident, Span};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, Pat, Receiver, ReceiverKind, Result, ReturnType, Safety, Type};

use crate::expand::{bind, never_returns, split_inner_attributes};
use crate::function::HotFn;
use crate::names;

/// The function with calls that are made again.
///
/// ```ignore
/// // Input:
/// fn draw(&self, frame: &mut Frame, (x, y): (u32, u32), job: Job) -> u32 {
///     frame.put(x, y, self.glyph(job))
/// }
///
/// // Output:
/// fn draw(&self, frame: &mut Frame, __hot_2: (u32, u32), job: Job) -> u32 {
///     let mut __hot = || -> u32 {
///         let _ = &self;
///         match &mut *frame {
///             frame => match ::hotpatch_live::__private_v1::CanBePassedAgain::once_more(&__hot_2) {
///                 (x, y) => match ::hotpatch_live::__private_v1::CanBePassedAgain::once_more(&job) {
///                     job => {
///                         frame.put(x, y, self.glyph(job))
///                     }
///                 }
///             }
///         }
///     };
///     ::hotpatch_live::__private_v1::retry(::core::any::type_name_of_val(&__hot), &mut __hot)
/// }
/// ```
///
/// # Errors
/// A call of it cannot be made again.
pub fn again(mut func: HotFn) -> Result<HotFn> {
    if let Some(error) = cannot_be_called_again(&func) {
        return Err(error);
    }
    let span = Span::mixed_site();
    let (inner_attrs, statements) = split_inner_attributes(func.body.stream());
    let krate = Ident::new(names::LIVE_CRATE, span);
    let private = Ident::new(names::PRIVATE, span);
    let mut bindings = Vec::new();
    let has_receiver = func.sig.receiver().is_some();
    for (index, input) in func.sig.inputs.iter_mut().enumerate() {
        let FnArg::Typed(arg) = input else { continue };
        let pattern = arg.pat.to_token_stream();
        let name = match &*arg.pat {
            // Other attributes may name it, as `#[instrument(skip(line))]` does.
            Pat::Ident(pat) if !pat.ident.to_string().starts_with('_') => {
                pat.ident.to_token_stream()
            }
            _ => {
                let number = index + usize::from(!has_receiver);
                format_ident!("__hot_{}", number, span = span).to_token_stream()
            }
        };
        *arg.pat = Pat::Verbatim(name.clone());
        let value = match &*arg.ty {
            Type::Reference(ty) if ty.mutability.is_some() => {
                quote_spanned!(span=> &mut *#name)
            }
            // What is not `Clone` is told at the argument.
            ty => quote_spanned! {span.located_at(ty.span())=>
                ::#krate::#private::CanBePassedAgain::once_more(&#name)
            },
        };
        bindings.push((pattern, value));
    }
    let receiver = has_receiver.then(|| {
        let this = func.sig.receiver().map(|receiver| receiver.self_token);
        quote_spanned!(span=> let _ = &#this;)
    });
    let output = match &func.sig.output {
        ReturnType::Default => quote_spanned!(span=> ()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    };
    let closure = Ident::new("__hot", span);
    let inside = bind(bindings, statements, func.body.span());
    let call = quote_spanned! {span=>
        let mut #closure = || -> #output {
            #receiver
            #inside
        };
        ::#krate::#private::retry(::core::any::type_name_of_val(&#closure), &mut #closure)
    };
    let mut body = Group::new(Delimiter::Brace, quote!(#inner_attrs #call));
    body.set_span(func.body.span());
    func.body = body;
    Ok(func)
}

fn cannot_be_called_again(func: &HotFn) -> Option<Error> {
    let sig = &func.sig;
    let no = |place: &dyn ToTokens, what: &str| {
        Some(Error::new_spanned(
            place,
            format!("#[hot(retry)] cannot call {what} again"),
        ))
    };
    if let Some(token) = &sig.asyncness {
        return no(token, "an async function");
    }
    if let Safety::Unsafe(token) = &sig.safety {
        return no(token, "an unsafe function");
    }
    if never_returns(func) {
        return no(&sig.output, "a function that never returns");
    }
    let receiver = sig.receiver().filter(|receiver| !is_borrowed(receiver));
    receiver.and_then(|receiver| no(receiver, "a method that takes `self` by value"))
}

fn is_borrowed(receiver: &Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Reference(..) => true,
        ReceiverKind::Typed(_, ty) => matches!(**ty, Type::Reference(_)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::again;
    use crate::function::HotFn;
    use proc_macro2::TokenStream;
    use quote::ToTokens;

    fn squeeze(tokens: &TokenStream) -> String {
        tokens.to_string().split_whitespace().collect()
    }

    #[test]
    fn the_documented_example_is_what_comes_out() {
        let source = include_str!("retry.rs");
        let example: String = source
            .lines()
            .skip_while(|line| *line != "/// // Input:")
            .take_while(|line| *line != "/// ```")
            .filter_map(|line| line.strip_prefix("///"))
            .map(|line| format!("{line}\n"))
            .collect();
        let (input, output) = example.split_once("// Output:").expect("both are there");
        let func = syn::parse_str::<HotFn>(input).expect("the input is a function");
        let made = again(func).expect("it can be called again");
        let expected: TokenStream = output.parse().expect("the output is made of tokens");
        assert_eq!(squeeze(&made.to_token_stream()), squeeze(&expected));
    }

    #[test]
    fn what_cannot_be_called_again_is_told() {
        for (function, what) in [
            ("async fn f() {}", "an async function"),
            ("unsafe fn f() {}", "an unsafe function"),
            ("fn f() -> ! { loop {} }", "never returns"),
            ("fn f(self) {}", "by value"),
            ("fn f(self: Box<Self>) {}", "by value"),
        ] {
            let func = syn::parse_str::<HotFn>(function).expect("the input is a function");
            let error = again(func).err().expect("it cannot be called again");
            assert!(error.to_string().contains(what), "{error}");
        }
        for function in [
            "fn f(&self) {}",
            "fn f(&mut self) {}",
            "fn f(self: &Self) {}",
        ] {
            let func = syn::parse_str::<HotFn>(function).expect("the input is a function");
            assert!(again(func).is_ok());
        }
    }
}
