//! The `#[hot]` attribute of cargo-hotpatch. Depend on `hotpatch-rt`, which re-exports it.
//!
//! The stages are one file each: `args` reads the attribute's arguments, `function` reads the function up to
//! its body, `expand` writes it out again. The macro knows the names of the runtime, not what they do.

#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use proc_macro2::{TokenStream as TokenStream2, TokenTree};
use quote::quote;

mod args;
mod expand;
mod function;
mod names;

use crate::args::Args;
use crate::function::{HotFn, HotStatic};

/// Marks a function whose new bodies go live while the program runs under `cargo hotpatch`.
///
/// It works on free functions and on methods of inherent and trait impls:
///
/// ```
/// use hotpatch_rt::hot;
///
/// #[hot]
/// fn greeting(name: &str) -> String {
///     format!("Hello, {name}!")
/// }
///
/// assert_eq!(greeting("you"), "Hello, you!");
/// ```
///
/// In a plain build the function is left exactly as written. Under `cargo hotpatch` a call looks first
/// whether a patch has brought a newer body.
///
/// An `async` function can be hot: what awaits it runs the newest body. In a hot build its future is a box, and newer
/// bodies must be such that it can be sent between threads, unless the attribute says `#[hot(?Send)]`:
///
/// ```
/// use hotpatch_rt::hot;
///
/// #[hot]
/// async fn answer(question: &str) -> usize {
///     std::future::ready(question.len()).await
/// }
/// ```
///
/// A hot function needs one address, so it cannot have type or const parameters or `impl Trait` in its
/// signature, nor be `const`, variadic or `#[track_caller]`:
///
/// ```compile_fail
/// use hotpatch_rt::hot;
///
/// #[hot]
/// fn largest<T: Ord + Copy>(items: &[T]) -> Option<T> {
///     items.iter().copied().max()
/// }
/// ```
///
/// On a `static` without interior mutability the attribute has the tool give a new initial value to patched code,
/// which else keeps the value it has:
///
/// ```
/// use hotpatch_rt::hot;
///
/// #[hot]
/// static SPEED: f32 = 1.5;
///
/// assert_eq!(SPEED * 2.0, 3.0);
/// ```
///
/// In a generic impl, or as a default body in a trait, a function has many addresses too. The attribute
/// cannot see that, so it is the tool that declines to patch such a function.
#[proc_macro_attribute]
pub fn hot(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut args = syn::parse::<Args>(args);
    let is_static = syn::parse::<HotStatic>(item.clone()).is_ok();
    let func = syn::parse::<HotFn>(item.clone());
    let is_async = func.as_ref().is_ok_and(|func| func.sig.asyncness.is_some());
    if let Ok(Args { local: Some(place) }) = args
        && (is_static || func.is_ok() && !is_async)
    {
        args = Err(syn::Error::new(
            place,
            "`?Send` is for async functions: what others return says itself whether it can be sent",
        ));
    }
    if args.is_ok() && is_static {
        return item;
    }
    let live = std::env::var_os(names::LIVE_ENV).is_some();
    match (args, func) {
        (Ok(args), Ok(func)) if live => expand::live(func, args.local.is_some()).into(),
        (Ok(_), Ok(_)) => item,
        (args, func) => {
            let errors = [args.err(), func.err().filter(|_| !is_static)];
            let mut errors = errors.into_iter().flatten();
            let first = errors
                .next()
                .expect("invariant: one of the two is an error");
            let error = errors.fold(first, |mut all, error| {
                all.combine(error);
                all
            });
            let error = without_path(error.to_compile_error());
            // The item stays, so that its uses are no errors as well.
            let item = TokenStream2::from(item);
            quote!(#error #item).into()
        }
    }
}

/// The same `compile_error!`s without the `::core::` in front, which in a crate of edition 2015 would be a module
/// of that crate. A span of our own would mend that too, and make every message three lines longer.
fn without_path(errors: TokenStream2) -> TokenStream2 {
    let is_path = |token: &TokenTree| match token {
        TokenTree::Ident(ident) => ident == "core",
        TokenTree::Punct(punct) => punct.as_char() == ':',
        TokenTree::Group(_) | TokenTree::Literal(_) => false,
    };
    errors.into_iter().filter(|token| !is_path(token)).collect()
}
