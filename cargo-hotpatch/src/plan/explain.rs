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
         what code is reached, HP03 about hot functions themselves, HP04 about the build.",
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
                The edit is one that this version does not know how to bring into a running \
                program. The message names what it is about: a constant with a closure in it, a \
                method that an impl overrides from now on, an attribute of the crate, ...",
            why: "\
                A patch is only made where it is known to do what a fresh build would do. Where \
                that is not known, the tool refuses rather than guess.",
            example: r"-const SPEED: fn(u32) -> u32 = |level| level + 2;
+const SPEED: fn(u32) -> u32 = |level| level + 3;",
            way_out: "\
                Restart the program to use the edit. Or write it another way: what you are still \
                trying out can be the body of a plain function, such as `fn speed(level: u32) -> \
                u32 { level + 3 }`, and edits to that are patched.",
        },
        Code::HP0101 => Explanation {
            what: "\
                A struct, enum or union that the program knows has other fields, variants, `repr` \
                or generics now, or how its values are dropped changed, and values of it may be \
                alive: the refusal says where, which may be a stack that cannot be read, such as \
                that of a thread that another debugger follows. Also where only a constant, an \
                import or a macro that the type is made of changed. Where the source shows nothing of it (a macro \
                reads a file, a type comes back as another), the patch and the running program \
                disagree about it in their debug information.",
            why: "\
                Values of the old type may be alive in statics, on the heap or on the stacks of \
                running functions. New code would read them with the new layout: a `u32` where \
                there is a pointer. No check at run time could tell. A type whose values all end \
                within a call of a hot function may change, but not in an optimised build, which \
                does not show who keeps one. A build without debug information about types has \
                only the source to go by: there, what might change one is refused, too.",
            example: r" struct Player {
     health: u32,
+    shield: u32,
 }",
            way_out: "\
                Restart the program to use the edit. To try something without a restart, add a \
                type instead of changing one, or keep the new data beside the old, such as in a \
                `static` map from the player's number to its shield.",
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
                A `static` or a thread-local has another type, also if it comes back with another one \
                than it had, or a thread-local another initialiser. In the exact lane also where a \
                static that could not be written now can, or the other way round, as with a first \
                `AtomicU32` in it, or where code needs it larger or better aligned than it is.",
            why: "\
                The static holds a value of the old type, and code that stays goes on using it. A \
                thread-local also gives later threads their first value, and code that stays \
                would give them the old one.",
            example: r"-static LIMIT: u32 = 10;
+static LIMIT: u64 = 10;",
            way_out: "\
                Restart the program to use the edit, or add a static of another name and use that \
                in hot code.",
        },
        Code::HP0104 => Explanation {
            what: "An edit adds a thread-local that a patch cannot give storage to.",
            why: "\
                A new thread-local of a module lives in the patch that first uses it, and all \
                later patches use it there. That needs a `thread_local!` of the standard library's \
                form that stands in a module and has no attributes such as `cfg`. Of others it is \
                not known which is which in the next patch, and the value would be lost or shared.",
            example: r" fn next_id() -> u32 {
+    thread_local! { static NEXT: Cell<u32> = const { Cell::new(0) }; }",
            way_out: "\
                Move it out of the function into the module, restart the program to use the edit, \
                or use a `static` with a `Mutex`.",
        },
        Code::HP0201 => Explanation {
            what: "\
                In the exact lane, a note: a thread is in a function that was edited. It goes on in \
                the old code, and its next call of the function runs the new. In the fast lane: no \
                hot function reaches what was edited, or what names another item now because one \
                came or went beside it, so nothing that runs again would run the new code. As a \
                note there: a part of the edit is like that, and the rest was patched.",
            why: "\
                New code takes over at the next call of a `#[hot]` function. Code that no such \
                function calls, such as `main` and what it does at the start, is running or has \
                run, and cannot be taken over.",
            example: r" fn main() {
-    let mut world = World::new(10);
+    let mut world = World::new(20);
     loop { world.step() }
 }",
            way_out: "\
                Put what a loop does at each turn into a function of its own, or restart. In the fast \
                lane mark a function that leads to the edit with `#[hot]`, one that is called again \
                and again.",
        },
        Code::HP0202 => Explanation {
            what: "\
                A function that was patched is also called from code that no hot function reaches, \
                through a trait object, function pointer, closure or future made earlier, or such \
                code uses a constant or macro that changed. It keeps the old code. This is a note: \
                the patch is live.",
            why: "\
                Only hot functions have a slot through which all their callers go. A plain \
                function is new for those of its callers that are in the patch too.",
            example: r" // called from `main` and from the hot `update`
 fn scale(x: f32) -> f32 {
-    x * 2.0
+    x * 3.0
 }",
            way_out: "\
                If the other callers matter, mark the function itself with `#[hot]`: it counts \
                from the next start.",
        },
        Code::HP0203 => Explanation {
            what: "\
                A function was deleted or renamed, and code that was not patched still calls it. \
                This is a note.",
            why: "\
                That code runs on as it was compiled, with the old function, which stays in \
                memory.",
            example: r"-fn scale(x: f32) -> f32 { x * 2.0 }
+fn scaled(x: f32) -> f32 { x * 2.0 }",
            way_out: "Nothing has to be done; a restart runs the new code only.",
        },
        Code::HP0204 => Explanation {
            what: "\
                The initial value of a `static` was edited; the static keeps the value it has. \
                This is a note. A `#[hot] static` takes the new one; there it names code that \
                keeps the old. In the exact lane also a static that has moved to another module and \
                keeps its value there.",
            why: "The value is part of the program's state, and a patch keeps the state.",
            example: r"-static LEVEL: AtomicU32 = AtomicU32::new(1);
+static LEVEL: AtomicU32 = AtomicU32::new(5);",
            way_out: "\
                Restart the program to begin with the new value, or store it from hot code once. A \
                static that never changes by itself can be marked `#[hot]`.",
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
        Code::HP0205 => Explanation {
            what: "\
                A hot `async fn` was patched while futures of it were waiting. This is a note: what \
                begins from now on runs the new code, and those futures, as many as it says, finish \
                in the code they began in.",
            why: "\
                A future that has begun keeps its variables where its own code put them, and goes \
                on in the middle of that code.",
            example: r" #[hot]
 async fn answer(question: Question) -> Answer {
-    ask(question).await
+    ask(question).await.shortened()
 }",
            way_out: "\
                Nothing has to be done. Where such a future never ends, such as that of a server's \
                loop, put what one turn does into a hot function of its own.",
        },
        Code::HP0301 => Explanation {
            what: "\
                The signature of a hot function changed: its parameters, its result, its safety or \
                its ABI. For an `async fn` that includes whether its future can be sent to another \
                thread.",
            why: "\
                Code that stays calls the function through its slot, with the old arguments. The \
                new function would find something else in their place. And such code may send the \
                future to another thread, which `Rc` and its like do not survive.",
            example: r" #[hot]
-fn update(world: &mut World) {
+fn update(world: &mut World, dt: f32) {",
            way_out: "\
                Restart the program to use the edit. Or keep the hot function as it is and let it \
                call a new one with the signature you want: signatures of functions that only hot \
                functions call may change, and so may the names of its parameters.",
        },
        Code::HP0302 => Explanation {
            what: "A function that exists was marked `#[hot]`. Taking the mark away is fine.",
            why: "\
                A hot function is compiled with a slot in front of its body. The function in the \
                running program has none, so its callers cannot be led elsewhere.",
            example: r"+#[hot]
 fn draw(world: &World) {",
            way_out: "Restart the program: the function is hot from then on.",
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
