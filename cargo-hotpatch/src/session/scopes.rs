//! The scopes that a patch is compiled against, each in front of those that it uses.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;

use super::world::{Krate, World};
use crate::build::scope::{Scope, Tells, Wanted};
use crate::command::CancelToken;
use crate::source::diff::scope_key;
use crate::source::file::FnKey;
use crate::source::items::CrateSource;

/// How a crate is seen by a patch.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its scope, if one was wanted or needed.
    pub scope: Option<Scope>,
    /// Scopes that stand for libraries it uses, and for those that they use.
    pub libraries: BTreeMap<String, Scope>,
    /// Its items, or those it uses, are not the base's.
    pub differs: bool,
}

/// Where a patch's instances of generic code come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instances {
    /// From the program, where it has them.
    Shared,
    /// The patch has its own, but of functions that are never inlined: rustc knows that the program has those.
    Own,
    /// The patch has its own, and rustc knows of no others.
    Alone,
}

impl Instances {
    /// What scopes tell of the program's.
    pub(super) fn told(self) -> Tells {
        match self {
            Self::Shared | Self::Own => Tells::Instances,
            Self::Alone => Tells::Nothing,
        }
    }
}

impl World {
    /// The scopes of the crates for which `wanted` holds, and for each crate the scopes that stand for
    /// libraries whose items are not the base's any more, or for all where the base's tell of instances and may not. For
    /// `keeps_made` see [`Wanted`].
    ///
    /// # Errors
    /// rustc refuses a scope, or was cancelled.
    pub fn scopes(
        &mut self,
        sources: &[CrateSource],
        wanted: &[bool],
        tells: Tells,
        keeps_made: bool,
        cancel: &CancelToken,
    ) -> Result<Vec<Seen>> {
        let alone = tells == Tells::Nothing;
        let used = self.with_libraries(wanted);
        let none = BTreeSet::new();
        let changed: Vec<bool> = self
            .crates
            .iter()
            .zip(sources)
            .map(|(krate, source)| scope_key(source) != krate.base_scope)
            .collect();
        let mut out: Vec<Seen> = Vec::new();
        for number in 0..self.crates.len() {
            let krate = &self.crates[number];
            let mut libraries = BTreeMap::new();
            for stem in krate.unit.externs() {
                let found = self.crates.iter().position(|other| other.tag == stem);
                let seen = found.and_then(|at| out.get(at)).filter(|seen| seen.differs);
                if let Some((seen, scope)) =
                    seen.and_then(|seen| Some((seen, seen.scope.as_ref()?)))
                {
                    // It refers to the scopes of what it uses itself.
                    libraries.extend(seen.libraries.clone());
                    libraries.insert(format!("lib{stem}"), scope.clone());
                    libraries.extend(found.and_then(|at| out.get(at)).into_iter().flat_map(
                        |seen| {
                            seen.libraries
                                .iter()
                                .map(|(name, scope)| (name.clone(), scope.clone()))
                        },
                    ));
                }
            }
            let differs = changed[number] || !libraries.is_empty() || alone;
            let scope = if wanted[number] || (differs && (!alone || used[number])) {
                let want = Wanted {
                    unit: &krate.unit,
                    source: &sources[number],
                    changed: &libraries,
                    open: &none,
                    tells,
                    keeps_made,
                };
                match want.existing() {
                    Some(scope) => Some(scope),
                    None => {
                        let open = self.reached()?.get(number).cloned().unwrap_or_default();
                        let unit = &self.crates[number].unit;
                        let source = &sources[number];
                        // What an edited body uses may have no instance in the program.
                        let open = if unit.args.shares_instances() && !alone {
                            unedited(&open, &self.built[number], source)
                        } else {
                            BTreeSet::new()
                        };
                        let open = &open;
                        Some(
                            Wanted {
                                unit,
                                source,
                                changed: &libraries,
                                open,
                                tells,
                                keeps_made,
                            }
                            .make(cancel)?,
                        )
                    }
                }
            } else {
                None
            };
            out.push(Seen {
                scope,
                libraries,
                differs,
            });
        }
        Ok(out)
    }

    /// These crates and all that they use.
    fn with_libraries(&self, wanted: &[bool]) -> Vec<bool> {
        let mut used = wanted.to_vec();
        // A crate comes after those that it uses.
        for number in (0..self.crates.len())
            .rev()
            .filter(|number| wanted.len() > *number)
        {
            if !used[number] {
                continue;
            }
            for stem in self.crates[number].unit.externs() {
                let found = self.crates.iter().position(|other| other.tag == stem);
                if let Some(found) = found {
                    used[found] = true;
                }
            }
        }
        used
    }
}

/// What crates call others that have another name.
pub(super) fn extern_names(crates: &[Krate]) -> BTreeSet<(usize, String)> {
    let names = crates.iter().flat_map(|krate| krate.unit.extern_names());
    names
        .filter_map(|(name, stem)| {
            let found = crates.iter().position(|other| other.tag == stem)?;
            (crates[found].unit.krate != name).then_some((found, name))
        })
        .collect()
}

/// Those of these functions that read as they did when the base was built.
fn unedited(keys: &BTreeSet<FnKey>, base: &CrateSource, now: &CrateSource) -> BTreeSet<FnKey> {
    let codes = |source: &CrateSource| -> HashMap<FnKey, u64> {
        source
            .functions()
            .map(|(_, function)| (function.key.clone(), function.code))
            .collect()
    };
    let (base, now) = (codes(base), codes(now));
    keys.iter()
        .filter(|key| {
            base.get(*key)
                .is_some_and(|code| now.get(*key) == Some(code))
        })
        .cloned()
        .collect()
}
