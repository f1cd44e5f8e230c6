//! Writes the function out for a hot build: with a barrier in front of its body, or with a box for its future.
//!
//! What the user wrote keeps its tokens and their spans, so errors and lints in it stay where they were. What we
//! add has spans of the macro's own: lints leave it alone, its paths mean the same in every edition, and its
//! variables cannot meet the user's.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{FnArg, Pat, ReturnType, Safety, Token, Type};

use crate::function::HotFn;
use crate::names;

/// How much of the code around a function the compiler may learn about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Nothing: every function is compiled for itself.
    Unoptimised,
    /// All there is, so that it must be kept from it.
    Optimised,
}

/// The function as a hot build has it.
pub fn live(func: HotFn, build: Build) -> TokenStream {
    if func.sig.asyncness.is_some() {
        return live_future(func);
    }
    match build {
        Build::Unoptimised => func.into_token_stream(),
        Build::Optimised => barrier(func),
    }
}

/// Keeps the optimiser from knowing in the function's callers what its body does.
///
/// The slot in front of the body may lead anywhere, as far as the compiler can tell, and nothing is ever stored there: a
/// newer body takes this one's place as that of any other function does. So callers assume no constant result, no call
/// without an effect and no body that cannot panic, and go on well with whatever body comes.
///
/// ```ignore
/// // Input:
/// pub fn update(&mut self, step: u32, (a, b): (u32, u32), mut n: u32) -> bool {
///     n += a;
///     self.advance(step, n) > b
/// }
///
/// // Output:
/// #[inline(never)]
/// pub fn update(&mut self, step: u32, __hot_2: (u32, u32), __hot_3: u32) -> bool {
///     #[used]
///     static __HOTPATCH_SLOT: ::hotpatch_live::__private_v1::Slot =
///         ::hotpatch_live::__private_v1::Slot::new();
///     if let ::core::option::Option::Some(__hot) =
///         __HOTPATCH_SLOT.get::<fn(_, _, _, _) -> _>()
///     {
///         return __hot(self, step, __hot_2, __hot_3);
///     }
///     match __hot_2 {
///         __hot_2 => match __hot_2 {
///             (a, b) => match __hot_3 {
///                 mut n => {
///                     n += a;
///                     self.advance(step, n) > b
///                 }
///             }
///         }
///     }
/// }
/// ```
///
/// Functions without such patterns, which is most of them, keep their body as the tail of the new one.
fn barrier(mut func: HotFn) -> TokenStream {
    let span = Span::mixed_site();
    let (inner_attrs, statements) = split_inner_attributes(func.body.stream());
    let passed = pass_arguments(&mut func, false);

    let slot = Ident::new(names::SLOT, span);
    let krate = Ident::new(names::LIVE_CRATE, span);
    let private = Ident::new(names::PRIVATE, span);
    let pointer = pointer_type(&func, passed.arguments.len());
    let body = Ident::new("__hot", span);
    let arguments = passed.arguments;
    let mut call = quote_spanned!(span=> #body(#(#arguments),*));
    if func.is_unsafe() {
        call = quote_spanned!(span=> unsafe { #call });
    }
    // A `return` of what never returns would itself be unreachable code.
    let leave = if never_returns(&func) {
        call
    } else {
        quote_spanned!(span=> return #call;)
    };

    let tail = if passed.rebindings.is_empty() {
        statements
    } else {
        bind(passed.rebindings, statements, func.body.span())
    };
    // Only where it is needed, since a crate may forbid allowing things.
    let allow = passed
        .underscores
        .then(|| quote_spanned!(span=> #[allow(clippy::used_underscore_binding)]));
    let prelude = quote_spanned! {span=>
        #[used]
        static #slot: ::#krate::#private::Slot = ::#krate::#private::Slot::new();
        #allow
        if let ::core::option::Option::Some(#body) = #slot.get::<#pointer>() {
            #leave
        }
    };
    with_body(func, quote!(#inner_attrs #prelude #tail))
}

/// Puts the future of an `async` function into a box.
///
/// A newer body is another future, so what is awaited is a box of one, of one layout whatever is in it. The user's
/// body stays an `async` block, and gives the box what rustc knows of its future: whether it is `Send`, and what it
/// borrows.
///
/// ```ignore
/// // Input:
/// async fn answer(&self, mut line: &str) -> Option<u32> {
///     self.ask(line).await
/// }
///
/// // Output:
/// #[inline(never)]
/// async fn answer(&self, line: &str) -> Option<u32> {
///     static __HOTPATCH_RUNNING: ::hotpatch_live::__private_v1::FutureCount =
///         ::hotpatch_live::__private_v1::FutureCount::new();
///     __HOTPATCH_RUNNING.count(
///         ::hotpatch_live::__private_v1::Hot::new(move || async move {
///             if let ::core::option::Option::Some(__hot) =
///                 ::core::option::Option::None::<Option<u32>>
///             {
///                 return __hot;
///             }
///             match line {
///                 mut line => {
///                     self.ask(line).await
///                 }
///             }
///         })
///     ).await
/// }
/// ```
fn live_future(mut func: HotFn) -> TokenStream {
    let span = Span::mixed_site();
    let (inner_attrs, statements) = split_inner_attributes(func.body.stream());
    let passed = pass_arguments(&mut func, true);
    let running = Ident::new(names::RUNNING, span);
    let krate = Ident::new(names::LIVE_CRATE, span);
    let private = Ident::new(names::PRIVATE, span);
    let of_live = |name: &str| {
        let name = Ident::new(name, span);
        quote_spanned!(span=> ::#krate::#private::#name)
    };
    let (count, hot) = (of_live("FutureCount"), of_live("Hot"));
    let early = Ident::new("__hot", span);
    let output = match &func.sig.output {
        ReturnType::Default => quote_spanned!(span=> ()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    };
    let inside = bind(passed.rebindings, statements, func.body.span());
    let body = quote_spanned! {span=>
        static #running: #count = #count::new();
        #running.count(
            #hot::new(move || async move {
                // It tells rustc what the block returns, as a function's signature does.
                if let ::core::option::Option::Some(#early) =
                    ::core::option::Option::None::<#output>
                {
                    return #early;
                }
                #inside
            })
        ).await
    };
    with_body(func, quote!(#inner_attrs #body))
}

/// The statements with all names that these patterns, from the outside in, bind.
pub fn bind(
    rebindings: Vec<(TokenStream, TokenStream)>,
    statements: TokenStream,
    place: Span,
) -> TokenStream {
    let mut inside = Group::new(Delimiter::Brace, statements);
    inside.set_span(place);
    let span = Span::mixed_site();
    rebindings.into_iter().rfold(
        inside.into_token_stream(),
        |tail, (pattern, name)| quote_spanned!(span=> match #name { #pattern => #tail }),
    )
}

/// The function with another body.
fn with_body(func: HotFn, tokens: TokenStream) -> TokenStream {
    let mut body = Group::new(Delimiter::Brace, tokens);
    body.set_span(func.body.span());
    let HotFn {
        attrs, vis, sig, ..
    } = func;
    // Else optimised callers would hold this body.
    let is_inline = |attr: &syn::Attribute| attr.path().is_ident("inline");
    let never = (!attrs.iter().any(is_inline))
        .then(|| quote_spanned!(Span::mixed_site()=> #[inline(never)]));
    quote!(#(#attrs)* #never #vis #sig #body)
}

/// How the arguments get to a newer body, and to this one.
struct Passed {
    /// What to call the newer body with.
    arguments: Vec<TokenStream>,
    /// Patterns that this body needs, each with what it takes apart, from the outside in.
    rebindings: Vec<(TokenStream, TokenStream)>,
    /// Whether one of the user's names that begin with an underscore is passed on.
    underscores: bool,
}

/// Gives each argument a name by which it can be passed on.
///
/// Arguments are dropped from last to first, each one's bindings before what the pattern left of it. So from the
/// first pattern on, every argument is bound again, in order; and by `match`, not `let`, because temporaries in
/// the body's tail may borrow from the bindings and must be gone before them, which before edition 2024 is not
/// so with `let`. With `rebind_all`, all of them are bound again: a block of its own takes them with it.
fn pass_arguments(func: &mut HotFn, rebind_all: bool) -> Passed {
    let mut passed = Passed {
        arguments: Vec::new(),
        rebindings: Vec::new(),
        underscores: false,
    };
    let has_receiver = func.sig.receiver().is_some();
    for (index, input) in func.sig.inputs.iter_mut().enumerate() {
        let arg = match input {
            FnArg::Receiver(receiver) => {
                passed.arguments.push(receiver.self_token.to_token_stream());
                continue;
            }
            FnArg::Typed(arg) => arg,
        };
        let rebinding = rebind_all || !passed.rebindings.is_empty();
        let number = index + usize::from(!has_receiver);
        let name = format_ident!("__hot_{}", number, span = Span::mixed_site()).to_token_stream();
        match &*arg.pat {
            Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => {
                if !rebinding {
                    passed.underscores |= pat.ident.to_string().starts_with('_');
                    passed.arguments.push(pat.ident.to_token_stream());
                    continue;
                }
                // Other attributes may name it, as `#[instrument(skip(line))]` does; clippy minds who reads `_line`.
                if rebind_all && !pat.ident.to_string().starts_with('_') {
                    let name = pat.ident.to_token_stream();
                    passed
                        .rebindings
                        .push((pat.to_token_stream(), name.clone()));
                    *arg.pat = Pat::Verbatim(name);
                    continue;
                }
                passed
                    .rebindings
                    .push((pat.to_token_stream(), name.clone()));
            }
            Pat::Wild(_) => {
                if rebinding {
                    passed.rebindings.push((name.clone(), name.clone()));
                }
            }
            pat => {
                passed.rebindings.push((name.clone(), name.clone()));
                passed
                    .rebindings
                    .push((pat.to_token_stream(), name.clone()));
            }
        }
        *arg.pat = Pat::Verbatim(name.clone());
        passed.arguments.push(name);
    }
    passed
}

/// The type of a pointer to the function, as far as inference needs help with it.
fn pointer_type(func: &HotFn, arguments: usize) -> TokenStream {
    let span = Span::mixed_site();
    let output = match &func.sig.output {
        ReturnType::Default => TokenStream::new(),
        // Inference would take `!` for a type yet unknown.
        ReturnType::Type(..) if never_returns(func) => quote_spanned!(span=> -> !),
        ReturnType::Type(..) => quote_spanned!(span=> -> _),
    };
    let safety = match &func.sig.safety {
        Safety::Unsafe(_) => quote_spanned!(span=> unsafe),
        Safety::Safe(_) | Safety::Default => TokenStream::new(),
    };
    let abi = &func.sig.abi;
    let arguments = (0..arguments).map(|_| Token![_](span));
    quote_spanned!(span=> #safety #abi fn(#(#arguments),*) #output)
}

/// Whether the function's type says that it does not return.
pub fn never_returns(func: &HotFn) -> bool {
    matches!(&func.sig.output, ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)))
}

/// Splits a body's tokens after its `#![..]` attributes, which must stay in front.
pub fn split_inner_attributes(body: TokenStream) -> (TokenStream, TokenStream) {
    let tokens: Vec<TokenTree> = body.into_iter().collect();
    let mut end = 0;
    while let [
        TokenTree::Punct(pound),
        TokenTree::Punct(bang),
        TokenTree::Group(attr),
        ..,
    ] = &tokens[end..]
        && pound.as_char() == '#'
        && bang.as_char() == '!'
        && attr.delimiter() == Delimiter::Bracket
    {
        end += 3;
    }
    let mut attrs = tokens;
    let rest = attrs.split_off(end);
    (attrs.into_iter().collect(), rest.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples in the documentation of [`barrier`] and [`live_future`], so that they stay true.
    #[test]
    fn the_documented_examples_are_what_comes_out() {
        let source = include_str!("expand.rs");
        let mut lines = source.lines();
        let mut examples = 0;
        while lines.any(|line| line == "/// // Input:") {
            let example: String = lines
                .by_ref()
                .take_while(|line| *line != "/// ```")
                .filter_map(|line| line.strip_prefix("///"))
                .map(|line| format!("{line}\n"))
                .collect();
            let (input, output) = example
                .split_once("// Output:")
                .expect("both parts are there");
            assert_expansion(input, output);
            examples += 1;
        }
        assert_eq!(examples, 2);
    }

    #[test]
    fn plain_arguments_leave_signature_and_body_as_they_are() {
        assert_expansion(
            "#[inline] unsafe extern \"C\" fn f(mut n: u32, _: &str) { #![allow(unused)] n += 1; g(n) }",
            "#[inline] unsafe extern \"C\" fn f(mut n: u32, __hot_2: &str) {
                #![allow(unused)]
                #[used]
                static __HOTPATCH_SLOT: ::hotpatch_live::__private_v1::Slot =
                    ::hotpatch_live::__private_v1::Slot::new();
                if let ::core::option::Option::Some(__hot) =
                    __HOTPATCH_SLOT.get::<unsafe extern \"C\" fn(_, _)>()
                {
                    return unsafe { __hot(n, __hot_2) };
                }
                n += 1;
                g(n)
            }",
        );
    }

    #[test]
    fn a_name_with_an_underscore_is_allowed_to_be_used() {
        assert_expansion(
            "fn f(_n: u32) {}",
            "#[inline(never)] fn f(_n: u32) {
                #[used]
                static __HOTPATCH_SLOT: ::hotpatch_live::__private_v1::Slot =
                    ::hotpatch_live::__private_v1::Slot::new();
                #[allow(clippy::used_underscore_binding)]
                if let ::core::option::Option::Some(__hot) = __HOTPATCH_SLOT.get::<fn(_)>() {
                    return __hot(_n);
                }
            }",
        );
    }

    #[test]
    fn a_function_that_never_returns_says_so() {
        assert_expansion(
            "fn f() -> ! { loop {} }",
            "#[inline(never)] fn f() -> ! {
                #[used]
                static __HOTPATCH_SLOT: ::hotpatch_live::__private_v1::Slot =
                    ::hotpatch_live::__private_v1::Slot::new();
                if let ::core::option::Option::Some(__hot) = __HOTPATCH_SLOT.get::<fn() -> !>() {
                    __hot()
                }
                loop {}
            }",
        );
    }

    #[test]
    fn an_unoptimised_build_leaves_plain_functions_as_they_are() {
        let input = "#[cold] pub(crate) unsafe fn f(&self, (a, b): (u8, u8)) -> u8 { #![allow(unused)] a + b }";
        let func = syn::parse_str::<HotFn>(input).expect("the input is a function");
        let same: TokenStream = input.parse().expect("the input is made of tokens");
        assert_eq!(squeeze(&live(func, Build::Unoptimised)), squeeze(&same));
    }

    #[track_caller]
    fn assert_expansion(input: &str, output: &str) {
        let func = syn::parse_str::<HotFn>(input).expect("the input is a function");
        let expected: TokenStream = output.parse().expect("the output is made of tokens");
        assert_eq!(squeeze(&live(func, Build::Optimised)), squeeze(&expected));
    }

    /// Tokens print with spaces that depend on where they came from.
    fn squeeze(tokens: &TokenStream) -> String {
        tokens.to_string().split_whitespace().collect()
    }
}
