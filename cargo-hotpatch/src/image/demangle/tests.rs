//! The parser against symbols that compilers wrote.

use super::{FunctionKey, demangle, parse};

fn free(path: &str) -> FunctionKey {
    FunctionKey::Free {
        path: path.to_owned(),
    }
}

fn method(self_type: &str, trait_name: Option<&str>, name: &str) -> FunctionKey {
    let trait_name = trait_name.map(str::to_owned);
    FunctionKey::Method {
        self_type: self_type.to_owned(),
        trait_name,
        name: name.to_owned(),
    }
}

/// Symbols that rustc 1.95 gave a small crate named `app`.
#[test]
fn real_symbols() {
    let table = &[
        // app::tick
        ("_RNvCslVBeWoScvXm_3app4tick", free("app::tick"), "", false),
        // app::tick::{closure#0}
        (
            "_RNCNvCslVBeWoScvXm_3app4tick0B3_",
            free("app::tick"),
            "::{closure#0}",
            false,
        ),
        // app::world::g::<u8>
        (
            "_RINvNtCslVBeWoScvXm_3app5world1ghEB4_",
            free("app::world::g"),
            "",
            true,
        ),
        // app::world::blocks::nested
        (
            "_RNvNvNtCslVBeWoScvXm_3app5world6blocks6nested",
            free("app::world::blocks::nested"),
            "",
            false,
        ),
        // app::world::blocks::mod2::S
        (
            "_RNvNvNvNtCslVBeWoScvXm_3app5world6blocks4mod21S",
            free("app::world::blocks::mod2::S"),
            "",
            false,
        ),
        // app::LAZY::__rust_std_internal_init_fn
        (
            "_RNvNvCslVBeWoScvXm_3app4LAZY27___rust_std_internal_init_fnB3_",
            free("app::LAZY::__rust_std_internal_init_fn"),
            "",
            false,
        ),
        // app::C::{K#0}::{closure#1}::__RUST_STD_INTERNAL_VAL
        (
            "_RNvNCNKNvCslVBeWoScvXm_3app1C0s_023___RUST_STD_INTERNAL_VAL",
            free("app::C"),
            "::{K#0}::{closure#1}::__RUST_STD_INTERNAL_VAL",
            false,
        ),
        // <app::world::World<u32>>::report
        (
            "_RNvMNtCslVBeWoScvXm_3app5worldINtB2_5WorldmE6reportB4_",
            method("World", None, "report"),
            "",
            true,
        ),
        // <app::world::World<u32>>::report::{closure#0}
        (
            "_RNCNvMNtCslVBeWoScvXm_3app5worldINtB4_5WorldmE6report0B6_",
            method("World", None, "report"),
            "::{closure#0}",
            true,
        ),
        // <app::world::World<u32> as app::world::Draw>::draw
        (
            "_RNvXs_NtCslVBeWoScvXm_3app5worldINtB4_5WorldmENtB4_4Draw4draw",
            method("World", Some("Draw"), "draw"),
            "",
            true,
        ),
        // <app::world::World<u32> as app::world::Draw>::draw::inner
        (
            "_RNvNvXs_NtCslVBeWoScvXm_3app5worldINtB6_5WorldmENtB6_4Draw4draw5inner",
            method("World", Some("Draw"), "draw"),
            "::inner",
            true,
        ),
        // <app::Noisy as core::ops::drop::Drop>::drop
        (
            "_RNvXCslVBeWoScvXm_3appNtB2_5NoisyNtNtNtCsgEmfK2I1SDS_4core3ops4drop4Drop4drop",
            method("Noisy", Some("Drop"), "drop"),
            "",
            false,
        ),
        // <app::world::blocks::L>::go
        (
            "_RNvMNvNtCslVBeWoScvXm_3app5world6blocksNtB2_1L2go",
            method("L", None, "go"),
            "",
            false,
        ),
        // <&mut [u8] as app::world::Draw>::draw
        (
            "_RNvXs0_NtCslVBeWoScvXm_3app5worldQShNtB5_4Draw4draw",
            method("[]", Some("Draw"), "draw"),
            "",
            false,
        ),
        // <[u8; 4] as app::world::Draw>::draw
        (
            "_RNvXs5_NtCslVBeWoScvXm_3app5worldAhj4_NtB5_4Draw4draw",
            method("[]", Some("Draw"), "draw"),
            "",
            false,
        ),
        // <(u32, u8) as app::world::Draw>::draw
        (
            "_RNvXs1_NtCslVBeWoScvXm_3app5worldTmhENtB5_4Draw4draw",
            method("()", Some("Draw"), "draw"),
            "",
            false,
        ),
        // <*const u8 as app::world::Draw>::draw
        (
            "_RNvXs6_NtCslVBeWoScvXm_3app5worldPhNtB5_4Draw4draw",
            method("*", Some("Draw"), "draw"),
            "",
            false,
        ),
        // <fn(u32) -> u8 as app::world::Draw>::draw
        (
            "_RNvXs3_NtCslVBeWoScvXm_3app5worldFmEhNtB5_4Draw4draw",
            method("fn", Some("Draw"), "draw"),
            "",
            false,
        ),
        // <str as app::world::Draw>::draw
        (
            "_RNvXs4_NtCslVBeWoScvXm_3app5worldeNtB5_4Draw4draw",
            method("str", Some("Draw"), "draw"),
            "",
            false,
        ),
        // <dyn core::fmt::Debug + core::marker::Send as app::world::Draw>::draw
        (
            "_RNvXs2_NtCslVBeWoScvXm_3app5worldDNtNtCsgEmfK2I1SDS_4core3fmt5DebugNtNtBA_6marker4SendEL_NtB5_4Draw4draw",
            method("dyn Debug", Some("Draw"), "draw"),
            "",
            false,
        ),
        // <! as std::sys::thread_local::native::lazy::DestroyedState>::register_dtor::<core::cell::RefCell<app::Noisy>>
        (
            "_RINvXNtNtNtNtCsjrHSEGnQ3l9_3std3sys12thread_local6native4lazyzNtB3_14DestroyedState13register_dtorINtNtCsgEmfK2I1SDS_4core4cell7RefCellNtCslVBeWoScvXm_3app5NoisyEEB2b_",
            method("!", Some("DestroyedState"), "register_dtor"),
            "",
            true,
        ),
        // <app::use_all::{closure#0} as core::ops::function::FnOnce<()>>::call_once::{shim:vtable#0}
        (
            "_RNSNvYNCNvCslVBeWoScvXm_3app7use_all0INtNtNtCsgEmfK2I1SDS_4core3ops8function6FnOnceuE9call_once6vtableB8_",
            method("{closure#0}", Some("FnOnce"), "call_once"),
            "::{shim:vtable#0}",
            false,
        ),
        // <<core::cell::Cell<u32>>::get as core::ops::function::FnOnce<(&core::cell::Cell<u32>,)>>::call_once
        (
            "_RNvYNvMs8_NtCsgEmfK2I1SDS_4core4cellINtB8_4CellmE3getINtNtNtBa_3ops8function6FnOnceTRBy_EE9call_onceCslVBeWoScvXm_3app",
            method("get", Some("FnOnce"), "call_once"),
            "",
            true,
        ),
        // core::ptr::drop_in_place::<app::Noisy>
        (
            "_RINvNtCsgEmfK2I1SDS_4core3ptr13drop_in_placeNtCslVBeWoScvXm_3app5NoisyEBI_",
            free("core::ptr::drop_in_place"),
            "",
            true,
        ),
        // <std::thread::builder::Builder>::spawn_unchecked::<app::use_all::{closure#1}, ()>
        (
            "_RINvMNtNtCsjrHSEGnQ3l9_3std6thread7builderNtB3_7Builder15spawn_uncheckedNCNvCslVBeWoScvXm_3app7use_alls_0uEB1c_",
            method("Builder", None, "spawn_unchecked"),
            "",
            true,
        ),
    ];
    for (symbol, key, rest, generic) in table {
        let found = demangle(symbol).unwrap();
        assert_eq!(
            (&found.key, found.rest.as_str(), found.has_generic_args),
            (key, *rest, *generic),
            "{symbol}"
        );
    }
}

#[test]
fn forms_that_other_compilers_write() {
    let legacy =
        parse("app::world::<impl app::Draw for app::world::World<T>>::draw::{{closure}}").unwrap();
    assert_eq!(legacy.key, method("World", Some("Draw"), "draw"));
    assert_eq!(
        (legacy.rest.as_str(), legacy.has_generic_args),
        ("::{{closure}}", true)
    );
    let bound =
        parse("<for<'a> unsafe extern \"C\" fn(&'a u8) -> <u8 as app::A>::B as app::T<u8>>::go")
            .unwrap();
    assert_eq!(
        (bound.key, bound.has_generic_args),
        (method("fn", Some("T"), "go"), true)
    );
    let object = parse("<dyn for<'a> app::T<&'a u8, Item = u8> + core::marker::Send>::go").unwrap();
    assert_eq!(object.key, method("dyn T", None, "go"));
}

#[test]
fn names_that_are_not_rust() {
    for name in [
        "main",
        "memcpy",
        "_ZTV3Foo",
        "",
        ".Lanon.abc.0",
        "_R",
        "_RNv",
    ] {
        assert_eq!(demangle(name), None, "{name}");
    }
    for text in ["", "<", "<a", "<a>", "a::", "::", "<a>>::b", "(", "a)::b"] {
        let _ = parse(text);
    }
}

#[test]
fn suffixes() {
    let cold = demangle("_RNvCslVBeWoScvXm_3app4tick.llvm.123.cold").unwrap();
    assert_eq!(cold.text, "app::tick");
}
