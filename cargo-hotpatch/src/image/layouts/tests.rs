//! What rustc tells of types, and what is told of two versions of them.

use super::{Disagreement, Kind, Layout, LayoutError, Layouts, disagreements, names_one_of};
use crate::image::samples::Samples;

const DEBUG: &str = "-Cdebuginfo=2";

fn of(source: &str, arguments: &[&str]) -> Layouts {
    let object = Samples::new().object(source, &[&[DEBUG], arguments].concat());
    Layouts::read(&object, &["app"]).unwrap()
}

/// A type in a line: its kind, size and alignment, then each part with its offset, number and type.
fn line(layout: &Layout) -> String {
    let parts = layout.members.iter().map(|member| {
        let value = member.value.map(|v| format!("={v}")).unwrap_or_default();
        format!(" {}{value}@{}:{}", member.name, member.offset, member.ty)
    });
    let kind = match layout.kind {
        Kind::Struct => "struct",
        Kind::Enum => "enum",
        Kind::Union => "union",
    };
    format!(
        "{kind} {}/{}{}",
        layout.size,
        layout.align,
        parts.collect::<String>()
    )
}

const PROGRAM: &str = "
    pub mod world {
        pub struct Point { pub x: u32, pub cells: [u16; 4] }
        pub enum Shape { Dot, Line { from: Point, long: u64 } }
        #[repr(i8)] pub enum Flat { Low = -3, High = 7 }
        pub union Bits { pub whole: u32, pub part: f32 }
        pub struct Pair<T>(pub T, pub u8);
        pub trait Named { fn name(&self) -> u32; fn rename(&mut self); }
        impl Named for Point { fn name(&self) -> u32 { self.x } fn rename(&mut self) {} }
    }
    use world::*;
    pub struct Plain(u8);
    struct Other;
    const _: () = { struct Hidden(u8); pub fn hide() { let hidden = Hidden(1); } };
    pub fn all(
        shape: &Shape, flat: Flat, bits: &Bits, pair: Pair<Point>, maybe: Option<Shape>, list: Vec<Point>,
        named: &dyn Named, both: (Point, u8), plain: Plain, nothing: Option<u32>, call: fn(Point) -> Shape,
        grid: [[Point; 2]; 3],
    ) -> u32 {
        let point = &pair.0 as &dyn Named;
        let held = move || grid.len() as u32;
        point.name() + held()
    }
    pub fn main() {}
";

fn expected(layouts: &Layouts) {
    let is = |path: &str, text: &str| {
        let found = layouts.get(path).map(line);
        assert_eq!(found.as_deref(), Some(text), "{path}");
    };
    is("app::world::Point", "struct 12/4 x@8:u32 cells@0:[u16; 4]");
    is(
        "app::world::Shape",
        "enum 24/8 @0:u32 Dot=0@0:app::world::Shape::Dot Line=1@0:app::world::Shape::Line",
    );
    is(
        "app::world::Shape::Line",
        "struct 24/8 from@4:app::world::Point long@16:u64",
    );
    is("app::world::Flat", "enum 1/1 @0:i8 Low=-3@0: High=7@0:");
    is("app::world::Bits", "union 4/4 whole@0:u32 part@0:f32");
    is(
        "app::world::Pair<app::world::Point>",
        "struct 16/4 __0@0:app::world::Point __1@12:u8",
    );
    // `None` is where `Shape` leaves a number unused.
    is(
        "core::option::Option<app::world::Shape>",
        "enum 24/8 @0:u32 None=2@0:core::option::Option<app::world::Shape>::None \
         Some@0:core::option::Option<app::world::Shape>::Some",
    );
    is(
        "(app::world::Point, u8)",
        "struct 16/4 __0@0:app::world::Point __1@12:u8",
    );
    is(
        "&dyn app::world::Named",
        "struct 16/8 pointer@0:*dyn app::world::Named vtable@8:&[usize; 5]",
    );
    let vtable = layouts
        .get("<app::world::Point as app::world::Named>::{vtable_type}")
        .map(|vtable| (vtable.size, vtable.members.len()));
    assert_eq!(vtable, Some((40, 5)));
    is(
        "app::all::{closure_env#0}",
        "struct 72/4 grid@0:[[app::world::Point; 2]; 3]",
    );
    is("app::Plain", "struct 1/1 __0@0:u8");
    let has = |path: &str| layouts.types.keys().any(|known| known.contains(path));
    assert!(has("alloc::vec::Vec<app::world::Point"));
    assert!(!has("Option<u32>"), "nothing of the program is in it");
    assert!(!has("Hidden"), "its name is not its own");
    assert!(!has("?"), "all parts have a type with a name");
}

#[test]
fn types_are_read_from_objects_and_linked_files() {
    let samples = Samples::new();
    let read = |data: &[u8]| Layouts::read(data, &["app"]).unwrap();
    let object = read(&samples.object(PROGRAM, &[DEBUG]));
    expected(&object);
    for flags in [
        &["-Cdwarf-version=5"][..],
        &["-Clink-arg=-Wl,--compress-debug-sections=zlib"],
        &["-Ccodegen-units=4"],
    ] {
        let arguments = [&["--crate-type=bin", DEBUG, "-Clink-dead-code"], flags].concat();
        let program = samples.rustc(PROGRAM, "program", &arguments);
        expected(&read(&std::fs::read(program).unwrap()));
    }
    let newer = samples.object(PROGRAM, &[DEBUG, "-Cdwarf-version=5"]);
    assert_eq!(read(&newer), object);
}

#[test]
fn optimised_code_has_the_same_types() {
    let optimised = of(PROGRAM, &["-Copt-level=3"]);
    let found = disagreements(&of(PROGRAM, &[]), &optimised, &[]);
    assert_eq!(found, []);
    assert!(optimised.get("app::world::Point").is_some());
}

#[test]
fn without_debug_information_about_types_nothing_is_known() {
    let samples = Samples::new();
    for level in ["0", "line-tables-only", "1"] {
        let object = samples.object(PROGRAM, &[&format!("-Cdebuginfo={level}")]);
        let layouts = Layouts::read(&object, &["app"]).unwrap();
        assert!(layouts.is_empty(), "{level}");
        assert_eq!((layouts.len(), layouts.has_units()), (0, level != "0"));
    }
}

#[test]
fn a_name_that_only_ends_like_a_crate_is_none_of_it() {
    let source = "pub mod other_app { pub struct A(u8); } pub mod app { pub struct B(u8); } \
                  pub fn f(a: other_app::A, b: app::B) {}";
    let object = Samples::new().object(source, &[DEBUG, "--crate-name=lib"]);
    assert!(Layouts::read(&object, &["app"]).unwrap().is_empty());
    assert_eq!(Layouts::read(&object, &["lib"]).unwrap().len(), 2);
}

/// What differs between two versions of a crate, each as `type [member]: what`.
fn between(old: &str, new: &str) -> Vec<String> {
    let show = |found: &Disagreement| {
        let member = found.member.as_ref().map(|m| format!(" [{m}]"));
        format!("{}{}: {}", found.ty, member.unwrap_or_default(), found.what)
    };
    let found = disagreements(&of(old, &[]), &of(new, &[]), &[]);
    found.iter().map(show).collect()
}

#[test]
fn every_change_of_a_type_is_told() {
    for (old, new, told) in [
        ("a: u8", "a: u8", None),
        (
            "a: u8",
            "a: u8, b: u64",
            Some("app::T [b]: field `b` is new"),
        ),
        ("a: u8, b: u8", "a: u8", Some("app::T: field `b` is gone")),
        (
            "a: u32",
            "a: f32",
            Some("app::T [a]: field `a` was `u32` and is `f32`"),
        ),
        (
            "a: [u8; 4]",
            "a: [u8; 8]",
            Some("app::T [a]: field `a` was `[u8; 4]` and is `[u8; 8]`"),
        ),
        (
            "a: u8, b: u8",
            "b: u8, a: u8",
            Some("app::T [b]: field `b` is in another place"),
        ),
        (
            "a: &'static u8",
            "a: *const u8",
            Some("app::T [a]: field `a` was `&u8` and is `*const u8`"),
        ),
        (
            "a: Option<Box<u8>>",
            "a: Box<u8>",
            Some(
                "app::T [a]: field `a` was `core::option::Option<alloc::boxed::Box<u8, alloc::alloc::Global>>` \
                 and is `alloc::boxed::Box<u8, alloc::alloc::Global>`",
            ),
        ),
    ] {
        let source = |fields| format!("pub struct T {{ {fields} }} pub fn f(t: &T) {{}}");
        let found = between(&source(old), &source(new));
        assert_eq!(found.first().map(String::as_str), told, "{old} -> {new}");
    }
    for (old, new, told) in [
        (
            "#[repr(Rust)] pub struct T(u8, u32);",
            "#[repr(C)] pub struct T(u8, u32);",
            "app::T [0]: field `0` was 4 and is 0 bytes in",
        ),
        (
            "pub struct T(u8);",
            "#[repr(align(4))] pub struct T(u8);",
            "app::T: it was 1 and is 4 bytes large",
        ),
        (
            "#[repr(align(4))] pub struct T([u8; 16]);",
            "#[repr(align(8))] pub struct T([u8; 16]);",
            "app::T: it was aligned to 4 and is to 8",
        ),
        (
            "pub enum T { A, B }",
            "pub enum T { A, B, C }",
            "app::T [C]: variant `C` is new",
        ),
        (
            "pub enum T { A = 1, B }",
            "pub enum T { A = 2, B }",
            "app::T [A]: variant `A` was number 1 and is number 2",
        ),
        (
            "pub enum T { A(u8), B { x: u8 } }",
            "pub enum T { A(u8), B { x: i8 } }",
            "app::T [B.x]: field `x` was `u8` and is `i8`",
        ),
        (
            "#[repr(u8)] pub enum T { A, B }",
            "#[repr(u16)] pub enum T { A, B }",
            "app::T: what tells its variants apart was `u8` and is `u16`",
        ),
        (
            "pub struct T { a: u8 }",
            "pub enum T { A(u8) }",
            "app::T: it was a struct and is an enum",
        ),
        (
            "pub struct T<const N: usize = 3>([u8; N]);",
            "pub struct T<const N: usize = 3>(u8, [u8; N]);",
            "app::T<3> [1]: field `1` is new",
        ),
    ] {
        let source = |item| format!("{item} pub fn f(t: &T) {{}}");
        let found = between(&source(old), &source(new));
        assert_eq!(
            found.first().map(String::as_str),
            Some(told),
            "{old} -> {new}"
        );
    }
}

#[test]
fn the_cause_is_named_before_what_follows_from_it() {
    let source = |variants| {
        format!(
            "pub enum Inner {{ {variants} }}
             pub struct Outer {{ a: Option<Inner>, b: Vec<Inner> }}
             pub fn f(o: &Outer, m: Option<Option<Inner>>) {{}}"
        )
    };
    let found = between(&source("A, B"), &source("A, B, C"));
    assert_eq!(found[0], "app::Inner [C]: variant `C` is new");
    let niche =
        "core::option::Option<app::Inner> [None]: variant `None` was number 2 and is number 3";
    assert!(found.contains(&niche.to_owned()), "{found:?}");
    // No field of `Outer` is any different.
    assert!(!found.iter().any(|what| what.starts_with("app::Outer")));
}

#[test]
fn a_vtable_has_as_many_entries_as_before() {
    let source = |methods| {
        format!(
            "pub trait Tr {{ {methods} }} pub fn f(t: &dyn Tr) {{}} pub fn g(t: Box<dyn Tr>) {{}}"
        )
    };
    let found = between(
        &source("fn a(&self);"),
        &source("fn a(&self); fn b(&self) {}"),
    );
    assert_eq!(
        found[0],
        "&dyn app::Tr [vtable]: field `vtable` was `&[usize; 4]` and is `&[usize; 5]`"
    );
}

#[test]
fn what_a_patch_brings_is_known_to_later_ones() {
    let version = |field| {
        of(
            &format!("pub struct New(pub {field}); pub fn f(n: New) {{}}"),
            &[],
        )
    };
    let mut known = of("pub struct Old(u8); pub fn f(o: Old) {}", &[]);
    assert_eq!(disagreements(&known, &version("u8"), &[]), []);
    known.learn(version("u8"));
    assert_eq!(disagreements(&known, &version("u8"), &[]), []);
    assert_eq!(disagreements(&known, &version("u16"), &[]).len(), 1);
    assert!(known.get("app::Old").is_some());
}

#[test]
fn a_type_without_values_may_change_and_is_then_known_anew() {
    let version = |field: &str| {
        let types = format!("pub struct Free(pub {field}); pub struct Freedom(pub {field});");
        of(
            &format!("{types} pub fn f(free: Option<Free>, other: Freedom) {{}}"),
            &[],
        )
    };
    let mut known = version("u8");
    let names = std::collections::BTreeSet::from(["Free".to_owned()]);
    let found = disagreements(&known, &version("u16"), &[]);
    let kept = found
        .iter()
        .filter(|found| !names_one_of(&found.ty, &names));
    let kept: Vec<&str> = kept.map(|found| found.ty.as_str()).collect();
    assert_eq!(kept, ["app::Freedom"]);
    known.forget(&names);
    assert!(known.get("app::Free").is_none());
    assert!(known.get("app::Freedom").is_some());
    known.learn(of(
        "pub struct Free(pub u16); pub fn f(free: Option<Free>) {}",
        &[],
    ));
    let later = of("pub struct Free(pub u8); pub fn f(free: Free) {}", &[]);
    assert_eq!(disagreements(&known, &later, &[]).len(), 1);
}

#[test]
fn two_crates_of_one_name_say_nothing_about_their_types() {
    let samples = Samples::new();
    let library = |field: &str, version: &str| {
        let source = format!(
            "pub struct Twice(pub {field}); pub struct Same(pub u8); pub fn f(t: Twice, s: Same) {{}}"
        );
        let file = format!("lib{version}.rlib");
        let metadata = format!("-Cmetadata={version}");
        let flags = ["--crate-type=rlib", "--crate-name=dep", DEBUG, &metadata];
        samples.rustc(&source, &file, &flags);
        format!("--extern={version}={}", samples.path(&file).display())
    };
    let one = library("u8", "one");
    let two = library("u16", "two");
    let source =
        "fn main() { one::f(one::Twice(1), one::Same(1)); two::f(two::Twice(1), two::Same(1)); }";
    let program = samples.rustc(source, "program", &["--crate-type=bin", DEBUG, &one, &two]);
    let known = Layouts::read(&std::fs::read(program).unwrap(), &["dep"]).unwrap();
    assert_eq!(known.get("dep::Twice"), None);
    assert!(known.get("dep::Same").is_some());
    let patch = "pub struct Twice(pub u32); pub fn f(t: Twice) {}";
    let patch = samples.object(patch, &[DEBUG, "--crate-name=dep"]);
    let patch = Layouts::read(&patch, &["dep"]).unwrap();
    assert_eq!(disagreements(&known, &patch, &[]), []);
}

/// What a closure, an `async fn` and a closure of a method captured, in two versions.
fn captured(by: &str) -> Layouts {
    of(
        &format!(
            "pub struct S;
             impl S {{ pub fn tail(&self, by: {by}) -> impl FnMut() -> {by} {{ move || by }} }}
             pub fn each<T>(list: &[T], by: {by}) -> usize {{ list.iter().map(|_| by).count() }}
             pub async fn later(by: {by}) {{ std::future::ready(()).await; drop(by) }}
             pub fn f(s: S) {{ s.tail(1)(); each(&[s], 1); let _ = later(1); }}"
        ),
        &[],
    )
}

#[test]
fn what_closures_captured_is_compared_where_old_code_is_about_them() {
    let (old, new) = (captured("u8"), captured("u64"));
    let found = |bound: &[&str]| -> Vec<String> {
        let found = disagreements(&old, &new, bound);
        found.iter().map(|found| found.ty.clone()).collect()
    };
    assert_eq!(found(&[]), Vec::<String>::new());
    assert_eq!(found(&["_RNvCsdef_3app5other"]), Vec::<String>::new());
    // The method that makes it, and the closure's own body.
    let tail = "app::{impl#0}::tail::{closure_env#0}";
    assert_eq!(found(&["_RNvMCsdef_3appNtB2_1S4tail"]), [tail]);
    assert_eq!(found(&["_RNCNvMCsdef_3appNtB4_1S4tail0B4_"]), [tail]);
    // A function of the standard library for it.
    let instance = "_RINvNtCsdef_4core3ptr13drop_in_placeNCNvCsdef_3app5later0EBO_";
    let later = found(&[instance]);
    assert!(
        later
            .iter()
            .all(|ty| ty.contains("app::later::{async_fn_env#0}")),
        "{later:?}"
    );
    assert!(!later.is_empty());
    // A patch of another version may be in the process beside the program.
    let mut both = old.clone();
    both.learn(new.clone());
    let again = disagreements(&both, &new, &["_RNvMCsdef_3appNtB2_1S4tail"]);
    assert_eq!(again[0].what, "there are several versions of it");
    assert_eq!(disagreements(&both, &new, &[]), []);
}

#[test]
fn damaged_files_are_errors_not_panics() {
    assert!(matches!(
        Layouts::read(b"!<arch>", &["app"]),
        Err(LayoutError::File(_))
    ));
    let object = Samples::new().object("pub struct A(u8, [u16; 3]); pub fn f(a: A) {}", &[DEBUG]);
    for cut in (0..object.len()).step_by(997) {
        let _ = Layouts::read(&object[..cut], &["app"]);
        let mut broken = object.clone();
        broken[cut..]
            .iter_mut()
            .step_by(13)
            .for_each(|byte| *byte = byte.wrapping_add(1));
        let _ = Layouts::read(&broken, &["app"]);
    }
}
