//! What each code means at length: `cargo hotpatch explain`, and `docs/codes.md`.
//!
//! One table of texts and two ways to lay them out. That the page in `docs/` is this table is a test's business.

use super::codes::Code;

/// Where lines of text end.
const WIDTH: usize = 100;

/// The text for a code.
#[derive(Debug, Clone, Copy)]
pub struct Explanation {
    /// What happened.
    pub what: &'static str,
    /// Why the tool does not just go on.
    pub why: &'static str,
    /// An edit that leads to it, as a difference.
    pub example: &'static str,
    /// What the reader can do.
    pub way_out: &'static str,
}

/// Finds a code by what a person types: `HP0101`, `hp0101` or `0101`.
#[must_use]
pub fn find(text: &str) -> Option<Code> {
    let text = text.trim().to_ascii_uppercase();
    let wanted = if text.starts_with("HP") {
        text
    } else {
        format!("HP{text}")
    };
    Code::ALL
        .iter()
        .copied()
        .find(|code| code.to_string() == wanted)
}

/// All codes, a line each.
#[must_use]
pub fn list() -> String {
    let mut text = String::new();
    for code in Code::ALL {
        text += &format!("{code}  {}\n", code.meaning());
    }
    text + "\n`cargo hotpatch explain HP0101` says more about one of them.\n"
}

/// A code in full, for a terminal.
#[must_use]
pub fn page(code: Code) -> String {
    let Explanation {
        what,
        why,
        example,
        way_out,
    } = explanation(code);
    let example: String = example
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    let [what, why, way_out] = [
        what.to_owned(),
        format!("Why: {why}"),
        format!("The way out: {way_out}"),
    ]
    .map(|text| wrap(&text));
    format!(
        "{code}: {}\n\n{what}\n{why}\nFor example:\n\n{example}\n{way_out}",
        code.meaning()
    )
}

/// Breaks a text into lines.
fn wrap(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out + "\n"
}

/// All codes in full, in Markdown.
#[must_use]
#[cfg(test)]
fn markdown() -> String {
    let mut text = String::from("# The codes of refusals and notes\n\n");
    text += &wrap(
        "Written from the table in `cargo-hotpatch/src/plan/explain.rs` by `HOTPATCH_WRITE_DOCS=1 cargo \
         test -p cargo-hotpatch explain`; `cargo hotpatch explain` prints the same. A *refusal* leaves the \
         program as it is, a *note* comes with a patch. HP01 is about what a value looks like, HP02 about \
         which code runs, HP03 about hot functions themselves, HP04 about the build. Codes that are no longer given keep \
         their page and their number.",
    );
    text += "\n| code | meaning |\n|---|---|\n";
    for code in Code::ALL {
        let anchor = code.to_string().to_lowercase();
        text += &format!("| [{code}](#{anchor}) | {} |\n", code.meaning());
    }
    for code in Code::ALL {
        let Explanation {
            what,
            why,
            example,
            way_out,
        } = explanation(*code);
        let [what, why, way_out] = [
            format!("**{}.** {what}", sentence(code.meaning())),
            format!("*Why:* {why}"),
            format!("*The way out:* {way_out}"),
        ]
        .map(|text| wrap(&text));
        text += &format!("\n## {code}\n\n{what}\n{why}\n```diff\n{example}\n```\n\n{way_out}");
    }
    text
}

#[cfg(test)]
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// What there is to say about a code.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table")]
pub const fn explanation(code: Code) -> Explanation {
    match code {
        Code::HP0001 => Explanation {
            what: "\
                Something that nobody has thought of. Given where a run of the program cannot be \
                patched at all, with what went wrong: the agent in it does not answer, or its files \
                cannot be read.",
            why: "\
                A patch is only made where it is known to do what a fresh build would do. Where that \
                is not known, the tool refuses rather than guess.",
            example: " # the program closed the descriptors that it did not open itself, the agent's among them",
            way_out: "\
                Restart the program. If it comes again, please report it: a refusal of this kind is \
                a fault of the tool.",
        },
        Code::HP0101 => Explanation {
            what: "\
                A struct, enum or union has other fields, variants, `repr` or generics now, how its \
                values are dropped changed, or what a closure that has a name captured, and old \
                values of it can be met by new code. The refusal says where: in a static, in a \
                variable of a function that a thread runs, on a stack that cannot be read, kept behind \
                a `dyn Trait`, where it would go on with older code for good, behind a pointer that \
                only a type id tells apart, or where `unsafe` code takes one type for another.",
            why: "\
                New code would read the value with the new layout: a `u32` where there is a pointer. \
                No check at run time could tell. Where no old value can be met, the type may change: \
                older code goes on with older values, newer code makes new ones.",
            example: r" struct Player {
     health: u32,
+    shield: u32,
 }",
            way_out: "\
                Restart the program to use the edit. To try something without a restart, add a type \
                instead of changing one, or keep the new data beside the old, such as in a `static` \
                map from the player's number to its shield.",
        },
        Code::HP0102 => Explanation {
            what: "\
                A trait gained, lost or reordered methods, or one of them has another signature, \
                and there may be trait objects of it.",
            why: "\
                A trait object made before the edit carries a table of the old methods. New code \
                would look for a method at a place in that table where another one is, or none.",
            example: r" trait Weapon {
     fn damage(&self) -> u32;
+    fn range(&self) -> u32;
 }",
            way_out: "\
                Restart the program to use the edit. Methods of a new trait, of one without trait \
                objects, or in a plain `impl` can be added.",
        },
        Code::HP0103 => Explanation {
            what: "\
                A `static` or a thread-local has another type. Also where a static that could not be \
                written now can, or the other way round, as with a first `AtomicU32` in it, or where \
                code needs it larger or better aligned than it is.",
            why: "\
                The static holds a value of the old type in a place of the old size, and code that \
                stays goes on using it.",
            example: r"-static LIMIT: u32 = 10;
+static LIMIT: u64 = 10;",
            way_out: "\
                Restart the program to use the edit, or add a static of another name and use that.",
        },
        Code::HP0104 => Explanation {
            what: "\
                No longer given: new thread-locals live in the patch that brings them. It said that \
                one could not be given storage.",
            why: "\
                An earlier engine understood only the usual form of `thread_local!`.",
            example: r" fn next_id() -> u32 {
+    thread_local! { static NEXT: Cell<u32> = const { Cell::new(0) }; }",
            way_out: "\
                Nothing has to be done.",
        },
        Code::HP0201 => Explanation {
            what: "\
                This is a note: a thread is in a function that was edited. It goes on in the old \
                code, and the function's next call runs the new.",
            why: "\
                The variables of a call that is under way are where its own code put them. New code \
                cannot take over in the middle.",
            example: r" fn main() {
-    let mut world = World::new(10);
+    let mut world = World::new(20);
     loop { world.step() }
 }",
            way_out: "\
                If the function never returns, such as `main` with its loop, put what the loop does \
                at each turn into a function of its own, or restart. In an optimised build mark that \
                function with `#[hot]`, so that it is not a part of the loop's code.",
        },
        Code::HP0202 => Explanation {
            what: "\
                No longer given: all calls of a function go through its slot. It said that code \
                which no hot function reached kept the old code.",
            why: "\
                An earlier engine had slots for functions marked `#[hot]` alone.",
            example: r" // called from `main` and from the hot `update`
 fn scale(x: f32) -> f32 {
-    x * 2.0
+    x * 3.0
 }",
            way_out: "\
                Nothing has to be done.",
        },
        Code::HP0203 => Explanation {
            what: "\
                No longer given. It said that a function which was deleted is still called by code \
                that runs on as it was compiled; the function stays in memory for it.",
            why: "\
                Code that is under way, and closures and futures made before, finish as they were \
                compiled.",
            example: r"-fn scale(x: f32) -> f32 { x * 2.0 }
+fn scaled(x: f32) -> f32 { x * 2.0 }",
            way_out: "\
                Nothing has to be done; a restart runs the new code only.",
        },
        Code::HP0204 => Explanation {
            what: "\
                This is a note: the initial value of a `static` or a thread-local that the program \
                can write to was edited, and it keeps the value it has. Also where one has moved to \
                another module or has another name, and where the code was edited that makes a value \
                when it is needed first (`LazyLock`, `OnceLock` and their like): it is kept if it is \
                made already. A static that nothing can write takes the new value.",
            why: "\
                The value is part of the program's state, and a patch keeps the state.",
            example: r"-static LEVEL: AtomicU32 = AtomicU32::new(1);
+static LEVEL: AtomicU32 = AtomicU32::new(5);",
            way_out: "\
                Restart the program to begin with the new value, or store it from code once.",
        },
        Code::HP0206 => Explanation {
            what: "\
                A constructor, or an entry of a list that the linker collects (`linkme`, `inventory` \
                and their like), is new, another one or gone. This is a note: the rest of the edit is \
                live.",
            why: "\
                Such lists are read when a program starts, from its own file. What a patch brings is \
                in another one, and constructors that ran do not run again.",
            example: r#" #[distributed_slice(COMMANDS)]
 static HELP: fn() = help;
+#[distributed_slice(COMMANDS)]
+static QUIT: fn() = quit;"#,
            way_out: "Restart the program to use it.",
        },
        Code::HP0207 => Explanation {
            what: "\
                The program calls `hotpatch_rt::checkpoint()`, so a patch goes live there and nowhere \
                else. It did not come there within five seconds.",
            why: "\
                Whoever calls it relies on it that no patch comes in the middle of what is between two \
                calls.",
            example: r" loop {
     hotpatch_rt::checkpoint();
-    wait_for_input();
+    wait_for_input_and_log();
 }",
            way_out: "\
                Have the program come there, then `cargo hotpatch redo`; or restart it. If it waits for long \
                in between, call `checkpoint` after the wait, or in a thread that does not wait.",
        },
        Code::HP0208 => Explanation {
            what: "\
                The program runs under `--guard`, and a thread panicked or crashed in code of exactly these \
                sources. They were taken back then, and now they are on disk again.",
            why: "\
                What failed once is not brought a second time because a file was saved, restored or \
                checked out: only if somebody asks for it.",
            example: r"-    rows[at]
+    rows[at + 1]",
            way_out: "\
                Change something, or have `cargo hotpatch redo` (key `U`) bring them all the same. A restart \
                by the key `r` brings what is on disk, too.",
        },
        Code::HP0205 => Explanation {
            what: "\
                This is a note: an `async` function or block was edited while futures of it may be \
                waiting, or, where the function is marked `#[hot]`, while as many as it says are. \
                What begins from now on runs the new code, and those futures finish in the code they \
                began in.",
            why: "\
                A future that has begun keeps its variables where its own code put them, and goes on \
                in the middle of that code. What awaits it keeps it inside its own future, unless \
                the function is marked `#[hot]`: then it is in a box, and the task that awaits it \
                takes up the new code with its next call.",
            example: r" #[hot]
 async fn answer(question: Question) -> Answer {
-    ask(question).await
+    ask(question).await.shortened()
 }",
            way_out: "\
                Where such a future never ends, such as that of a server's loop, mark the `async fn` \
                that does what one turn does with `#[hot]`.",
        },
        Code::HP0301 => Explanation {
            what: "\
                No longer given: callers that were compiled with the old signature go on with the \
                old function, all others are compiled anew. It said that the signature of a hot \
                function changed.",
            why: "\
                An earlier engine led all callers of a hot function to one body.",
            example: r" #[hot]
-fn update(world: &mut World) {
+fn update(world: &mut World, dt: f32) {",
            way_out: "\
                Nothing has to be done.",
        },
        Code::HP0302 => Explanation {
            what: "\
                No longer given: every function can be replaced, marked or not. It said that a \
                function became hot.",
            why: "\
                An earlier engine had slots for functions marked `#[hot]` alone.",
            example: r"+#[hot]
 fn draw(world: &World) {",
            way_out: "\
                Nothing has to be done. What the mark does beside that, it does from the next start \
                on.",
        },
        Code::HP0401 => Explanation {
            what: "\
                A file that decides how the project is built was edited: a manifest, the lock \
                file, cargo's configuration, a build script, a crate of procedural macros, or \
                another crate of the workspace that one of these uses.",
            why: "\
                Other features, dependencies or generated code can change any part of the program. \
                A patch holds a few functions only, and the rest of the program would be that of \
                the old build.",
            example: r#" [dependencies]
+rand = "0.9""#,
            way_out: "\
                Restart the program: the session builds it with cargo and, when that went well, \
                starts it anew with what it keeps (`hotpatch_rt::keep`). Undoing the edit is fine as \
                well, and edits are then patched again.",
        },
        Code::HP0402 => Explanation {
            what: "\
                The toolchain, its flags or a library of the program are not those the running \
                program was built with.",
            why: "\
                Two versions of rustc lay out types and name symbols differently, and flags such \
                as `-C target-feature` change how arguments are passed.",
            example: r#" # rust-toolchain.toml
-channel = "1.95.0"
+channel = "1.96.0""#,
            way_out: "\
                The refusal says whether a restart will do. As `cargo hotpatch` the tool goes on \
                with the toolchain that `cargo` was of when the session started: end it and start \
                another. A restart within it builds with the toolchain it has, and edits are \
                patched again from then on. Where a library was built anew, by another session or \
                for a restart that was put off, a restart of the program is all it takes.",
        },
        Code::HP0403 => Explanation {
            what: "\
                The process that answered runs another program than the one this session built. It \
                runs on, and each edit of it is refused.",
            why: "\
                A patch is full of addresses of one very build. In another one they would lead \
                anywhere.",
            example: " # a runner starts another file, or another session built the program anew just then",
            way_out: "\
                Restart the program. Where a runner or the program itself starts another program, \
                patch that one in a session of its own.",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_as_they_are_typed() {
        for text in ["HP0101", "hp0101", "0101", " HP0101\n"] {
            assert_eq!(find(text), Some(Code::HP0101), "{text}");
        }
        for text in ["", "HP", "HP9999", "E0308", "101"] {
            assert_eq!(find(text), None, "{text}");
        }
    }

    #[test]
    fn every_code_is_listed_and_explained() {
        for code in Code::ALL {
            assert!(list().contains(&format!("{code}  {}\n", code.meaning())));
            let page = page(*code);
            assert!(page.starts_with(&format!("{code}: ")), "{page}");
            for line in page.lines() {
                assert!(line.chars().count() <= WIDTH, "{code}: {line}");
                assert_eq!(line, line.trim_end(), "{code}");
            }
        }
    }

    #[test]
    fn examples_are_differences() {
        for code in Code::ALL {
            for line in explanation(*code).example.lines() {
                assert!(line.starts_with([' ', '-', '+']), "{code}: {line}");
            }
        }
    }

    #[test]
    fn the_page_in_docs_is_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/codes.md");
        if std::env::var_os("HOTPATCH_WRITE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            text == markdown(),
            "`HOTPATCH_WRITE_DOCS=1 cargo test -p cargo-hotpatch explain` writes docs/codes.md anew"
        );
    }
}
