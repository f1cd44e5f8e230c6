//! What a user sees of the attribute in a plain build: every refusal, and that the rest passes.

#[test]
fn ui() {
    let tests = trybuild::TestCases::new();
    tests.pass("tests/pass/*.rs");
    tests.compile_fail("tests/ui/*.rs");
}
