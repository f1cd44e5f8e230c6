//! A whole crate by path: its files, found the way rustc finds them, and its functions by key.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::cfg::Cfg;
use super::file::{self, FnKey, Function, OtherItem, Owner, ParsedFile};
use super::foreign::ForeignTraits;
use super::shadows::Shadows;

/// Where texts come from.
pub trait Files: Sync {
    /// The text of a file.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    fn read(&self, path: &Path) -> io::Result<Arc<str>>;

    /// Equal for equal bytes; none if there is no such file.
    fn fingerprint(&self, path: &Path) -> Option<u64> {
        self.read(path)
            .ok()
            .map(|text| fingerprint(text.as_bytes()))
    }
}

/// Equal for equal bytes.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// One file of a crate.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Absolute path.
    pub path: PathBuf,
    /// The module it is.
    pub module: Arc<[String]>,
    /// What is in it.
    pub parsed: Arc<ParsedFile>,
}

/// All files of a crate, the root first.
#[derive(Debug, Clone, Default)]
pub struct CrateSource {
    /// The crate's name.
    pub name: String,
    /// Its files in the order they are reached.
    pub files: Vec<SourceFile>,
    /// The names that a scope would take away, see [`super::shadows`].
    pub shadows: Shadows,
    /// The traits that a scope shows where the crate does not, see [`super::foreign`].
    pub foreign_traits: ForeignTraits,
}

/// Why a crate cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file does not parse, which rustc can say better.
    #[error("`{path}` does not parse: {error}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What syn says.
        error: syn::Error,
    },
    /// A module's file is missing or cannot be read.
    #[error("failed to read `{path}`: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl CrateSource {
    /// Reads a crate from its root file; files whose text `old` has are not parsed again.
    ///
    /// # Errors
    /// A file of the crate is missing or does not parse.
    pub fn read(
        name: &str,
        root: &Path,
        cfg: &Cfg,
        files: &dyn Files,
        old: Option<&Self>,
    ) -> Result<Self, ReadError> {
        let mut out = Self {
            name: name.to_owned(),
            files: Vec::new(),
            shadows: Shadows::new(),
            foreign_traits: ForeignTraits::new(),
        };
        let mut seen = BTreeSet::new();
        let root = Wanted {
            path: root.to_owned(),
            module: Arc::from([]),
            owns_folder: true,
        };
        let mut level = vec![root];
        // A module tree may name one file twice; a cycle would not end.
        while !level.is_empty() && seen.len() < 100_000 {
            level.retain(|wanted| {
                wanted.module.len() <= 64
                    && seen.insert((wanted.path.clone(), wanted.module.clone()))
            });
            let known: HashMap<(&Path, &[String]), &SourceFile> = old
                .iter()
                .flat_map(|old| &old.files)
                .map(|file| ((file.path.as_path(), &*file.module), file))
                .collect();
            let one = |wanted: &Wanted| wanted.read(cfg, files, &known);
            let (left, right) = level.split_at(level.len() / 2);
            let results: Vec<_> = if level.len() < 4 {
                level.iter().map(one).collect()
            } else {
                std::thread::scope(|scope| {
                    let left = scope.spawn(|| left.iter().map(one).collect::<Vec<_>>());
                    let right: Vec<_> = right.iter().map(one).collect();
                    let left = left
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    left.into_iter().chain(right).collect()
                })
            };
            let mut next = Vec::new();
            for (wanted, result) in level.into_iter().zip(results) {
                let file = result?;
                next.extend(wanted.children(&file.parsed, files));
                out.files.push(file);
            }
            level = next;
        }
        Ok(out)
    }

    /// All functions with their files.
    pub fn functions(&self) -> impl Iterator<Item = (&SourceFile, &Function)> {
        self.files.iter().flat_map(|file| {
            file.parsed
                .functions
                .iter()
                .map(move |function| (file, function))
        })
    }

    /// All other items.
    pub fn items(&self) -> impl Iterator<Item = &OtherItem> {
        self.files.iter().flat_map(|file| &file.parsed.items)
    }

    /// The function with this key.
    #[must_use]
    pub fn function(&self, key: &FnKey) -> Option<(&SourceFile, &Function)> {
        self.functions().find(|(_, function)| function.key == *key)
    }

    /// Types with a `Deref`: a field of theirs that becomes visible may take the place of one behind it, so
    /// theirs stay as they are.
    #[must_use]
    pub fn deref_types(&self) -> BTreeSet<String> {
        let impls = self
            .functions()
            .filter_map(|(_, function)| match &function.owner {
                Owner::Impl(head) if head.trait_name.as_deref() == Some("Deref") => {
                    Some(head.self_name.clone())
                }
                _ => None,
            });
        let derived = self
            .items()
            .filter(|item| item.names_deref)
            .flat_map(|item| item.names.iter().cloned());
        impls.chain(derived).collect()
    }

    /// For each trait the module that may name it, if not everybody may. Where two have one name it is not known.
    #[must_use]
    pub fn homes_of_traits(&self) -> BTreeMap<&str, Option<Arc<[String]>>> {
        let traits = self.items().filter(|item| item.kind == file::Kind::Trait);
        let mut out = BTreeMap::new();
        for item in traits {
            for name in &item.names {
                out.entry(name.as_str())
                    .and_modify(|home| *home = None)
                    .or_insert_with(|| item.home.clone());
            }
        }
        out
    }

    /// Names of `macro_rules!` macros.
    #[must_use]
    pub fn macro_names(&self) -> BTreeSet<&str> {
        self.items()
            .filter(|item| item.kind == file::Kind::MacroRules)
            .flat_map(|item| item.names.iter().map(String::as_str))
            .collect()
    }

    /// What a reader calls it: `crate::module::function`, `crate::Type::method`,
    /// `crate::<Type as Trait>::method`.
    #[must_use]
    pub fn path_of(&self, function: &Function) -> String {
        let mut path = vec![self.name.as_str()];
        path.extend(function.module.iter().map(String::as_str));
        let of_trait;
        match &function.owner {
            Owner::Free => {}
            Owner::Impl(head) => match &head.trait_name {
                Some(name) => {
                    let known = Some(&head.self_name).filter(|name| *name != "?");
                    of_trait = format!("<{} as {name}>", known.unwrap_or(&head.self_ty));
                    path.push(&of_trait);
                }
                None => path.push(&head.self_name),
            },
            Owner::Trait(name) => path.push(name),
        }
        let name = raw(&function.name);
        path.push(&name);
        path.join("::")
    }

    /// The file at this path.
    #[must_use]
    pub fn file(&self, path: &Path) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// A file that the module tree names.
struct Wanted {
    path: PathBuf,
    module: Arc<[String]>,
    /// Its modules lie beside it and not in a folder of its name.
    owns_folder: bool,
}

impl Wanted {
    fn read(
        &self,
        cfg: &Cfg,
        files: &dyn Files,
        known: &HashMap<(&Path, &[String]), &SourceFile>,
    ) -> Result<SourceFile, ReadError> {
        let Self { path, module, .. } = self;
        let text = files.read(path).map_err(|error| ReadError::Io {
            path: path.clone(),
            error,
        })?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let taken_in = |parsed: &ParsedFile| -> Vec<(String, Option<u64>)> {
            let names = parsed.included.iter().map(|(name, _)| name);
            names
                .map(|name| (name.clone(), files.fingerprint(&plain(&folder.join(name)))))
                .collect()
        };
        let same = known
            .get(&(path.as_path(), &**module))
            .filter(|file| Arc::ptr_eq(&file.parsed.text, &text) || file.parsed.text == text)
            .filter(|file| {
                file.parsed.included.is_empty() || taken_in(&file.parsed) == file.parsed.included
            });
        let parsed = match same {
            Some(file) => file.parsed.clone(),
            None => {
                let mut parsed =
                    file::parse(&text, module, cfg).map_err(|error| ReadError::Syntax {
                        path: path.clone(),
                        error,
                    })?;
                if !parsed.included.is_empty() {
                    parsed.take_in(taken_in(&parsed));
                }
                Arc::new(parsed)
            }
        };
        Ok(SourceFile {
            path: path.clone(),
            module: module.clone(),
            parsed,
        })
    }

    fn children(&self, parsed: &ParsedFile, files: &dyn Files) -> Vec<Self> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let own = if self.owns_folder {
            folder.to_owned()
        } else {
            folder.join(self.path.file_stem().unwrap_or_default())
        };
        let child = |child: &file::ModuleFile| {
            let name = child.path.last().cloned().unwrap_or_default();
            let inside = child
                .inline
                .iter()
                .fold(own.clone(), |at, part| at.join(part));
            let (path, owns_folder) = match &child.explicit {
                Some(given) if child.inline.is_empty() => (folder.join(given), true),
                Some(given) => (inside.join(given), true),
                None => {
                    let flat = inside.join(format!("{name}.rs"));
                    let nested = inside.join(&name).join("mod.rs");
                    if files.read(&flat).is_err() && files.read(&nested).is_ok() {
                        (nested, true)
                    } else {
                        (flat, false)
                    }
                }
            };
            Self {
                path,
                module: child.path.clone(),
                owns_folder,
            }
        };
        parsed.module_files.iter().map(child).collect()
    }
}

/// The same path without `.` and `..`, as far as that can be seen from the path alone.
#[must_use]
pub fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// A name as code must spell it: `r#type`.
#[must_use]
pub fn raw(name: &str) -> Cow<'_, str> {
    if syn::parse_str::<syn::Ident>(name).is_ok() || matches!(name, "self" | "super" | "crate") {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("r#{name}"))
    }
}

#[cfg(test)]
pub mod fake {
    //! A file system in memory, for tests.

    use super::*;

    impl Files for BTreeMap<PathBuf, Arc<str>> {
        fn read(&self, path: &Path) -> io::Result<Arc<str>> {
            self.get(path)
                .cloned()
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    /// A crate `app` from `(path below /, text)`, the first being the root.
    pub fn krate(files: &[(&str, &str)]) -> CrateSource {
        let root = Path::new("/").join(files[0].0);
        let map: BTreeMap<PathBuf, Arc<str>> = files
            .iter()
            .map(|(path, text)| (Path::new("/").join(path), Arc::from(*text)))
            .collect();
        CrateSource::read("app", &root, &Cfg::default(), &map, None).expect("the sample parses")
    }
}

#[cfg(test)]
mod tests {
    use super::fake::krate;

    #[test]
    fn functions_are_called_what_a_reader_calls_them() {
        let text = "fn r#match() {} trait T { fn d() {} } struct S; impl S { fn m() {} } \
                    impl T for S { fn d() {} } impl<X> a::U for [u8] { fn u() {} }";
        let krate = krate(&[("src/main.rs", text)]);
        let names: Vec<_> = krate.functions().map(|(_, f)| krate.path_of(f)).collect();
        assert_eq!(
            names,
            [
                "app::r#match",
                "app::T::d",
                "app::S::m",
                "app::<S as T>::d",
                "app::<[u8] as U>::u"
            ]
        );
    }

    #[test]
    fn modules_are_found_where_rustc_finds_them() {
        let krate = krate(&[
            (
                "src/main.rs",
                "mod a; mod b { mod c; } #[path = \"other/x.rs\"] mod d; fn main() {}",
            ),
            ("src/a.rs", "mod e; fn f() {}"),
            ("src/a/e/mod.rs", "mod g;"),
            ("src/a/e/g.rs", "struct S; impl S { fn m(&self) {} }"),
            ("src/b/c.rs", ""),
            ("src/other/x.rs", "mod y;"),
            ("src/other/y.rs", ""),
        ]);
        let paths: Vec<_> = krate.files.iter().map(|f| f.module.join("::")).collect();
        assert_eq!(paths, ["", "a", "b::c", "d", "a::e", "d::y", "a::e::g"]);
        let names: Vec<_> = krate.functions().map(|(_, f)| krate.path_of(f)).collect();
        assert_eq!(names, ["app::main", "app::a::f", "app::a::e::g::S::m"]);
    }
}
