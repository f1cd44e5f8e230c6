//! Where the slot of a hot function leads to, if that is not the function as it was taken out: its body left in its
//! place, and futures in their boxes.

use anyhow::{Context, Result, bail};
use quote::{ToTokens, quote};

use super::extract::{Page, Piece};
use super::fields::can_be_in_place;
use super::file::{Function, Future, Impl, Owner};
use super::items::{CrateSource, raw};
use super::lifetimes;
use super::own_imports::scope_path;
use super::pieces::pair;
use super::rewrite::{declaration, method_path, with_static_lifetimes};
use super::widen::{name_in_place, splice};

impl Page<'_> {
    /// The scope holds the body, under a name of its own.
    pub(super) fn in_place(
        &mut self,
        krate: &CrateSource,
        function: &Function,
        index: usize,
    ) -> Result<()> {
        let (name, body) = (raw(&function.name), name_in_place(&function.name));
        let (old, new) = match &function.owner {
            Owner::Free => (
                scope_path(&function.module, &name),
                scope_path(&function.module, &body),
            ),
            Owner::Impl(head) if can_be_in_place(krate, function) => {
                let ty = with_static_lifetimes(&head.self_ty)?;
                (method_path(head, &name)?, format!("<{ty}>::{body}"))
            }
            _ => bail!("this hot method of a trait cannot be understood outside of its place"),
        };
        let at = function.item.start;
        let text = match (&function.owner, function.future) {
            (_, None) => format!("const _: () = {{{}", pair(&old, &new, index)),
            (Owner::Impl(head), Some(future)) => {
                let head = &lifetimes::named(head)?;
                let running = self.running(function, future, &format!("Self::{body}"))?;
                let before = local_trait(head, &declaration(&running.sig, head, RUNNING)?);
                let ty = with_static_lifetimes(&head.self_ty)?;
                let params = with_static_lifetimes(&head.params)?;
                let new = format!("<{ty} as __Hp {params}>::{RUNNING}");
                format!("{before}{} }}{}", running.text, pair(&old, &new, index))
            }
            (_, Some(future)) => {
                let running = self.running(function, future, &new)?;
                format!(
                    "const _: () = {{ {}{}",
                    running.text,
                    pair(&old, RUNNING, index)
                )
            }
        };
        // On the function's own line, so that what rustc says of it is said of the function.
        self.pieces.push(Piece {
            range: at..at,
            before: String::new(),
            edits: Vec::new(),
            after: text,
        });
        Ok(())
    }

    /// For an `async fn` what a slot leads to: a function that puts the future of `callee` into a box.
    pub(super) fn running(
        &self,
        function: &Function,
        future: Future,
        callee: &str,
    ) -> Result<Boxed> {
        let mut edits = Vec::new();
        if let Owner::Impl(head) = &function.owner {
            self.associated(head, &function.sig, &mut edits)?;
        }
        let start = function.sig.start;
        let edits = edits
            .into_iter()
            .map(|(range, new)| (range.start - start..range.end - start, new))
            .collect();
        boxed(&splice(self.text(&function.sig), edits), future, callee)
    }
}

/// A trait with these methods, and the beginning of its impl for the type.
pub(super) fn local_trait(head: &Impl, methods: &str) -> String {
    let Impl {
        generics,
        params,
        bounds,
        self_ty,
        ..
    } = head;
    format!(
        "const _: () = {{ trait __Hp {generics} {bounds} {{ {methods} }} \
         impl {generics} __Hp {params} for {self_ty} {bounds} {{ "
    )
}

/// The function of a patch that a slot of an `async fn` leads to.
pub(super) struct Boxed {
    /// Its signature.
    pub(super) sig: String,
    /// All of it.
    pub(super) text: String,
}

/// Its name.
pub(super) const RUNNING: &str = "__hp_running";

/// A function with the parameters of this `async` one that puts the future of `callee` into a box.
fn boxed(sig: &str, future: Future, callee: &str) -> Result<Boxed> {
    let mut sig: syn::Signature =
        syn::parse_str(sig).context("failed to read the function's signature")?;
    let callee: syn::Expr = syn::parse_str(callee).context("failed to read the function's name")?;
    sig.asyncness = None;
    sig.ident = syn::parse_str(RUNNING)?;
    let mut passed = Vec::new();
    for (index, input) in sig.inputs.iter_mut().enumerate() {
        match input {
            syn::FnArg::Receiver(receiver) => {
                receiver.mutability = None;
                receiver.attrs.clear();
                passed.push(receiver.self_token.to_token_stream());
            }
            syn::FnArg::Typed(arg) => {
                let name = quote::format_ident!("__hp_{index}");
                *arg.pat = syn::parse_quote!(#name);
                arg.attrs.clear();
                passed.push(name.to_token_stream());
            }
        }
    }
    let output = match &sig.output {
        syn::ReturnType::Default => quote!(()),
        syn::ReturnType::Type(_, ty) => ty.to_token_stream(),
    };
    let live = quote!(::hotpatch_live::__private_v1::Running);
    sig.output = syn::parse_quote!(-> #live<#output>);
    let put = match future {
        Future::Sent => quote!(sent),
        Future::Local => quote!(new),
    };
    let mut call = quote!(#callee(#(#passed),*));
    if matches!(sig.safety, syn::Safety::Unsafe(_)) {
        call = quote!(unsafe { #call });
    }
    Ok(Boxed {
        sig: sig.to_token_stream().to_string(),
        text: quote!(#sig { #live::#put(#call) }).to_string(),
    })
}
