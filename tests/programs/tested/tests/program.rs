use std::process::Command;

#[test]
fn the_program_answers() {
    let program = env!("CARGO_BIN_EXE_tested");
    let said = Command::new(program).output().unwrap().stdout;
    assert_eq!(said, b"42\n");
}
