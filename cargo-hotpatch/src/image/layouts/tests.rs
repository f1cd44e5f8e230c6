//! What rustc tells of types, and what is told of two versions of them.

use super::compare::Disagreement;
use super::{Kind, Layout, LayoutError, Layouts, differing};
use crate::image::samples::Samples;
use crate::object::facts::Facts;

const DEBUG: &str = "-Cdebuginfo=2";

fn read(object: &[u8], krate: &str) -> Result<Layouts, LayoutError> {
    Ok(Facts::read(object, &[krate])?.layouts)
}

fn of(source: &str, arguments: &[&str]) -> Layouts {
    let object = Samples::new().object(source, &[&[DEBUG], arguments].concat());
    read(&object, "app").unwrap()
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
        let found = layouts.first(path).map(line);
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
        .first("<app::world::Point as app::world::Named>::{vtable_type}")
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
fn types_are_read_from_objects() {
    let object = of(PROGRAM, &[]);
    expected(&object);
    assert_eq!(of(PROGRAM, &["-Cdwarf-version=5"]), object);
}

#[test]
fn optimised_code_has_the_same_types() {
    let optimised = of(PROGRAM, &["-Copt-level=3"]);
    let found = differing(&of(PROGRAM, &[]), &optimised);
    assert_eq!(found, []);
    assert!(optimised.first("app::world::Point").is_some());
}

#[test]
fn without_debug_information_about_types_nothing_is_known() {
    let samples = Samples::new();
    for level in ["0", "line-tables-only", "1"] {
        let object = samples.object(PROGRAM, &[&format!("-Cdebuginfo={level}")]);
        assert_eq!(read(&object, "app").unwrap(), Layouts::default(), "{level}");
    }
}

#[test]
fn a_name_that_only_ends_like_a_crate_is_none_of_it() {
    let source = "pub mod other_app { pub struct A(u8); } pub mod app { pub struct B(u8); } \
                  pub fn f(a: other_app::A, b: app::B) {}";
    let object = Samples::new().object(source, &[DEBUG, "--crate-name=lib"]);
    let count = |krate| read(&object, krate).unwrap().iter().count();
    assert_eq!((count("app"), count("lib")), (0, 2));
}

/// What differs between two versions of a crate, each as `type [member]: what`.
fn between(old: &str, new: &str) -> Vec<String> {
    let show = |found: &Disagreement| {
        let member = found.member.as_ref().map(|m| format!(" [{m}]"));
        format!("{}{}: {}", found.ty, member.unwrap_or_default(), found.what)
    };
    let found = differing(&of(old, &[]), &of(new, &[]));
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
    assert_eq!(differing(&known, &version("u8")), []);
    known.learn(version("u8"));
    assert_eq!(differing(&known, &version("u8")), []);
    assert_eq!(differing(&known, &version("u16")).len(), 1);
    assert!(known.first("app::Old").is_some());
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
fn what_closures_captured_is_compared() {
    let (old, new) = (captured("u8"), captured("u64"));
    let found = differing(&old, &new);
    let tail = "app::{impl#0}::tail::{closure_env#0}";
    assert!(found.iter().any(|found| found.ty == tail), "{found:?}");
    // A patch of another version may be in the process beside the program.
    let mut both = old.clone();
    both.learn(new.clone());
    let again = differing(&both, &new);
    let again = again.iter().find(|found| found.ty == tail).unwrap();
    assert_eq!(again.what, "there are several versions of it");
}

#[test]
fn damaged_files_are_errors_not_panics() {
    assert!(matches!(read(b"!<arch>", "app"), Err(LayoutError::File(_))));
    let object = Samples::new().object("pub struct A(u8, [u16; 3]); pub fn f(a: A) {}", &[DEBUG]);
    for cut in (0..object.len()).step_by(997) {
        let _ = read(&object[..cut], "app");
        let mut broken = object.clone();
        broken[cut..]
            .iter_mut()
            .step_by(13)
            .for_each(|byte| *byte = byte.wrapping_add(1));
        let _ = read(&broken, "app");
    }
}
