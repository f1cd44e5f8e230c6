//! What rustc tells of functions, statics and types, and what an edit of types concerns.

use std::collections::{BTreeMap, BTreeSet};

use super::changed_types::{
    ChangedTypes, changed_environments, changed_signatures, changed_traits,
};
use super::facts::{Facts, FunctionFacts};
use crate::image::samples::Samples;

fn of(source: &str, arguments: &[&str]) -> Facts {
    let fixed = ["-Cdebuginfo=2", "-Clink-dead-code"];
    let object = Samples::new().object(source, &[&fixed, arguments].concat());
    Facts::read(&object, &["app"]).unwrap()
}

const PROGRAM: &str = "
    use std::cell::Cell;
    pub struct A { pub x: u8, pub y: u32 }
    pub struct Holder { a: A }
    pub trait Shape { fn area(&self) -> u32; fn name(&self) -> u32 { 1 } }
    impl Shape for A { fn area(&self) -> u32 { self.y } }
    impl Drop for A { fn drop(&mut self) { println!() } }
    pub static S: A = A { x: 1, y: 2 };
    std::thread_local! { static T: Cell<u32> = const { Cell::new(1) }; }
    #[inline(always)] pub fn inl(a: &A) -> u32 { let inner = a.y + 1; inner * 2 }
    impl A {
        pub fn m(&self, k: u8) -> impl Fn(u32) -> u32 + use<> { let b = self.y; move |z| z + b + k as u32 }
        pub async fn later(self, n: u32) -> u32 { std::future::ready(()).await; n + self.y }
    }
    pub fn none() -> u32 { let f = |a: u32| a + 1; f(1) }
    pub fn f(
        a: A, d: &dyn Shape, c: &mut Vec<A>, b: Box<dyn Fn(&A) -> u8>, p: fn(A) -> A, h: *mut Holder,
    ) -> Option<u32> {
        let sum = inl(&a) + d.area();
        for i in 0..sum { c.push(A { x: 1, y: i }); }
        b(&a);
        T.with(|t| t.set(3));
        let shape: &dyn Shape = std::hint::black_box(&a);
        Some(sum + shape.name())
    }
    #[inline(never)] pub fn same<T: Clone>(t: &T) -> T { t.clone() }
    pub fn text() -> String { same(&String::new()) }
";

/// The function with this demangled name.
fn function<'a>(facts: &'a Facts, name: &str) -> &'a FunctionFacts {
    let is_it = |symbol: &str| format!("{:#}", rustc_demangle::demangle(symbol)) == name;
    let found = facts.functions.iter().find(|(symbol, _)| is_it(symbol));
    found.unwrap_or_else(|| panic!("{name}")).1
}

#[test]
fn functions_statics_and_vtables_are_read_from_an_object() {
    for flags in [
        &["-Copt-level=0", "-Cdwarf-version=4"],
        &["-Copt-level=0", "-Cdwarf-version=5"],
        &["-Copt-level=3", "-Cdwarf-version=4"],
        &["-Copt-level=3", "-Cdwarf-version=5"],
    ] {
        let facts = of(PROGRAM, flags);
        let f = function(&facts, "app::f");
        assert_eq!(
            f.signature,
            [
                "core::option::Option<u32>",
                "app::A",
                "&dyn app::Shape",
                "&mut alloc::vec::Vec<app::A, alloc::alloc::Global>",
                "alloc::boxed::Box<dyn core::ops::function::Fn<(&app::A), Output=u8>, alloc::alloc::Global>",
                "fn(app::A) -> app::A",
                "*mut app::Holder",
            ]
        );
        assert!(f.file.as_deref().unwrap().ends_with("/app.rs"), "{f:?}");
        assert!(f.file.as_deref().unwrap().starts_with('/'), "{f:?}");
        assert_eq!(f.line, 16);
        let has = |name: &str, ty: &str| f.locals.contains(&(name.to_owned(), ty.to_owned()));
        assert!(has("sum", "u32") && has("a", "app::A") && has("shape", "&dyn app::Shape"));
        // At the lowest level too, and in an abstract entry only.
        assert!(
            has("inner", "u32") && has("a", "&app::A"),
            "{flags:?} {f:?}"
        );
        let same = function(&facts, "app::same::<alloc::string::String>");
        assert_eq!(same.generics, ["alloc::string::String"]);
        let none = function(&facts, "app::none::{closure#0}");
        let environment = "app::none::{closure_env#0}".to_owned();
        assert_eq!(none.signature.last(), Some(&environment));
        let later = function(&facts, "<app::A>::later::{closure#0}");
        let last = later.signature.last().unwrap();
        assert!(last.ends_with("::later::{async_fn_env#0}"), "{last}");
        assert!(facts.layouts.first(last).is_some(), "{last}");
        let statics: Vec<(String, &str, bool)> = facts
            .statics
            .iter()
            .map(|(symbol, facts)| {
                let name = format!("{:#}", rustc_demangle::demangle(symbol));
                (name, facts.ty.as_str(), facts.thread_local)
            })
            .collect();
        assert!(statics.contains(&("app::S".to_owned(), "app::A", false)));
        assert!(statics.iter().any(|(name, ty, is_local)| {
            name.starts_with("app::T::") && *ty == "core::cell::Cell<u32>" && *is_local
        }));
        let slots = &facts.vtables["<app::A as app::Shape>::{vtable}"];
        let slots: Vec<String> = slots
            .iter()
            .map(|slot| format!("{:#}", rustc_demangle::demangle(slot)))
            .collect();
        assert_eq!(
            slots,
            [
                "core::ptr::drop_in_place::<app::A>",
                "",
                "",
                "<app::A as app::Shape>::area",
                "<app::A as app::Shape>::name",
            ]
        );
    }
}

#[test]
fn damaged_objects_are_errors_not_panics() {
    let object = Samples::new().object(PROGRAM, &["-Cdebuginfo=2"]);
    for cut in (0..object.len()).step_by(2997) {
        let _ = Facts::read(&object[..cut], &["app"]);
        let mut broken = object.clone();
        broken[cut..]
            .iter_mut()
            .step_by(13)
            .for_each(|byte| *byte = byte.wrapping_add(1));
        let _ = Facts::read(&broken, &["app"]);
    }
}

/// What changed between two versions of a crate, with the facts of the new one.
fn between(old: &str, new: &str) -> (ChangedTypes, Facts, Facts) {
    let (old, new) = (of(old, &[]), of(new, &[]));
    let traits = changed_traits(&old.vtables, &new.vtables);
    let changed = {
        let environments = changed_environments(&old, &new);
        ChangedTypes::between(&old.layouts, &new.layouts, &traits, &environments)
    };
    (changed, old, new)
}

/// Names of the functions that mention what changed: by their types, and by their symbols.
fn mentioning(changed: &ChangedTypes, facts: &Facts) -> (BTreeSet<String>, BTreeSet<String>) {
    let name = |symbol: &String| format!("{:#}", rustc_demangle::demangle(symbol));
    let by_type = facts.functions.iter().filter(|(_, facts)| {
        let mut types = facts.signature.iter().chain(&facts.generics);
        types.any(|ty| changed.mentioned_in(ty))
    });
    let by_symbol = facts.functions.keys();
    (
        by_type.map(|(symbol, _)| name(symbol)).collect(),
        by_symbol
            .filter(|symbol| changed.mentioned_in_symbol(symbol))
            .map(name)
            .collect(),
    )
}

const TYPES: &str = "
    pub struct T { TFIELDS pub a: u8 }
    pub enum E { VARIANTS A, B(u32) }
    pub struct Around { t: T }
    pub struct Far { next: Option<Box<Around>> }
    pub struct Apart(u8);
    pub struct Tail;
    pub fn vec(v: &mut Vec<T>, t: T) { v.push(t) }
    pub fn other(v: &mut Vec<Apart>, a: Apart) { v.push(a) }
    pub fn size<X>() -> usize { std::mem::size_of::<X>() }
    pub fn sizes() -> usize { size::<T>() + size::<Apart>() }
    pub fn call(f: Box<dyn Fn(&T) -> u8>, g: fn(u8) -> u8) {}
    pub fn far(f: &Far) {}
    pub fn e(e: &[E]) {}
    pub fn apart(a: &Apart) -> u8 { a.0 }
    impl T { pub fn of(n: u8) -> u8 { n } }
    pub fn make(n: u32, k: u8) -> impl Fn(u32) -> u32 { INSERTED move |x| CAPTURED }
    impl Tail { pub fn inner(&self, n: u32, k: u8) -> u32 { let c = move || INNER; c() } }
    pub async fn later(n: u32) -> u32 { STATE std::future::ready(()).await; n + USED }
    pub static ST: T = T { TVALUES a: 1 };
    pub trait Tr { METHODS }
    impl Tr for Apart { IMPLS }
    pub fn dynamic(t: &dyn Tr) -> u32 { t.one() }
    pub fn vtable(a: &Apart) -> u32 { dynamic(a) }
";

fn version(edits: &[(&str, &str)]) -> String {
    let mut source = TYPES.to_owned();
    let all = edits.iter().chain(&[
        ("TFIELDS", ""),
        ("TVALUES", ""),
        ("VARIANTS", ""),
        ("INSERTED", ""),
        ("INNER", "n"),
        ("CAPTURED", "x + n"),
        ("STATE", ""),
        ("USED", "1"),
        ("METHODS", "fn one(&self) -> u32; fn two(&self) -> u32;"),
        (
            "IMPLS",
            "fn one(&self) -> u32 { 1 } fn two(&self) -> u32 { 2 }",
        ),
    ]);
    for (mark, text) in all {
        source = source.replace(mark, text);
    }
    source
}

#[test]
fn what_mentions_a_changed_type_is_known() {
    let new_field = [("TFIELDS", "pub new: u64,"), ("TVALUES", "new: 0,")];
    for (edits, roots, are, are_not) in [
        (&[][..], &[][..], &[][..], &["app::vec", "app::make"][..]),
        (
            &new_field,
            &["app::T"],
            &[
                "app::vec",
                "<alloc::vec::Vec<app::T>>::push",
                "app::size::<app::T>",
                "app::call",
                "app::far",
            ],
            &[
                "app::other",
                "<alloc::vec::Vec<app::Apart>>::push",
                "app::size::<app::Apart>",
                "app::apart",
                "app::e",
                "app::make",
                "app::sizes",
                "app::dynamic",
            ],
        ),
        (
            &[("VARIANTS", "New(u64),")],
            &["app::E"],
            &["app::e"],
            &["app::vec", "app::far", "app::make"],
        ),
        (
            &[("CAPTURED", "x + n + k as u32")],
            &["app::make::{closure_env#0}"],
            &["app::make", "app::make::{closure#0}"],
            &["app::vec", "app::later", "<app::Tail>::inner::{closure#0}"],
        ),
        (
            &[("INSERTED", "let y = k; let _c = move || y + 1;")],
            &["app::make::{closure_env#0}"],
            &["app::make::{closure#0}"],
            &["app::vec", "app::later"],
        ),
        (
            &[("INNER", "n + k as u32")],
            &["app::{impl#1}::inner::{closure_env#0}"],
            &["<app::Tail>::inner::{closure#0}"],
            &["app::make::{closure#0}", "<app::Tail>::inner", "app::vec"],
        ),
        (
            &[("STATE", "let kept = vec![n];"), ("USED", "kept[0]")],
            &["app::later::{async_fn_env#0}"],
            &["app::later", "app::later::{closure#0}"],
            &["app::make", "app::vec"],
        ),
        (
            &[("METHODS", "fn two(&self) -> u32; fn one(&self) -> u32;")],
            &["dyn app::Tr"],
            &["app::dynamic"],
            &["app::vtable", "app::apart"],
        ),
        (
            &[(
                "METHODS",
                "fn one(&self) -> u32; fn two(&self) -> u32; fn three(&self) {}",
            )],
            &["dyn app::Tr"],
            &["app::dynamic"],
            &["app::vtable", "app::apart"],
        ),
    ] {
        let (changed, _, new) = between(&version(&[]), &version(edits));
        let found: Vec<&str> = changed.roots().collect();
        match roots.first() {
            Some(root) => assert_eq!(found.first(), Some(root), "{edits:?} {found:?}"),
            None => assert!(changed.is_empty(), "{found:?}"),
        }
        let (by_type, by_symbol) = mentioning(&changed, &new);
        for name in are {
            let is_known = by_type.contains(*name) || by_symbol.contains(*name);
            assert!(is_known, "{edits:?} {name} {by_type:?} {by_symbol:?}");
        }
        for name in are_not {
            function(&new, name);
            assert!(!by_type.contains(*name), "{edits:?} {name}");
            assert!(!by_symbol.contains(*name), "{edits:?} {name}");
        }
        let statics = new.statics.values();
        let statics = statics.filter(|facts| changed.mentioned_in(&facts.ty));
        assert_eq!(statics.count() > 0, roots == ["app::T"], "{edits:?}");
    }
}

#[test]
fn symbols_tell_what_types_do() {
    let new_field = [("TFIELDS", "pub new: u64,"), ("TVALUES", "new: 0,")];
    let (changed, _, new) = between(&version(&[]), &version(&new_field));
    let (_, by_symbol) = mentioning(&changed, &new);
    for name in [
        "<alloc::vec::Vec<app::T>>::push",
        "app::size::<app::T>",
        "<app::T>::of",
    ] {
        assert!(by_symbol.contains(name), "{name} {by_symbol:?}");
    }
}

#[test]
fn a_trait_whose_methods_are_about_a_changed_type_changes_with_it() {
    let source = |field: &str, n: &str| {
        format!(
            "pub struct T {{ {field} a: u8 }} pub struct S;
             pub trait Tr {{ fn m(&self, t: &T); }} impl Tr for S {{ fn m(&self, t: &T) {{}} }}
             pub trait Plain {{ fn n(&self{n}); }} impl Plain for T {{ fn n(&self{n}) {{}} }}
             pub fn f(s: &S) -> &dyn Tr {{ s }} pub fn g(t: &T) -> &dyn Plain {{ t }}"
        )
    };
    let (changed, old, new) = between(&source("", ""), &source("b: u64,", ", n: u8"));
    let of = |facts: &'static str| facts.to_owned();
    let about = changed.traits_about(&new.vtables, |symbol| new.functions.get(symbol));
    // What a method is called on does not count: a value's own vtable has the methods for it.
    assert_eq!(about, BTreeSet::from([of("app::Tr"),]));
    let signatures = changed_signatures(
        &old.vtables,
        &new.vtables,
        |symbol| old.functions.get(symbol),
        |symbol| new.functions.get(symbol),
    );
    assert_eq!(signatures, BTreeSet::from([of("app::Plain")]));
    let again = ChangedTypes::between(&old.layouts, &new.layouts, &about, &BTreeSet::new());
    assert!(again.mentioned_in("&dyn app::Tr") && !changed.mentioned_in("&dyn app::Tr"));
}

#[test]
fn only_the_methods_of_a_vtable_matter() {
    let vtables = |slots: &[&str]| {
        let slots = slots.iter().map(|slot| (*slot).to_owned()).collect();
        BTreeMap::from([("<app::A as app::Tr<u8>>::{vtable}".to_owned(), slots)])
    };
    let (own, default, drop) = (
        "_RNvXCs1_3appNtB2_1ANtB2_2Tr1m",
        "_RNvYNtCs1_3app1ANtB2_2Tr1m",
        "_RINvNtCs1_4core3ptr13drop_in_placeNtCs2_3app1AEBI_",
    );
    let other = "_RNvXCs1_3appNtB2_1ANtB2_2Tr1n";
    for (old, new, changed) in [
        (&["", "", "", own][..], &["", "", "", own][..], false),
        (&["", "", "", own], &["", "", "", default], false),
        (&["", "", "", own], &[drop, "", "", own], false),
        (&["", "", "", own], &["", "", "", other], true),
        (&["", "", "", own], &["", "", "", own, other], true),
        (&["", "", "", own, other], &["", "", "", "", other], true),
    ] {
        let found = changed_traits(&vtables(old), &vtables(new));
        assert_eq!(found.contains("app::Tr"), changed, "{old:?} {new:?}");
    }
}

/// The time it takes, for an object and a crate given in the environment.
#[test]
#[ignore = "measures an object that has to be given"]
fn how_long_an_object_takes() {
    let object = std::fs::read(std::env::var("OBJECT").unwrap()).unwrap();
    let krate = std::env::var("CRATE").unwrap();
    for _ in 0..5 {
        let start = std::time::Instant::now();
        let facts = Facts::read(&object, &[&krate]).unwrap();
        let whole = start.elapsed();
        let layouts = &facts.layouts;
        let start = std::time::Instant::now();
        let none = ChangedTypes::between(layouts, layouts, &BTreeSet::new(), &BTreeSet::new());
        assert!(none.is_empty() && changed_environments(&facts, &facts).is_empty());
        let compared = start.elapsed();
        let locals = facts.functions.values().map(|facts| facts.locals.len());
        eprintln!(
            "{} functions, {} locals, {} types: {whole:?}, compared {compared:?}",
            facts.functions.len(),
            locals.sum::<usize>(),
            layouts.iter().count(),
        );
        let root = layouts
            .iter()
            .map(|(path, _)| path)
            .find(|path| !path.contains('<'));
        let changed = ChangedTypes::between(
            layouts,
            layouts,
            &BTreeSet::new(),
            &root.into_iter().cloned().collect(),
        );
        let start = std::time::Instant::now();
        let types = facts.functions.values().flat_map(|facts| &facts.locals);
        let found = types.filter(|(_, ty)| changed.mentioned_in(ty)).count();
        let types = start.elapsed();
        let start = std::time::Instant::now();
        let symbols = facts
            .functions
            .keys()
            .filter(|name| changed.mentioned_in_symbol(name));
        let symbols = symbols.count();
        eprintln!(
            "{found} locals in {types:?}, {symbols} symbols in {:?}",
            start.elapsed()
        );
    }
}

/// A vtable to which nothing but a static refers has no entry in debug information.
#[test]
fn vtables_of_statics_are_known_by_their_shape() {
    let read = |methods: &str| {
        let source = format!(
            "pub trait Tr: Sync {{ {methods} }} pub struct A(pub u32); impl Tr for A {{ fn m(&self) -> u32 {{ self.0 }} fn n(&self) -> u32 {{ 7 }} }}
            pub static KEPT: &dyn Tr = &A(3);"
        );
        let object = Samples::new().object(&source, &["-g", "-Clink-dead-code"]);
        Facts::read(&object, &["app"]).unwrap()
    };
    let order = [
        "fn m(&self) -> u32; fn n(&self) -> u32;",
        "fn n(&self) -> u32; fn m(&self) -> u32;",
    ];
    let [one, other] = order.map(read);
    assert!(
        one.vtables.contains_key("<app::A as app::Tr>::{vtable}"),
        "{:?}",
        one.vtables
    );
    let found = changed_traits(&one.vtables, &other.vtables);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["app::Tr"]);
    assert!(changed_traits(&one.vtables, &one.vtables).is_empty());
}
