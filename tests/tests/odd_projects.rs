//! Projects in odd places and files with odd bytes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{FIRST_BUILD, expect_answer, expect_patch, program, with_session};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::Options;

#[test]
fn a_path_with_spaces_and_letters_of_all_kinds() -> Result<()> {
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/server");
    let project = Project::copy(&server, "odd räume 中 'quoted' $HOME")?;
    let options = Options {
        target: project.beside("ziel ördner"),
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x")?;
        // A file that the edit brings along, and rustc's words about it.
        fs::write(
            project.root().join("src/größe.rs"),
            "pub fn size() -> u32 { \"no\" }\n",
        )?;
        let text = fs::read_to_string(project.root().join("src/main.rs"))?;
        let text = text.replace("\"one {text}\"", "\"{} {text}\", größe::size()")
            + "\n#[path = \"größe.rs\"]\nmod größe;\n";
        fs::write(project.root().join("src/main.rs"), text)?;
        let mut verdict = session.verdict()?;
        if verdict.name() == "unchanged" {
            // The new file alone is no module yet.
            verdict = session.verdict()?;
        }
        ensure!(verdict.name() == "broken", "{verdict}");
        ensure!(
            verdict.text("rendered").contains("src/größe.rs:1:24"),
            "{verdict}"
        );
        project.replace("src/größe.rs", "\"no\"", "17")?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        expect_answer(session, "x", "17 x")?;
        session.stop().map(drop)
    })
}

#[test]
fn what_a_lint_forbids_is_taken_back() -> Result<()> {
    let project = program("server", "lints")?;
    project.replace(
        "src/main.rs",
        "use hotpatch_rt::hot;\n",
        "#![deny(warnings)]\n#![forbid(unsafe_code)]\n\nuse hotpatch_rt::hot;\n",
    )?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        // A warning, and what is forbidden.
        project.replace(
            "src/main.rs",
            "    format!(\"base {text}\")",
            "    let unused = 1;\n    // SAFETY: it is a reference.\n    let text = unsafe { &*std::ptr::from_ref(text) };\n    format!(\"one {text}\")",
        )?;
        // The fast lane does not know of lints.
        let verdict = session.verdict()?;
        ensure!(verdict.is_ahead(), "{verdict}");
        let (broken, before) = session.wait_for("broken")?;
        ensure!(
            before.iter().any(|event| event.name() == "taken_back"),
            "{before:?}"
        );
        let said = broken.text("rendered");
        ensure!(said.contains("unsafe"), "{said}");
        expect_answer(session, "x", "base x")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_type_inside_a_patched_function_keeps_its_path() -> Result<()> {
    let project = program("server", "type_names")?;
    project.replace(
        "src/main.rs",
        "    format!(\"base {text}\")",
        "    struct Inner;\n    format!(\"base {text} {}\", name_of(&Inner))",
    )?;
    project.replace(
        "src/main.rs",
        "fn main() {",
        "fn name_of<T>(_: &T) -> &'static str {\n    std::any::type_name::<T>()\n}\n\nfn main() {",
    )?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "x", "base x errors_type_names::answer::Inner")?;
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x errors_type_names::answer::Inner")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_project_behind_a_symbolic_link() -> Result<()> {
    let project = program("server", "link")?;
    let link = project.beside("link");
    std::os::unix::fs::symlink(project.root(), &link)?;
    // The session is started through the link, and edits come both ways.
    let options = Options {
        folder: Some(link.clone()),
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x")?;
        let through = link.join("src/main.rs");
        let text = fs::read_to_string(&through)?;
        fs::write(&through, text.replace("\"one ", "\"two "))?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        expect_answer(session, "x", "two x")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_member_that_is_a_symbolic_link() -> Result<()> {
    let project = program("server", "member")?;
    let real = project.beside("elsewhere");
    fs::create_dir_all(real.join("src"))?;
    let manifest = "[package]\nname = \"errors_linked\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    fs::write(real.join("Cargo.toml"), manifest)?;
    let word = |word: &str| format!("pub fn word() -> &'static str {{\n    \"{word}\"\n}}\n");
    fs::write(real.join("src/lib.rs"), word("base"))?;
    std::os::unix::fs::symlink(&real, project.root().join("linked"))?;
    project.replace(
        "Cargo.toml",
        "[workspace]",
        "[workspace]\nmembers = [\"linked\"]",
    )?;
    let dependency = "[dependencies]\nerrors_linked = { path = \"linked\" }";
    project.replace("Cargo.toml", "[dependencies]", dependency)?;
    let call = "\"{} {text}\", errors_linked::word()";
    project.replace("src/main.rs", "\"base {text}\"", call)?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "x", "base x")?;
        // By its real path, then through the link.
        for (path, new) in [
            (real.join("src/lib.rs"), "one"),
            (project.root().join("linked/src/lib.rs"), "two"),
        ] {
            fs::write(path, word(new))?;
            let verdict = session.verdict()?;
            ensure!(verdict.name() == "patched", "{verdict}");
            expect_answer(session, "x", &format!("{new} x"))?;
        }
        session.stop().map(drop)
    })
}

#[test]
fn lines_that_end_as_on_windows_and_a_byte_order_mark() -> Result<()> {
    let project = program("server", "crlf")?;
    let main = project.root().join("src/main.rs");
    let text = fs::read_to_string(&main)?.replace('\n', "\r\n");
    fs::write(&main, format!("\u{feff}{text}"))?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "x", "base x")?;
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x")?;
        // More than a body, with a text over two lines: its line end is no `\r`.
        let old = "    format!(\"one {text}\")\r\n";
        let new =
            "    let lines = LINES;\r\n    format!(\"two {text} {} {}\", lines.len(), line!())\r\n";
        let text = fs::read_to_string(&main)?.replace(old, new);
        fs::write(&main, text + "\r\nconst LINES: &str = \"a\r\nb\";\r\n")?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        session.confirmed(&verdict)?;
        expect_answer(session, "x", "two x 3 8")?;
        // The same text with other line ends is the same code.
        let text = fs::read_to_string(&main)?.replace("\r\n", "\n");
        fs::write(&main, text.trim_start_matches('\u{feff}'))?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "unchanged", "{verdict}");
        expect_answer(session, "x", "two x 3 8")?;
        expect_patch(session, &project, "two", "three")?;
        expect_answer(session, "x", "three x 3 8")?;
        session.stop().map(drop)
    })
}

#[test]
fn bytes_that_are_no_text() -> Result<()> {
    let project = program("server", "latin")?;
    let main = project.root().join("src/main.rs");
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        let good = fs::read_to_string(&main)?;
        let (before, after) = good.split_once("base").context("the word is there")?;
        let bad = [before.as_bytes(), b"caf\xe9", after.as_bytes()].concat();
        fs::write(&main, bad)?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "broken", "{verdict}");
        ensure!(verdict.text("file").ends_with("src/main.rs"), "{verdict}");
        ensure!(verdict.text("rendered").contains("UTF-8"), "{verdict}");
        expect_answer(session, "x", "base x")?;
        fs::write(&main, good.replace("base", "café"))?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        expect_answer(session, "x", "café x")?;
        session.stop().map(drop)
    })
}
