//! Thread-locals one by one: what `thread_local!` declares, and the text that gives one of them storage.
//!
//! Only the form of the standard library's macro is read, with no attributes that could make a declaration another
//! one. Everything else stays one item of which nobody knows what it declares.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Token, Visibility};

use super::file::{Kind, OtherItem};
use super::items::raw;
use super::read::Reader;
use super::tokens::{fingerprint, mentions};

/// Attributes that say nothing of the value.
const QUIET: &[&str] = &["doc", "allow", "expect", "warn", "deny", "forbid"];

struct Local {
    attrs: Vec<Attribute>,
    vis: Visibility,
    word: Token![static],
    ident: syn::Ident,
    ty: syn::Type,
    init: TokenStream,
}

struct Locals(Vec<Local>);

impl Parse for Locals {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut out = Vec::new();
        while !input.is_empty() {
            let attrs = Attribute::parse_outer(input)?;
            if let Some(attr) = attrs
                .iter()
                .find(|attr| !QUIET.iter().any(|name| attr.path().is_ident(name)))
            {
                return Err(syn::Error::new_spanned(attr, "it may be another one"));
            }
            let (vis, word, ident) = (input.parse()?, input.parse()?, input.parse()?);
            input.parse::<Token![:]>()?;
            let ty = input.parse()?;
            input.parse::<Token![=]>()?;
            let mut init = TokenStream::new();
            while !input.is_empty() && !input.peek(Token![;]) {
                input.parse::<TokenTree>()?.to_tokens(&mut init);
            }
            if !input.is_empty() {
                input.parse::<Token![;]>()?;
            }
            if init.is_empty() {
                return Err(input.error("a value"));
            }
            out.push(Local {
                attrs,
                vis,
                word,
                ident,
                ty,
                init,
            });
        }
        Ok(Self(out))
    }
}

impl Reader<'_> {
    /// Takes in a call of `thread_local!` at item level, if all of it is understood.
    pub(super) fn thread_locals(&mut self, item: &syn::ItemMacro, module: &Arc<[String]>) -> bool {
        let Ok(Locals(locals)) = syn::parse2(item.mac.tokens.clone()) else {
            return false;
        };
        let path = &item.mac.path;
        for local in locals {
            let (attrs, vis, word, ident) = (&local.attrs, &local.vis, &local.word, &local.ident);
            let (ty, init) = (&local.ty, local.init.clone());
            let outer = &item.attrs;
            let tokens = quote!(#(#outer)* #path! { #(#attrs)* #vis #word #ident: #ty = #init });
            let mut idents = BTreeSet::new();
            mentions(tokens.clone(), &mut idents);
            let value = self.range(init.span());
            let range = self.range(word.span).start..value.end;
            let value = self.out.text[value].to_owned();
            let is_constant = is_constant(&init);
            let maker = self.out.text[self.range(path.span())].to_owned();
            let entry = self.named(module, Kind::ThreadLocal, "thread-local", ident, tokens);
            entry.surface = fingerprint(ty.to_token_stream());
            entry.helpers = fingerprint(init);
            entry.value = value;
            entry.range = range;
            entry.mentions = Arc::new(idents);
            entry.maker = maker;
            entry.is_constant = is_constant;
        }
        true
    }
}

/// `const { … }`
fn is_constant(init: &TokenStream) -> bool {
    let tokens: Vec<TokenTree> = init.clone().into_iter().collect();
    matches!(&tokens[..], [TokenTree::Ident(word), TokenTree::Group(group)]
        if word == "const" && group.delimiter() == Delimiter::Brace)
}

/// What a lazy one's storage begins with is nothing. That this is never called, nobody need know of its callers.
const NEVER: &str = "crate::__hp_core::panic!(\"cargo-hotpatch: storage was asked for a value, please report this\")";

/// Where in a patch the storage is and how others reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought<'a> {
    /// The macro that declares it, as written.
    pub maker: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The function that returns where it is.
    pub export: &'a str,
    /// What its initialiser becomes, if another one.
    pub init: Option<(Range<usize>, String)>,
}

impl OtherItem {
    /// The thread-local with storage of its own, under this export, and what its initialiser is there.
    pub(super) fn brought<'a>(&'a self, export: &'a str) -> Option<Brought<'a>> {
        if self.kind != Kind::ThreadLocal {
            return None;
        }
        let start = self.range.end.checked_sub(self.value.len())?;
        let lines = "\n".repeat(self.value.matches('\n').count());
        let init = (start..self.range.end, format!("{NEVER}{lines}"));
        Some(Brought {
            maker: &self.maker,
            name: self.names.first()?,
            export,
            init: (!self.is_constant).then_some(init),
        })
    }
}

impl Brought<'_> {
    /// The static around the copy, by whose name the copy's symbol is told from others.
    #[must_use]
    pub fn holder(export: &str) -> String {
        export.to_uppercase()
    }

    /// The symbol by which the function refers to the storage: it takes the place of one that only rustc knows.
    #[must_use]
    pub fn inner(export: &str) -> String {
        format!("{export}_at")
    }

    /// What stands before the declaration in a patch, and what behind it.
    ///
    /// Code goes on to use what the scope declares. This one is there for its storage, which rustc makes for whoever
    /// holds the key. Who asks for it comes from a place where the loader would be asked: every register is left as
    /// the loader's function would leave it.
    #[must_use]
    pub fn around(&self) -> (String, String) {
        let Self {
            maker,
            name,
            export,
            ..
        } = self;
        let (holder, inner, name) = (Self::holder(export), Self::inner(export), raw(name));
        let before =
            format!("const _: () = {{ #[used] static {holder}: crate::__HpKey = {{ {maker}! {{ ");
        let code = [
            format!(".pushsection .text.{export},\\\"ax\\\",@progbits"),
            format!(".globl {export}"),
            format!(".type {export},@function"),
            format!("{export}:"),
            ".cfi_startproc".to_owned(),
            "push rax".to_owned(),
            ".cfi_adjust_cfa_offset 8".to_owned(),
            ".byte 0x66".to_owned(),
            format!("lea rdi, [rip + {inner}@tlsgd]"),
            ".value 0x6666".to_owned(),
            "rex64".to_owned(),
            "call __tls_get_addr@plt".to_owned(),
            "pop rcx".to_owned(),
            ".cfi_adjust_cfa_offset -8".to_owned(),
            "ret".to_owned(),
            ".cfi_endproc".to_owned(),
            format!(".size {export}, . - {export}"),
            ".popsection".to_owned(),
        ];
        let code: Vec<String> = code.iter().map(|line| format!("\"{line}\"")).collect();
        let after = format!(
            " }} crate::__HpKey(&{name} as *const _ as *const ()) }}; }}; \
             crate::__hp_core::arch::global_asm!({});",
            code.join(", ")
        );
        (before, after)
    }
}

/// What the root of a patch crate needs for [`Brought::around`].
pub(super) const PROLOGUE: &str = "extern crate core as __hp_core; \
    #[repr(transparent)] pub struct __HpKey(pub *const ()); unsafe impl Sync for __HpKey {} ";

#[cfg(test)]
mod tests {
    use crate::source::file::Kind;
    use crate::source::items::fake::krate;

    #[test]
    fn each_is_an_item_of_its_own() {
        let text = "mod m {\n    thread_local! {\n        /// Doc.\n        pub(crate) static A: Cell<u8> = const { Cell::new(1) };\n        #[allow(unused)] static B: Vec<u8> = vec![FIRST]\n    }\n}\n";
        let krate = krate(&[("src/main.rs", text)]);
        let file = &krate.files[0].parsed;
        let [a, b] = &file.items[file.items.len() - 2..] else {
            panic!("two items")
        };
        assert_eq!((a.kind, b.kind), (Kind::ThreadLocal, Kind::ThreadLocal));
        assert_eq!(
            (&*a.title, &*b.title),
            ("thread-local `A`", "thread-local `B`")
        );
        assert_eq!((a.place.line, a.place.column), (4, 27));
        assert_eq!(
            &file.text[a.range.clone()],
            "static A: Cell<u8> = const { Cell::new(1) }"
        );
        assert_eq!(b.value, "vec![FIRST]");
        assert_eq!(
            (&*a.maker, &*a.module),
            ("thread_local", &["m".to_owned()][..])
        );
        assert!(b.paths.contains("FIRST") && !b.paths.contains("B"));
    }

    #[test]
    fn what_is_not_understood_stays_one_item() {
        for block in [
            "thread_local! { #[cfg(unix)] static A: u8 = 1; }",
            "thread_local! { static ref A: u8 = 1; }",
            "thread_local! { static A = 1; }",
            "loom::thread_local! { static A: u8 = 1; }",
            "lazy_static! { static A: u8 = 1; }",
        ] {
            let krate = krate(&[("src/main.rs", block)]);
            let items = &krate.files[0].parsed.items;
            assert_eq!(items.last().unwrap().kind, Kind::ItemMacro, "{block}");
        }
    }
}
