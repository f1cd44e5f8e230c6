//! Makes the source of a program of about N lines that looks like real code. It writes no file and
//! reads no clock: the same seed and size always give the same text.
//!
//! The modules form a DAG: each file uses types and functions of files before it, and `main` reaches
//! all of them. In the middle of the tree is the hot function `step`.

mod names;
mod parts;
mod rng;
mod sections;
mod template;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use names::{AREAS, FILES, FOLDERS, Names, last_part};
use rng::Rng;
use sections::{Exports, Maker};
use template::Scope;

/// The marker in a newly generated `step`.
pub const FIRST_MARKER: u64 = 1000;

const MEAN_FILE: usize = 400;
const FILES_PER_FOLDER: usize = 6;
const FOLDERS_PER_AREA: usize = 6;

/// A generated program.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// Paths below `src` and their text.
    pub files: Vec<(PathBuf, String)>,
    /// The file that holds the hot function.
    pub step: PathBuf,
}

impl Program {
    pub fn lines(&self) -> usize {
        self.files
            .iter()
            .map(|(_, text)| text.lines().count())
            .sum()
    }
}

/// The manifest of a generated program that depends on `runtime`, the folder of `hotpatch-rt`.
pub fn manifest(package: &str, runtime: Option<&Path>) -> String {
    let dependency = runtime.map(|path| format!("hotpatch-rt = {{ path = {path:?} }}\n"));
    format!(
        "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\n{}\n[workspace]\n",
        dependency.unwrap_or_default()
    )
}

/// `source` with the literal after `let marker: u64 =` or `const MARKER: u64 =` set to `marker`.
pub fn with_marker(source: &str, marker: u64) -> Option<String> {
    let names = ["let marker: u64 = ", "const MARKER: u64 = "];
    let start = names
        .iter()
        .find_map(|name| Some(source.find(name)? + name.len()))?;
    let end = start + source[start..].find(';')?;
    Some(format!("{}{marker}{}", &source[..start], &source[end..]))
}

/// A program of about `lines` lines.
pub fn program(lines: usize, seed: u64) -> Program {
    let mut rng = Rng::new(seed);
    let mut names = Names::new(&mut rng);
    let mut exports = Exports::default();
    let mut tree = Tree::new(lines, &mut rng);
    let count = tree.modules.len();
    let mut left = lines.saturating_sub(150 + tree.folders() * 14);
    let mut files = Vec::new();
    for number in 0..count {
        let mean = left / (count - number);
        let target = if number + 1 == count {
            mean
        } else {
            mean * rng.between(50, 145) / 100
        };
        let mut maker = Maker {
            rng: &mut rng,
            names: &mut names,
            exports: &mut exports,
            module: &tree.modules[number].join("::"),
        };
        let text = file(&mut maker, number, target.clamp(60, 620), &tree);
        left = left.saturating_sub(text.lines().count());
        files.push((tree.modules[number].clone(), text));
        if number == count / 2 {
            let [area, folder, _] = &tree.modules[number];
            tree.step = [area.clone(), folder.clone(), "step".to_owned()];
            files.push((tree.step.clone(), step(&exports, &mut rng)));
        }
    }
    let mut files: Vec<(PathBuf, String)> = files
        .into_iter()
        .map(|(module, text)| {
            (
                module.iter().collect::<PathBuf>().with_extension("rs"),
                text,
            )
        })
        .collect();
    files.extend(tree.folder_files(&mut rng));
    files.push((
        "numbers.rs".into(),
        include_str!("templates/numbers.tpl").to_owned(),
    ));
    files.push((
        "world.rs".into(),
        include_str!("templates/world.tpl").to_owned(),
    ));
    let step = tree.step.iter().collect::<PathBuf>().with_extension("rs");
    Program { files, step }
}

fn file(maker: &mut Maker<'_>, number: usize, target: usize, tree: &Tree) -> String {
    let mut kinds = sections::ALL.to_vec();
    let mut made = Vec::new();
    let mut length = 30;
    if number == 0 {
        made.extend(sections::FIRST.iter().map(|kind| kind(maker)));
        length += lines_of(&made);
    }
    while length < target {
        maker.rng.shuffle(&mut kinds);
        for kind in &kinds {
            made.push(kind(maker));
            length = 30 + lines_of(&made);
            // Half a section is the mean error then.
            if length + 45 > target {
                length = target;
                break;
            }
        }
    }
    let name = maker.names.draw(maker.rng);
    let mut uses: BTreeSet<String> = made
        .iter()
        .flat_map(|section| section.uses.clone())
        .collect();
    uses.insert("crate::numbers::mix".to_owned());
    uses.retain(|path| {
        path.rsplit_once("::")
            .is_none_or(|(module, _)| module != format!("crate::{}", maker.module))
    });
    let before: Vec<String> = tree.modules[..number]
        .iter()
        .map(|module| module.join("::"))
        .collect();
    let count = maker.rng.between(1, 4);
    let texts: Vec<&str> = made.iter().map(|section| section.text.trim_end()).collect();
    let mut scope = Scope::default();
    scope
        .set("noun", name.noun)
        .set("adjective", name.adjective)
        .set("sections", texts.join("\n\n") + "\n")
        .column("uses", "path", uses)
        .column(
            "calls",
            "call",
            made.iter().map(|section| section.call.as_str()),
        )
        .column("deps", "path", maker.rng.sample(&before, count));
    scope.render(include_str!("templates/file.tpl"), maker.rng)
}

fn lines_of(made: &[sections::Section]) -> usize {
    made.iter()
        .map(|section| section.text.lines().count() + 1)
        .sum()
}

fn step(exports: &Exports, rng: &mut Rng) -> String {
    let record = rng.pick(&exports.records).clone();
    let store = rng.pick(&exports.stores).clone();
    let family = rng.pick(&exports.traits).clone();
    let mut scope = Scope::default();
    scope
        .set("Record", last_part(&record))
        .set("Store", last_part(&store))
        .set("Trait", last_part(&family.path))
        .set("all", last_part(&family.all));
    let own = [
        "crate::numbers::mix".to_owned(),
        "crate::world::World".to_owned(),
    ];
    let uses: BTreeSet<String> = [record, store, family.path, family.all]
        .into_iter()
        .chain(own)
        .collect();
    scope.column("uses", "path", uses);
    scope.render(include_str!("templates/step.tpl"), rng)
}

/// Which modules there are: areas hold folders, folders hold files.
#[derive(Debug)]
struct Tree {
    modules: Vec<[String; 3]>,
    step: [String; 3],
}

impl Tree {
    fn new(lines: usize, rng: &mut Rng) -> Self {
        let count = (lines.saturating_sub(150) / MEAN_FILE).max(1);
        let mut modules = Vec::new();
        let mut files = Vec::new();
        for number in 0..count {
            let folder = number / FILES_PER_FOLDER;
            if number % FILES_PER_FOLDER == 0 {
                files = rng.sample(FILES, FILES_PER_FOLDER);
            }
            modules.push([
                numbered(AREAS, folder / FOLDERS_PER_AREA),
                FOLDERS[folder % FOLDERS_PER_AREA].to_owned(),
                files[number % FILES_PER_FOLDER].to_owned(),
            ]);
        }
        let step = modules[0].clone();
        Self { modules, step }
    }

    fn folders(&self) -> usize {
        self.modules.len().div_ceil(FILES_PER_FOLDER)
    }

    /// `main.rs` and the `mod.rs` of each folder.
    fn folder_files(&self, rng: &mut Rng) -> Vec<(PathBuf, String)> {
        let modules: Vec<&[String; 3]> = self.modules.iter().chain([&self.step]).collect();
        let mut files = Vec::new();
        let areas: BTreeSet<String> = modules.iter().map(|module| module[0].clone()).collect();
        for area in &areas {
            let inside = modules.iter().filter(|module| module[0] == *area);
            let folders: BTreeSet<String> =
                inside.clone().map(|module| module[1].clone()).collect();
            files.push((
                PathBuf::from(area).join("mod.rs"),
                folder_file(area, &folders, rng),
            ));
            for folder in &folders {
                let names = inside.clone().filter(|module| module[1] == *folder);
                let names: BTreeSet<String> = names.map(|module| module[2].clone()).collect();
                files.push((
                    Path::new(area).join(folder).join("mod.rs"),
                    folder_file(folder, &names, rng),
                ));
            }
        }
        let helpers = ["numbers".to_owned(), "world".to_owned()];
        let all: BTreeSet<String> = areas.iter().cloned().chain(helpers).collect();
        let mut scope = Scope::default();
        scope
            .set("step", self.step.join("::"))
            .column("modules", "name", all)
            .column("areas", "name", areas);
        let main = scope.render(include_str!("templates/main.tpl"), rng);
        files.push(("main.rs".into(), main));
        files
    }
}

fn folder_file(name: &str, modules: &BTreeSet<String>, rng: &mut Rng) -> String {
    let parts = modules.iter().filter(|module| *module != "step");
    let mut scope = Scope::default();
    scope
        .set("noun", name)
        .column("modules", "name", modules)
        .column("parts", "name", parts);
    scope.render(include_str!("templates/folder.tpl"), rng)
}

/// The `number`th of `names`; beyond the last they get a number.
fn numbered(names: &[&str], number: usize) -> String {
    match number / names.len() {
        0 => names[number].to_owned(),
        round => format!("{}_{round}", names[number % names.len()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_program_of_the_wanted_size() {
        for lines in [1_000, 10_000, 40_000, 100_000] {
            let made = program(lines, 7);
            assert!(made == program(lines, 7), "{lines} lines");
            assert!(
                made.lines().abs_diff(lines) * 20 < lines,
                "{} for {lines}",
                made.lines()
            );
            let longest = made
                .files
                .iter()
                .map(|(_, text)| text.lines().count())
                .max();
            assert!(
                longest < Some(750),
                "{longest:?} lines in one file for {lines}"
            );
        }
    }

    #[test]
    fn the_marker_is_found_and_replaced() {
        let made = program(1_000, 7);
        let (_, text) = made
            .files
            .iter()
            .find(|(path, _)| *path == made.step)
            .expect("step");
        assert!(text.contains(&format!("let marker: u64 = {FIRST_MARKER};")));
        let edited = with_marker(text, 1234).expect("marker");
        assert_eq!(edited.replace("1234", "1000"), *text);
    }
}
