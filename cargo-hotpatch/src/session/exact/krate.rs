//! A crate of the workspace: what it is compiled from, and the objects that came of it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use anyhow::{Result, ensure};
use xxhash_rust::xxh3::xxh3_128;

use super::objects::{self, Objects};
use super::sources::{Inputs, look};
use crate::build::base::Stamp;
use crate::build::capture::Unit;
use crate::build::replay::mir;
use crate::command::CancelToken;
use crate::object::names::Names;
use crate::plan::disguises::Casts;

/// What code takes for something else, with the hashes of the objects of which that is true.
pub(super) type CastsOfObjects = (HashSet<u128>, Casts);

/// A crate of the workspace.
pub(super) struct Crate {
    pub(super) unit: Unit,
    pub(super) inputs: Inputs,
    /// The objects that the program was linked of: whose code runs in a process that has just started.
    pub(super) base: Objects,
    /// The objects whose code runs, as far as it is compared.
    pub(super) running: Objects,
    /// The objects that were compiled last when the tests were run last; those of the base, if they were not since then.
    pub(super) tested: Option<Objects>,
    /// The objects as they were compiled last.
    pub(super) latest: Objects,
    /// Of what other crates see of it.
    pub(super) metadata: Option<u128>,
    /// The libraries and macros of others that it was compiled with.
    pub(super) externs: Vec<(PathBuf, Stamp)>,
    /// What its code takes for something else, and the objects of which that is true.
    pub(super) casts: Option<CastsOfObjects>,
    /// The same of text that is not compiled yet.
    pub(super) early_casts: Option<EarlyCasts>,
    /// cargo does not build it any more. Its code and state are in the process all the same.
    pub(super) is_absent: bool,
}

impl Crate {
    /// A crate of which nothing runs and nothing was compiled yet.
    pub(super) fn new(unit: Unit, inputs: Inputs) -> Self {
        Self {
            unit,
            inputs,
            base: Objects::new(),
            running: Objects::new(),
            tested: None,
            latest: Objects::new(),
            metadata: None,
            externs: Vec::new(),
            casts: None,
            early_casts: None,
            is_absent: false,
        }
    }

    /// Sees that [`Crate::casts`] are those of the code that was compiled last.
    pub(super) fn read_casts(&mut self, cancel: &CancelToken) -> Result<()> {
        let hashes = objects::hashes(self.latest.iter());
        if self.casts.as_ref().is_some_and(|(of, _)| *of == hashes) {
            return Ok(());
        }
        let early = self.early_casts.take();
        let casts = match early.and_then(|early| early.of(&self.inputs.hashes())) {
            Some(casts) => casts,
            None => casts_of(&self.unit, cancel)?,
        };
        self.casts = Some((hashes, casts));
        Ok(())
    }

    /// Begins to read the casts of the text that is there now: an edit may need them once it is compiled.
    pub(super) fn read_casts_early(&mut self) {
        self.early_casts = Some(EarlyCasts::begin(&self.unit, &self.inputs));
    }

    /// Takes in the objects in these files, which were compiled from what was there when `look` was taken. If one of them
    /// cannot be read the crate counts as not compiled, so that the next save does it again.
    pub(super) fn read_compiled(
        &mut self,
        paths: &[PathBuf],
        look: &BTreeMap<PathBuf, Option<u128>>,
        others: &HashSet<Vec<u8>>,
        names: &mut Names,
    ) -> Result<()> {
        self.inputs.compiled(&self.unit, look);
        let own = spellings(&self.unit, &self.inputs);
        let is_source = |path: &[u8]| own.contains(path) || others.contains(path);
        let mut known = self.running.clone();
        known.extend(self.latest.iter().cloned());
        match objects::read(paths, &known, names, &is_source) {
            Ok(objects) => self.latest = objects,
            Err(error) => {
                self.inputs.expire();
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What a crate's code takes for something else, read in the background. Dropped, it ends.
pub(super) struct EarlyCasts {
    made: Receiver<(Hashes, Casts)>,
    cancel: CancelToken,
}

/// Files with the hashes of what they hold.
type Hashes = BTreeMap<PathBuf, u128>;

impl EarlyCasts {
    fn begin(unit: &Unit, inputs: &Inputs) -> Self {
        let (say, made) = channel();
        let cancel = CancelToken::new();
        let (unit, ending) = (unit.clone(), cancel.clone());
        let files: Vec<PathBuf> = inputs.files().cloned().collect();
        thread::spawn(move || {
            // Whatever is wrong shows when it is needed.
            if let Ok(casts) = casts_and_text(&unit, &files, &ending) {
                let _ = say.send(casts);
            }
        });
        Self { made, cancel }
    }

    /// The casts of this text, if it is what was read.
    fn of(self, text: &Hashes) -> Option<Casts> {
        let (read, casts) = self.made.recv().ok()?;
        (read == *text).then_some(casts)
    }
}

impl Drop for EarlyCasts {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn casts_of(unit: &Unit, cancel: &CancelToken) -> Result<Casts> {
    let mut casts = Casts::new(unit.compiled.optimised());
    mir(unit, cancel, |line| casts.line(line))?;
    Ok(casts)
}

/// The casts of a crate with the text that they are of.
///
/// # Errors
/// As [`mir`]; or the text has changed meanwhile.
pub(super) fn casts_and_text(
    unit: &Unit,
    files: &[PathBuf],
    cancel: &CancelToken,
) -> Result<(Hashes, Casts)> {
    let text = || -> Hashes {
        let seen = look(files).into_iter();
        seen.filter_map(|(path, hash)| Some((path, hash?)))
            .collect()
    };
    let before = text();
    let casts = casts_of(unit, cancel)?;
    ensure!(before == text(), "the crate was saved meanwhile");
    Ok((before, casts))
}

/// Of what other crates see of a crate.
pub(super) fn metadata_of(unit: &Unit) -> Option<u128> {
    let path = unit.rlib.with_extension("rmeta");
    fs::read(path).ok().map(|bytes| xxh3_128(&bytes))
}

/// The files of these crates as rustc spells them in panic messages. Code of one crate may be inlined into another's.
pub(super) fn sources(crates: &[Crate]) -> HashSet<Vec<u8>> {
    let spelled = crates
        .iter()
        .map(|krate| spellings(&krate.unit, &krate.inputs));
    spelled.flatten().collect()
}

/// The crate's files as rustc spells them in panic messages, with and without the folder that it ran in.
fn spellings(unit: &Unit, inputs: &Inputs) -> HashSet<Vec<u8>> {
    let spelled = inputs
        .files()
        .flat_map(|file| [unit.spelling(file), file.clone()]);
    spelled
        .map(|path| path.into_os_string().into_encoded_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::{Crate, Inputs};
    use crate::build::capture::Unit;
    use crate::build::rustc::RustcArgs;
    use crate::image::samples::Samples;
    use crate::object::names::Names;
    use std::ffi::OsString;
    use std::fs;
    use std::path::Path;

    #[test]
    fn a_crate_whose_objects_cannot_be_read_is_compiled_again() {
        let samples = Samples::new();
        let out_dir = samples.path("").display().to_string();
        let call = ["--crate-name", "app", "app.rs", "--out-dir", &out_dir];
        let args = RustcArgs::new(&call.map(OsString::from)).unwrap();
        let unit = Unit::of_call(Path::new("rustc"), args).unwrap();
        let mut krate = Crate::new(unit, Inputs::unknown());
        let object = samples.path("app.rcgu.o");
        let whole = samples.object("pub fn one() -> u32 { 1 }", &["-Clink-dead-code"]);
        let mut names = Names::default();
        let mut read = |krate: &mut Crate| {
            krate.read_compiled(
                std::slice::from_ref(&object),
                &BTreeMap::new(),
                &HashSet::new(),
                &mut names,
            )
        };

        fs::write(&object, &whole).unwrap();
        read(&mut krate).unwrap();
        assert!(!krate.inputs.is_stale());
        assert_eq!(krate.latest.len(), 1);

        fs::write(&object, &whole[..whole.len() / 2]).unwrap();
        assert!(read(&mut krate).is_err());
        assert!(krate.inputs.is_stale());
        // What was there before is still known.
        assert_eq!(krate.latest.len(), 1);

        fs::write(&object, &whole).unwrap();
        read(&mut krate).unwrap();
        assert!(!krate.inputs.is_stale());

        fs::remove_file(&object).unwrap();
        assert!(read(&mut krate).is_err());
        assert!(krate.inputs.is_stale());
    }
}
