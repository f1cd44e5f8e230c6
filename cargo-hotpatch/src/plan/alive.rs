//! Which types may change freely: those of which no value can meet both old and new code.
//!
//! A value made by old code reaches new code through storage that outlives a call (statics, thread-locals), through
//! the arguments and results of hot functions, through `dyn Any`, which finds types by name, through code of other
//! crates that keeps what it is given, or as an address. Each of these is looked for, by names in the source, which
//! finds too much rather than too little, and by symbols of the program. What old code keeps for itself, on its
//! stack or in its closures, it goes on to read in its own way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use super::classify::derives_unknown;
use crate::image::demangle::FunctionKey;
use crate::image::graph::{CallGraph, NodeId, NodeKind};
use crate::source::file::{Function, Kind, OtherItem, Owner, Place};
use crate::source::items::{CrateSource, SourceFile};

/// Why values of a type may be alive: one line each, and none if there can be none.
pub type Reasons = Vec<String>;

/// Looks for values of types with these names that old code may have made and new code may meet.
///
/// `is_hot` tells functions that have a slot. Both versions of the source count.
#[must_use]
pub fn reasons(
    name: &str,
    old: &[CrateSource],
    new: &[CrateSource],
    graph: &CallGraph,
    is_hot: &dyn Fn(usize, &Function) -> bool,
) -> Reasons {
    // The new places are those that a reader finds.
    let sources: Vec<(usize, &CrateSource)> = new
        .iter()
        .enumerate()
        .chain(old.iter().enumerate())
        .collect();
    let search = Search {
        names: containing(name, &sources),
        sources,
        is_hot,
    };
    let mut out = search.storage();
    out.extend(search.hot_functions());
    if out.is_empty() {
        out.extend(search.functions());
    }
    if out.is_empty() {
        out.extend(search.symbols(graph));
    }
    let mut seen = BTreeSet::new();
    out.retain(|reason| seen.insert(without_line(reason).to_owned()));
    out
}

/// A reason without the line at its end, which an edit above it may have moved.
fn without_line(reason: &str) -> &str {
    let is_line = |text: &str| {
        let number = text.strip_suffix(')');
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match reason.rsplit_once(':') {
        Some((rest, line)) if is_line(line) => rest,
        _ => reason,
    }
}

/// A function and where it stands.
#[derive(Clone, Copy)]
struct Found<'a> {
    krate: usize,
    source: &'a CrateSource,
    file: &'a SourceFile,
    function: &'a Function,
}

impl Found<'_> {
    /// Its name and place.
    fn shown(&self) -> String {
        let Self {
            source,
            file,
            function,
            ..
        } = self;
        format!(
            "`{}` {}",
            function.name,
            place(source, &file.path, function.place)
        )
    }
}

/// Of these traits those of which there can be trait objects, and so tables of methods in the old order.
#[must_use]
pub fn objects(
    traits: &BTreeSet<String>,
    old: &[CrateSource],
    new: &[CrateSource],
    graph: &CallGraph,
) -> BTreeSet<String> {
    let all = || old.iter().chain(new);
    let files = || all().flat_map(|source| &source.files);
    let mut named = BTreeSet::new();
    for file in files().filter(|file| file.parsed.text.contains("dyn")) {
        // A script's first line is no Rust.
        match file.parsed.text.parse() {
            Ok(tokens) => dyn_names(tokens, &mut named),
            Err(_) => return traits.clone(),
        }
    }
    proc_macro2::extra::invalidate_current_thread_spans();
    let in_tables: BTreeSet<String> = graph
        .nodes()
        .filter(|node| {
            let name = graph.name(*node);
            traits.iter().any(|known| name.contains(known.as_str()))
                && graph
                    .callers(*node)
                    .any(|caller| graph.kind(caller) == NodeKind::Data)
        })
        .filter_map(|node| match &graph.demangled(node)?.key {
            FunctionKey::Method { trait_name, .. } => trait_name.clone(),
            FunctionKey::Free { .. } => None,
        })
        .collect();
    let is_object = |name: &String| {
        // The table of a trait holds those of the traits it needs.
        let mut below = BTreeSet::from([name.clone()]);
        loop {
            let before = below.len();
            let items = files().flat_map(|file| &file.parsed.items);
            for item in items.filter(|item| matches!(item.kind, Kind::Trait | Kind::Use)) {
                if names_any(item, &below) {
                    let names = item
                        .names
                        .iter()
                        .chain(item.imports.iter().map(|i| &i.name));
                    below.extend(names.filter(|name| *name != "*").cloned());
                }
            }
            if below.len() == before {
                break;
            }
        }
        below
            .iter()
            .any(|name| named.contains(name) || in_tables.contains(name))
    };
    traits
        .iter()
        .filter(|name| is_object(name))
        .cloned()
        .collect()
}

/// What stands behind `dyn`.
fn dyn_names(tokens: TokenStream, out: &mut BTreeSet<String>) {
    let mut inside = false;
    for token in tokens {
        match &token {
            TokenTree::Ident(word) if word == "dyn" => inside = true,
            TokenTree::Ident(word) if inside => {
                out.insert(word.to_string());
            }
            TokenTree::Punct(p) if matches!(p.as_char(), ',' | '>' | ';' | '=') => inside = false,
            TokenTree::Group(group) => {
                if inside {
                    idents(group.stream(), out);
                }
                inside &= group.delimiter() != proc_macro2::Delimiter::Brace;
                dyn_names(group.stream(), out);
            }
            _ => {}
        }
    }
}

/// Symbols of the program that name one of these types.
#[must_use]
pub fn touching(
    names: &BTreeSet<String>,
    sources: &[CrateSource],
    graph: &CallGraph,
) -> Vec<NodeId> {
    let search = Search {
        sources: sources.iter().enumerate().collect(),
        names: names.clone(),
        is_hot: &|_, _| false,
    };
    let paths = search.paths();
    let is_near = |name: &str| paths.values().any(|last| name.contains(last));
    let nodes = graph.nodes().filter(|node| is_near(graph.name(*node)));
    nodes
        .filter(|node| {
            let text = format!("{:#}", rustc_demangle::demangle(graph.name(*node)));
            paths.keys().any(|path| has_path(&text, path))
        })
        .collect()
}

struct Search<'a> {
    sources: Vec<(usize, &'a CrateSource)>,
    /// The type and all that may hold values of it, by name.
    names: BTreeSet<String>,
    is_hot: &'a dyn Fn(usize, &Function) -> bool,
}

/// The names of all types and traits that lead to values of a type.
fn containing(name: &str, sources: &[(usize, &CrateSource)]) -> BTreeSet<String> {
    let mut names = BTreeSet::from([name.to_owned()]);
    loop {
        let before = names.len();
        let items = sources
            .iter()
            .flat_map(|(_, source)| &source.files)
            .flat_map(|file| &file.parsed.items);
        for item in items {
            let counts = matches!(
                item.kind,
                Kind::Type | Kind::Trait | Kind::Impl | Kind::Use | Kind::MacroRules
            );
            if !counts || !names_any(item, &names) {
                continue;
            }
            match item.kind {
                // Only what it names as its own can be had through it.
                Kind::Impl if item.mentions.is_empty() => {}
                Kind::Impl => {
                    names.extend(item.names.iter().cloned());
                    names.extend(item.title_type());
                }
                _ => names.extend(item.names.iter().filter(|name| *name != "*").cloned()),
            }
        }
        if names.len() == before {
            return names;
        }
    }
}

/// A path of the item ends in one of these names; for imports, what they take in; in macros, any word is one.
fn names_any(item: &OtherItem, names: &BTreeSet<String>) -> bool {
    let has_words = item.kind.is_macro() || item.kind == Kind::ThreadLocal;
    if has_words && item.mentions.iter().any(|name| names.contains(name)) {
        return true;
    }
    if item.kind == Kind::Use {
        let last = |path: &Vec<String>| path.last().is_some_and(|last| names.contains(last));
        return item.imports.iter().any(|import| last(&import.path));
    }
    item.paths.iter().any(|path| {
        let last = path.rsplit("::").next().unwrap_or(path);
        names.contains(last)
    })
}

impl OtherItem {
    /// For an impl: the last name of its type, as far as it has one.
    fn title_type(&self) -> Option<String> {
        let title = self.title.trim_matches('`');
        let ty = title.rsplit(" for ").next()?.trim_start_matches("impl ");
        let head = ty.split('<').next()?.trim();
        let last = head
            .rsplit(|c: char| !(c.is_alphanumeric() || c == '_'))
            .next()?;
        (!last.is_empty()).then(|| last.to_owned())
    }
}

/// A place in a crate, from the crate's folder on.
fn place(source: &CrateSource, file: &Path, place: Place) -> String {
    let root = source
        .files
        .first()
        .and_then(|file| file.path.parent()?.parent());
    let shown = root
        .and_then(|root| file.strip_prefix(root).ok())
        .unwrap_or(file);
    format!("({}:{})", shown.display(), place.line)
}

impl<'a> Search<'a> {
    fn all_functions(&self) -> impl Iterator<Item = Found<'a>> {
        self.sources.iter().flat_map(|(krate, source)| {
            let (krate, source) = (*krate, *source);
            source.functions().map(move |(file, function)| Found {
                krate,
                source,
                file,
                function,
            })
        })
    }

    fn is_ours(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Statics and thread-locals.
    fn storage(&self) -> Reasons {
        let files = self
            .sources
            .iter()
            .flat_map(|(_, source)| source.files.iter().map(move |file| (source, file)));
        let mut out = Vec::new();
        for (source, file) in files {
            for item in &file.parsed.items {
                let holds = match item.kind {
                    // What it takes in nobody has read.
                    Kind::ItemMacro if item.title.contains("include!") => true,
                    Kind::Static | Kind::ThreadLocal | Kind::ItemMacro => {
                        names_any(item, &self.names)
                    }
                    // It may make one inside of functions, where nobody sees it.
                    Kind::MacroRules => {
                        item.mentions.contains("static") && names_any(item, &self.names)
                    }
                    // What an attribute or derive macro keeps of it, only that macro knows.
                    Kind::Type => {
                        item.names.iter().any(|name| self.is_ours(name))
                            && (!item.mentions.is_empty() || derives_unknown(item).is_some())
                    }
                    _ => false,
                };
                if holds {
                    out.push(format!(
                        "{} {}",
                        item.title,
                        place(source, &file.path, item.place)
                    ));
                }
            }
        }
        for found in self.all_functions() {
            let function = found.function;
            if !function.mentions.iter().any(|name| self.is_ours(name)) && !self.is_method(function)
            {
                continue;
            }
            if let Some((name, _)) = function
                .nested
                .iter()
                .find(|(name, _)| name.starts_with("static"))
            {
                out.push(format!("{name} in {}", found.shown()));
            }
        }
        out
    }

    /// It is a method of one of the types, or of one made of them.
    fn is_method(&self, function: &Function) -> bool {
        let Owner::Impl(head) = &function.owner else {
            return false;
        };
        let parts = [
            Some(&head.self_ty),
            head.trait_path.as_ref(),
            Some(&head.generics),
            Some(&head.bounds),
        ];
        let words = parts
            .into_iter()
            .flatten()
            .flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'));
        self.is_ours(&head.self_name) || words.into_iter().any(|word| self.is_ours(word))
    }

    /// Arguments and results of hot functions.
    fn hot_functions(&self) -> Reasons {
        let mut out = Vec::new();
        for found in self.all_functions() {
            let Found {
                krate,
                file,
                function,
                ..
            } = found;
            if !(function.hot || (self.is_hot)(krate, function)) {
                continue;
            }
            let what = match self.argument(&file.parsed.text[function.sig.clone()]) {
                Some(what) => what,
                None if self.is_method(function) => "`self`".to_owned(),
                None => continue,
            };
            out.push(format!("{what} of hot fn {}", found.shown()));
        }
        out
    }

    /// What of a signature names one of the types.
    fn argument(&self, signature: &str) -> Option<String> {
        let found = self.argument_in(signature);
        proc_macro2::extra::invalidate_current_thread_spans();
        found
    }

    fn argument_in(&self, signature: &str) -> Option<String> {
        let Ok(sig) = syn::parse_str::<syn::Signature>(signature) else {
            return Some("the signature".to_owned());
        };
        let mut found = BTreeSet::new();
        idents(quote::ToTokens::to_token_stream(&sig), &mut found);
        if !found.iter().any(|name| self.is_ours(name)) {
            return None;
        }
        for input in &sig.inputs {
            let mut found = BTreeSet::new();
            idents(quote::ToTokens::to_token_stream(input), &mut found);
            if let syn::FnArg::Typed(arg) = input
                && found.iter().any(|name| self.is_ours(name))
            {
                let name = quote::ToTokens::to_token_stream(&arg.pat).to_string();
                return Some(format!("argument `{name}`"));
            }
        }
        Some("the result".to_owned())
    }

    /// Code that asks for types at run time, or takes addresses.
    fn functions(&self) -> Reasons {
        let all: Vec<_> = self.all_functions().collect();
        let direct = |file: &SourceFile, function: &Function| {
            let mut found = BTreeSet::new();
            if let Ok(tokens) = file.parsed.text[function.sig.clone()].parse() {
                idents(tokens, &mut found);
            }
            self.is_method(function) || found.iter().any(|name| self.is_ours(name))
        };
        let makers: BTreeSet<&str> = all
            .iter()
            .filter(|found| direct(found.file, found.function))
            .map(|found| found.function.name.as_str())
            .collect();
        proc_macro2::extra::invalidate_current_thread_spans();
        let mut out = Vec::new();
        for found in &all {
            let Found { file, function, .. } = *found;
            let touches = self.is_method(function)
                || function
                    .mentions
                    .iter()
                    .any(|name| self.is_ours(name) || makers.contains(name.as_str()));
            let text = &file.parsed.text[function.item.clone()];
            let address = ADDRESS.iter().find(|word| text.contains(**word));
            // What generic code is given, nobody need name.
            if let Some(word) = address.filter(|_| touches || function.generic) {
                out.push(format!("an address, by `{word}` in {}", found.shown()));
            }
        }
        out
    }

    /// What the program was compiled with: tables for `dyn`, and code of other crates that was given the type.
    fn symbols(&self, graph: &CallGraph) -> Reasons {
        let paths: BTreeMap<String, &str> = self.paths();
        let own: BTreeSet<&str> = self
            .sources
            .iter()
            .map(|(_, source)| source.name.as_str())
            .collect();
        let mentions = |text: &str| paths.keys().any(|path| has_path(text, path));
        let mut out = Vec::new();
        for node in graph.nodes() {
            let name = graph.name(node);
            // Cheap, and true of every symbol with the name in it.
            if !paths.values().any(|last| name.contains(last)) {
                continue;
            }
            let text = format!("{:#}", rustc_demangle::demangle(name));
            if !mentions(&text) {
                continue;
            }
            if text.contains("core::any::Any") || text.contains("TypeId::of") {
                out.push("a `dyn Any`".to_owned());
                continue;
            }
            let of_fmt = text.contains(" as core::fmt::") || text.contains("drop_in_place");
            let in_table = graph
                .callers(node)
                .any(|caller| graph.kind(caller) == NodeKind::Data);
            if in_table && !of_fmt && text.contains(" as ") {
                out.push(format!("a trait object, by `{}`", shorten(&text)));
                continue;
            }
            let krate = text
                .trim_start_matches(['<', '&', '[', '(', '*'])
                .split("::")
                .next()
                .unwrap_or_default();
            let is_std = matches!(
                krate,
                "core" | "alloc" | "std" | "hotpatch_rt" | "hotpatch_live"
            );
            let is_path = krate.chars().all(|c| c.is_alphanumeric() || c == '_');
            if is_path && !is_std && !own.contains(krate) && !LETS_GO.contains(&krate) {
                out.push(format!("crate `{krate}`, by `{}`", shorten(&text)));
            }
        }
        out
    }

    /// Full paths of the types, with their last names.
    fn paths(&self) -> BTreeMap<String, &'a str> {
        let mut out = BTreeMap::new();
        for (_, source) in &self.sources {
            for item in source.files.iter().flat_map(|file| &file.parsed.items) {
                let is_type = matches!(item.kind, Kind::Type);
                for name in item
                    .names
                    .iter()
                    .filter(|name| is_type && self.is_ours(name))
                {
                    let mut path = vec![source.name.as_str()];
                    path.extend(item.module.iter().map(String::as_str));
                    path.push(name);
                    out.insert(path.join("::"), name.as_str());
                }
            }
        }
        out
    }
}

/// What makes an address of a value, or a value of an address.
const ADDRESS: &[&str] = &[
    "*mut",
    "*const",
    "transmute",
    "into_raw",
    "from_raw",
    "NonNull",
    "c_void",
    "&raw",
    "addr_of",
    "as_mut_ptr",
    "as_ptr",
    "exposed_provenance",
    "expose_provenance",
    "ptr::from_mut",
    "ptr::from_ref",
];

/// Crates that give back what they are given.
const LETS_GO: &[&str] = &["serde", "serde_core", "serde_json", "rand", "itertools"];

/// The path stands in the text, and not as the beginning or end of a longer name.
fn has_path(text: &str, path: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + path.len()..].chars().next();
        !before.is_some_and(|c| is_word(c) || c == ':') && !after.is_some_and(is_word)
    })
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn idents(tokens: TokenStream, out: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                out.insert(ident.to_string());
            }
            TokenTree::Group(group) => idents(group.stream(), out),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::items::fake::krate;

    fn found(text: &str) -> Vec<String> {
        let source = [krate(&[("src/main.rs", text)])];
        reasons("T", &source, &source, &CallGraph::default(), &|_, _| false)
    }

    #[test]
    fn a_type_that_stays_inside_of_calls_is_free() {
        let text = "struct T { a: u8 } impl T { fn new() -> T { T { a: 1 } } } impl Clone for T { fn clone(&self) -> T { T { a: 1 } } }\
                    #[hot] fn f(n: u8) -> u8 { T::new().a + n } static N: u8 = 1; fn main() { f(1); }";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn what_macros_keep_counts() {
        let with = |text: &str| found(&format!("struct T {{ a: u8 }} {text}"));
        let maker =
            "macro_rules! make { ($n:ident) => { struct $n { t: T } } } mod m { make!(W); }";
        assert_eq!(with(maker), ["`make!` at item level (src/main.rs:1)"]);
        let keeper =
            "macro_rules! keep { () => {{ static S: Option<T> = None; }} } fn f<X>() { keep!() }";
        assert_eq!(with(keeper), ["macro `keep` (src/main.rs:1)"]);
        let derived = |text: &str| found(text).len();
        assert_eq!(derived("#[derive(Clone, Debug)] struct T { a: u8 }"), 0);
        assert_eq!(derived("#[derive(Clone, Kept)] struct T { a: u8 }"), 1);
        assert_eq!(derived("#[kept] struct T { a: u8 }"), 1);
        assert_eq!(
            derived("#[repr(C)] #[non_exhaustive] struct T { a: u8 }"),
            0
        );
    }

    #[test]
    fn a_text_that_is_no_rust_may_have_objects() {
        let traits = BTreeSet::from(["A".to_owned()]);
        let source = [krate(&[(
            "src/main.rs",
            "#!/usr/bin/env x\"y\ntrait A {} fn dynamic() {}",
        )])];
        assert_eq!(
            objects(&traits, &source, &source, &CallGraph::default()),
            traits
        );
    }

    #[test]
    fn traits_behind_dyn_may_have_objects() {
        let traits = BTreeSet::from(["A".to_owned(), "B".to_owned(), "C".to_owned()]);
        let objects = |text: &str| {
            let source = [krate(&[("src/main.rs", text)])];
            objects(&traits, &source, &source, &CallGraph::default())
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            objects("trait A {} trait B {} fn f(a: Box<dyn A + Send>) {}"),
            ["A"]
        );
        assert_eq!(
            objects("trait A {} trait B {} trait D: B {} fn f(d: &dyn D) {}"),
            ["B"]
        );
        assert_eq!(
            objects("trait A {} fn f<T: A>(a: impl C) { m!(dyn (B)) }"),
            ["B"]
        );
    }

    #[test]
    fn what_keeps_a_value_is_named() {
        let with = |text: &str| found(&format!("struct T {{ a: u8 }} {text}"));
        assert_eq!(
            with("static S: Option<T> = None;"),
            ["static `S` (src/main.rs:1)"]
        );
        assert_eq!(
            with("struct U(Vec<T>); #[hot] fn f(u: &mut U) {}"),
            ["argument `u` of hot fn `f` (src/main.rs:1)"]
        );
        assert_eq!(
            with("impl T { #[hot] fn f(&self) {} }"),
            ["`self` of hot fn `f` (src/main.rs:1)"]
        );
        assert_eq!(
            with("use self::T as V; #[hot] fn f() -> V { todo!() }"),
            ["the result of hot fn `f` (src/main.rs:1)"]
        );
        assert_eq!(
            with("thread_local! { static S: Option<T> = None; }").len(),
            1
        );
        assert_eq!(with("fn f() { static S: Option<T> = None; }").len(), 1);
        assert_eq!(
            with("fn f(t: T) -> usize { &t as *const T as usize }").len(),
            1
        );
        assert_eq!(
            with("trait A { type B; } struct K; impl A for K { type B = T; } struct W<X: A>(X::B); static S: Option<W<K>> = None;").len(),
            1
        );
    }
}
