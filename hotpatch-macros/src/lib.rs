//! The `#[hot]` attribute of cargo-hotpatch. Depend on `hotpatch-rt`, which re-exports it.
//!
//! The stages are one file each: `args` reads the attribute's arguments, `function` reads the function up to
//! its body, `expand` writes it out again. The macro knows the names of the runtime, not what they do.

#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use proc_macro2::{TokenStream as TokenStream2, TokenTree};
use quote::quote;

mod args;
mod block;
mod expand;
mod function;
mod names;
mod retry;

use crate::args::Args;
use crate::block::Block;
use crate::expand::Build;
use crate::function::{HotFn, HotStatic};

/// Marks a function that running code is to come back to: an `async` function, or a function of an optimised build.
///
/// Under `cargo hotpatch` every function can be replaced, marked or not. The mark is for what a running program would
/// not come back to. It works on free functions, generic ones too, and on methods of inherent and trait impls:
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
/// In a plain build the function is left exactly as written, and so it is in a hot build that does not optimise. In one
/// that does, it is never inlined, and its callers are compiled without any knowledge of its body.
///
/// In a hot build what awaits a hot `async` function holds a box, and so takes up the newest body with its next call,
/// whatever that keeps across its own `await`s:
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
/// A hot function cannot be `const`, variadic or `#[track_caller]`, nor return an `impl Trait`:
///
/// ```compile_fail
/// use hotpatch_rt::hot;
///
/// #[hot]
/// fn evens(items: &[u32]) -> impl Iterator<Item = &u32> {
///     items.iter().filter(|item| *item % 2 == 0)
/// }
/// ```
///
/// On an impl, a trait or a module that stands in the file the mark means each function inside that has a body.
/// `#[hot(skip)]` takes one out. What cannot be hot by itself is not inlined there, and an `async` function that cannot be
/// is an error:
///
/// ```
/// use hotpatch_rt::hot;
///
/// struct Game {
///     score: u32,
/// }
///
/// #[hot]
/// impl Game {
///     fn update(&mut self) {
///         self.score += self.step();
///     }
///
///     #[hot(skip)]
///     fn step(&self) -> u32 {
///         10
///     }
/// }
///
/// let mut game = Game { score: 0 };
/// game.update();
/// assert_eq!(game.score, 10);
/// ```
///
/// With `#[hot(retry)]` a call that panics under `cargo hotpatch` is made again, with the same arguments, once there is other code:
/// the thread waits for the next patch, or for somebody who gives up. So arguments that are moved have to be `Clone`, and
/// what is behind references is as the panic left it:
///
/// ```
/// use hotpatch_rt::hot;
///
/// #[hot(retry)]
/// fn parse(line: &str) -> u32 {
///     line.trim().parse().unwrap_or(0)
/// }
///
/// assert_eq!(parse(" 3 "), 3);
/// ```
///
/// On a `static` the attribute changes nothing. One that the program cannot write to takes up a new initial value as it
/// is; any other keeps the value it has:
///
/// ```
/// use hotpatch_rt::hot;
///
/// #[hot]
/// static SPEED: f32 = 1.5;
///
/// assert_eq!(SPEED * 2.0, 3.0);
/// ```
#[proc_macro_attribute]
pub fn hot(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = syn::parse::<Args>(args);
    let is_static = syn::parse::<HotStatic>(item.clone()).is_ok();
    if args
        .as_ref()
        .is_ok_and(|args| *args == Args::Skip || is_static)
    {
        return item;
    }
    let build = std::env::var_os(names::LIVE_ENV).map(|value| match value == names::OPTIMISED {
        true => Build::Optimised,
        false => Build::Unoptimised,
    });
    let retries = args.as_ref().is_ok_and(|args| *args == Args::Retry);
    let func = match syn::parse::<Block>(item.clone()) {
        Ok(_) if retries => Err(syn::Error::new(
            proc_macro2::Span::call_site(),
            "#[hot(retry)] is for a function, not for a block of them",
        )),
        Ok(block) => match (args.is_ok(), build) {
            (true, Some(build)) => match block.live(build) {
                Ok(tokens) => return tokens.into(),
                Err(error) => Err(error),
            },
            (true, None) => match block.check() {
                Ok(()) => return item,
                Err(error) => Err(error),
            },
            (false, _) => Ok(None),
        },
        Err(_) => {
            let func = syn::parse::<HotFn>(item.clone());
            match retries {
                true => func.and_then(retry::again).map(Some),
                false => func.map(Some),
            }
        }
    };
    match (args, func, build) {
        (Ok(_), Ok(Some(func)), Some(build)) => expand::live(func, build).into(),
        (Ok(_), Ok(_), None) => item,
        (args, func, _) => {
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
