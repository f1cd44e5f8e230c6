//! Times edits of every kind, not of bodies alone: `cargo xtask bench-kinds`. One generated program without a mark, with
//! three libraries above a fourth; each edit is saved under the tool and, in turns, built by `cargo build`.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use crate::child::{Session, Start, Told};
use crate::generate::{self, FIRST_MARKER, Program};
use crate::project::Project;
use crate::statistics::{Samples, ratio};
use crate::workplace::{Workplace, WorkplaceOpts};
use crate::{command, page, report};

#[derive(Debug, Args)]
pub struct KindsOpts {
    /// Sizes of the generated programs.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 40_000, 100_000])]
    lines: Vec<usize>,
    /// Edits of each kind.
    #[arg(long, default_value_t = 5)]
    runs: u64,
    /// Only kinds whose names have this in them.
    #[arg(long, default_value = "")]
    only: String,
    /// The cargo profile of both builds.
    #[arg(long, default_value = "dev")]
    profile: String,
    #[command(flatten)]
    workplace: WorkplaceOpts,
    /// Rest between measurements, in milliseconds.
    #[arg(long, default_value_t = 300)]
    pause: u64,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Also write the results into this page.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A kind of edit. `file` gets another text for each marker, which the program prints once the edit is live.
struct Kind {
    name: &'static str,
    file: File,
    /// How the hot function gets its marker, before the first edit and with `N` for a number: edits that change nothing of
    /// it are of what it uses.
    before: &'static str,
    edit: fn(&str, u64) -> Option<String>,
    /// A value of what changes is alive, so that the edit is refused.
    refused: bool,
}

/// Which file an edit changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum File {
    /// That of the hot function.
    Step,
    /// That of the type whose value lives in `main`.
    World,
    /// The library below three others.
    Base,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "body",
        file: File::Step,
        before: "N",
        edit: |text, marker| with_expression(text, &marker.to_string()),
        refused: false,
    },
    Kind {
        name: "helper added and called",
        file: File::Step,
        before: "N",
        edit: |text, marker| {
            let text = with_expression(text, &format!("helper_{marker}(0)"))?;
            let helper =
                format!("fn helper_{marker}(more: u64) -> u64 {{\n    {marker} + more\n}}\n");
            Some(format!("{text}\n{helper}"))
        },
        refused: false,
    },
    Kind {
        name: "method added and called",
        file: File::Step,
        before: "N",
        edit: |text, marker| {
            let text = with_expression(
                text,
                &format!("(Transient {{ value: {marker} }}).own_{marker}()"),
            )?;
            let method =
                format!("    fn own_{marker}(&self) -> u64 {{\n        self.value\n    }}\n");
            replaced(&text, "impl Transient {\n", "", &method)
        },
        refused: false,
    },
    Kind {
        name: "value of a const",
        file: File::Step,
        before: "LIMIT",
        edit: |text, marker| replaced(text, "const LIMIT: u64 = ", ";", &marker.to_string()),
        refused: false,
    },
    Kind {
        name: "signature with five callers",
        file: File::Step,
        before: "caller_1() + caller_2() + caller_3() + caller_4() + caller_5()",
        edit: |text, marker| {
            let (parameter, argument) = if marker % 2 == 0 {
                (", _more: u8", ", 0")
            } else {
                ("", "")
            };
            let text = replaced(text, "fn scaled(value: u64", ")", parameter)?;
            let text = replaced(
                &text,
                "const SCALED: u64 = ",
                ";",
                &format!("{marker} - 10"),
            )?;
            let mut out = text;
            for caller in 1..=5 {
                let start = format!("fn caller_{caller}() -> u64 {{\n    scaled(");
                out = replaced(
                    &out,
                    &start,
                    ")",
                    &format!("{}{argument}", if caller == 1 { "SCALED" } else { "0" }),
                )?;
            }
            Some(out)
        },
        refused: false,
    },
    Kind {
        name: "struct added and used locally",
        file: File::Step,
        before: "N",
        edit: |text, marker| {
            let made = format!("Local{marker} {{ value: {marker}, more: 1 }}");
            let text = with_expression(
                text,
                &format!("{{ let local = {made}; local.value * local.more }}"),
            )?;
            Some(format!(
                "{text}\nstruct Local{marker} {{\n    value: u64,\n    more: u64,\n}}\n"
            ))
        },
        refused: false,
    },
    Kind {
        name: "field of a transient type",
        file: File::Step,
        before: "Growing::default().base() + LIMIT",
        edit: |text, marker| {
            let field = if marker % 2 == 0 {
                "    _more: u32,\n"
            } else {
                ""
            };
            let text = replaced(text, "struct Growing {\n", "    value: u64", field)?;
            replaced(&text, "const LIMIT: u64 = ", ";", &marker.to_string())
        },
        refused: false,
    },
    Kind {
        name: "field of a live type",
        file: File::World,
        before: "N",
        edit: |text, marker| {
            let field = format!("    pub more_{marker}: u32,\n");
            replaced(text, "pub struct World {\n", "", &field)
        },
        refused: true,
    },
    Kind {
        name: "`use` added",
        file: File::Step,
        before: "N",
        edit: |text, marker| {
            let value = format!("Set{marker}::from([{marker}]).into_iter().next().unwrap_or(0)");
            let text = with_expression(text, &value)?;
            let import = format!("use std::collections::BTreeSet as Set{marker};");
            Some(text.replacen("\nuse crate::", &format!("\n{import}\nuse crate::"), 1))
        },
        refused: false,
    },
    Kind {
        name: "derive attribute",
        file: File::Step,
        before: "N",
        edit: |text, marker| {
            let (derive, value) = match marker % 2 {
                0 => (
                    "Clone, PartialEq, Debug",
                    format!("if kind == kind.clone() {{ {marker} }} else {{ 0 }}"),
                ),
                _ => ("Clone", format!("kind.clone().value + {marker}")),
            };
            let text = replaced(text, "#[derive(", ")]\nstruct Derived", derive)?;
            with_expression(
                &text,
                &format!("{{ let kind = Derived {{ value: 0 }}; {value} }}"),
            )
        },
        refused: false,
    },
    Kind {
        name: "trait method added and called",
        file: File::Step,
        before: "N",
        edit: |text, marker| {
            let text = with_expression(text, &format!("Transient {{ value: 0 }}.rate_{marker}()"))?;
            let method = format!(
                "    fn rate_{marker}(&self) -> u64 {{\n        self.rate() + {marker}\n    }}\n"
            );
            replaced(&text, "trait Rated {\n", "", &method)
        },
        refused: false,
    },
    Kind {
        name: "body of a `macro_rules!`",
        file: File::Step,
        before: "marked!()",
        edit: |text, marker| replaced(text, "        SCALED * 0 + ", "\n", &marker.to_string()),
        refused: false,
    },
    Kind {
        name: "body in a library with three dependents",
        file: File::Base,
        before: "base::marker() + left::zero() + middle::zero() + right::zero()",
        edit: |text, marker| with_expression(text, &marker.to_string()),
        refused: false,
    },
];

/// What the edits are about, beside the generated hot function.
const SECTION: &str = "
const LIMIT: u64 = 1000;

const SCALED: u64 = 0;

fn scaled(value: u64) -> u64 {
    value + 2
}

fn caller_1() -> u64 {
    scaled(0)
}

fn caller_2() -> u64 {
    scaled(0)
}

fn caller_3() -> u64 {
    scaled(0)
}

fn caller_4() -> u64 {
    scaled(0)
}

fn caller_5() -> u64 {
    scaled(0)
}

struct Transient {
    value: u64,
}

impl Transient {
    fn value(&self) -> u64 {
        self.value
    }
}

#[derive(Default)]
struct Growing {
    value: u64,
}

impl Growing {
    fn base(&self) -> u64 {
        self.value
    }
}

#[derive(Clone)]
struct Derived {
    value: u64,
}

trait Rated {
    fn rate(&self) -> u64;
}

impl Rated for Transient {
    fn rate(&self) -> u64 {
        self.value()
    }
}

macro_rules! marked {
    () => {
        SCALED * 0 + 1000
    };
}
";

const BASE: &str = "pub fn marker() -> u64 {\n    let marker: u64 = 1000;\n    marker\n}\n";

/// The libraries above the one that is edited.
const DEPENDENTS: [&str; 3] = ["left", "middle", "right"];

/// The file of the hot function without its mark, and with the section before the function: there macros count.
fn with_section(text: &str) -> String {
    let text = text
        .replace("use hotpatch_rt::hot;\n\n", "")
        .replace("#[hot]\n", "");
    text.replacen("\n/// Moves", &format!("{SECTION}\n/// Moves"), 1)
}

/// What stands between `before` and `after`, replaced.
fn replaced(text: &str, before: &str, after: &str, by: &str) -> Option<String> {
    // The end may be unique where the beginning is not.
    let (start, end) = match text.matches(before).count() {
        1 => {
            let start = text.find(before)? + before.len();
            (start, start + text[start..].find(after)?)
        }
        _ => {
            let end = text.find(after)?;
            (text[..end].rfind(before)? + before.len(), end)
        }
    };
    Some(format!("{}{by}{}", &text[..start], &text[end..]))
}

fn with_expression(text: &str, expression: &str) -> Option<String> {
    replaced(text, "let marker: u64 = ", ";\n", expression)
}

/// What was measured of one kind.
#[derive(Debug)]
pub struct Measured {
    pub name: &'static str,
    pub refused: bool,
    /// Until the program's first output by new code, or until the refusal.
    pub latency: Samples,
    /// Until the exact lane had confirmed what the fast one brought.
    pub confirmed: Samples,
    /// How many were the fast lane's.
    pub fast: usize,
    pub builds: Samples,
    /// Why the others were not, as the tool said last.
    pub aside: Option<String>,
    pub failure: Option<String>,
}

pub fn run(opts: &KindsOpts) -> Result<()> {
    let workplace = Workplace::new(&opts.workplace)?;
    let work = workplace.folder();
    let mut all = Vec::new();
    for &lines in &opts.lines {
        let folder = work.join(format!("kinds-{lines}"));
        let size = Size {
            opts,
            tool: &workplace.tool,
            folder: &folder,
        };
        let measured = size.measure(lines)?;
        if opts.workplace.keep.is_none() {
            // What cannot be removed goes with the temporary folder.
            let _ = fs::remove_dir_all(&folder);
        }
        all.push((lines, measured));
    }
    let heading = report::kinds_heading(&opts.profile);
    let part = report::kinds(&all, &opts.profile);
    report::print(&part);
    match &opts.out {
        Some(path) => page::write_part(path, &heading, &part),
        None => Ok(()),
    }
}

/// One size on its way.
struct Size<'a> {
    opts: &'a KindsOpts,
    tool: &'a Path,
    folder: &'a Path,
}

impl Size<'_> {
    fn measure(&self, lines: usize) -> Result<Vec<Measured>> {
        let mut program = generate::program(lines, self.opts.seed);
        let step = program.step.clone();
        for (path, text) in &mut program.files {
            if *path == step {
                *text = with_section(text);
            }
        }
        let [hot, plain] = ["hot", "plain"].map(|name| self.write(name, &program));
        let (hot, plain) = (hot?, plain?);
        let mut marker = FIRST_MARKER;
        self.build(&plain)?;
        let mut session = self.start(&hot)?;
        let mut all = Vec::new();
        for kind in KINDS
            .iter()
            .filter(|kind| kind.name.contains(&self.opts.only))
        {
            let mut measured = Measured {
                name: kind.name,
                refused: kind.refused,
                latency: Samples::default(),
                confirmed: Samples::default(),
                fast: 0,
                builds: Samples::default(),
                aside: None,
                failure: None,
            };
            if let Err(error) = self.kind(
                kind,
                &mut session,
                [&hot, &plain],
                &mut marker,
                &mut measured,
            ) {
                report::progress(&format!("{lines} lines, {}: {error:#}", kind.name));
                measured.failure = Some(format!("{error:#}"));
                // What one kind left behind is not to be another's trouble.
                drop(session);
                for project in [&hot, &plain] {
                    project.restore()?;
                }
                self.build(&plain)?;
                session = self.start(&hot)?;
            }
            report::progress(&format!(
                "{lines} lines, {}: {:.3} s beside {:.3} s",
                kind.name,
                measured.latency.median().unwrap_or_default(),
                measured.builds.median().unwrap_or_default()
            ));
            all.push(measured);
        }
        Ok(all)
    }

    fn kind(
        &self,
        kind: &Kind,
        session: &mut Session,
        [hot, plain]: [&Project; 2],
        marker: &mut u64,
        measured: &mut Measured,
    ) -> Result<()> {
        let file = match kind.file {
            File::Step => hot.edited().to_owned(),
            File::World => "src/world.rs".into(),
            File::Base => "base/src/lib.rs".into(),
        };
        // What the edits are not about is brought first.
        *marker += 1;
        let before = kind.before.replace('N', &marker.to_string());
        let arrange = |text: &str| with_expression(text, &before);
        for project in [hot, plain] {
            project.save(hot.edited(), arrange, || ())?;
        }
        self.build(plain)?;
        session.settle()?;
        self.pause();
        let original = hot.read(&file)?;
        for run in 0..self.opts.runs {
            *marker += 1;
            let edit = |text: &str| (kind.edit)(text, *marker);
            for way in [run, run + 1] {
                self.pause();
                if way % 2 == 0 {
                    let saved = hot.save(&file, edit, Instant::now)?;
                    if kind.refused {
                        measured.latency.push(session.refusal(saved)?);
                        // Back, so that the next one is refused for itself.
                        hot.save(&file, |_| Some(original.clone()), || ())?;
                        session.settle()?;
                    } else {
                        let told: Told = session.shows(saved, *marker)?;
                        measured.latency.push(told.latency);
                        measured.fast += usize::from(told.is_fast);
                        measured.aside = told.aside.or(measured.aside.take());
                        measured.confirmed.extend(told.confirmed);
                    }
                } else {
                    plain.save(&file, edit, || ())?;
                    measured.builds.push(self.build(plain)?);
                    if kind.refused {
                        plain.save(&file, |_| Some(original.clone()), || ())?;
                        self.build(plain)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, program: &Program) -> Result<Project> {
        let folder = self.folder.join(name);
        let project = Project::write(&folder, "bench_app", program, None)?;
        let manifest = |name: &str, dependencies: &str| {
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
                 [dependencies]\n{dependencies}"
            )
        };
        let own: String = ["base"]
            .iter()
            .chain(&DEPENDENTS)
            .map(|name| format!("{name} = {{ path = \"{name}\" }}\n"))
            .collect();
        project.add(
            "Cargo.toml",
            &(manifest("bench_app", &own) + "\n[workspace]\n"),
        )?;
        project.add("base/Cargo.toml", &manifest("base", ""))?;
        project.add("base/src/lib.rs", BASE)?;
        for name in DEPENDENTS {
            let dependencies = "base = { path = \"../base\" }\n";
            project.add(format!("{name}/Cargo.toml"), &manifest(name, dependencies))?;
            let text = "pub fn zero() -> u64 {\n    base::marker() - base::marker()\n}\n";
            project.add(format!("{name}/src/lib.rs"), text)?;
        }
        Ok(project)
    }

    fn start(&self, project: &Project) -> Result<Session> {
        let mut session = Session::start(&Start {
            tool: self.tool,
            manifest: &project.manifest(),
            target: &self.folder.join("hot-target"),
            cache: &self.folder.join("cache"),
            profile: &self.opts.profile,
            logs: &self.folder.join("logs"),
            limit: Duration::from_secs(600),
        })?;
        session.prepared()?;
        Ok(session)
    }

    fn build(&self, project: &Project) -> Result<f64> {
        let target = self.folder.join("plain-target");
        command::time_build(&project.manifest(), &target, &self.opts.profile)
    }

    fn pause(&self) {
        thread::sleep(Duration::from_millis(self.opts.pause));
    }
}

impl Measured {
    /// Save to new code, in `cargo build`s.
    pub fn ratio(&self) -> Option<f64> {
        ratio(self.latency.median(), self.builds.median())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_changes_its_file_again_and_again() {
        let program = generate::program(1_000, 7);
        let text = |name: &Path| {
            let found = program.files.iter().find(|(path, _)| path == name);
            found.expect("a file").1.clone()
        };
        for kind in KINDS {
            let mut text = match kind.file {
                File::Step => with_section(&text(&program.step)),
                File::World => text(Path::new("world.rs")),
                File::Base => BASE.to_owned(),
            };
            for marker in [1_001, 1_002, 1_003] {
                let next = (kind.edit)(&text, marker).expect(kind.name);
                assert_ne!(next, text, "{}", kind.name);
                assert!(next.contains(&marker.to_string()), "{}", kind.name);
                text = next;
            }
        }
    }
}
