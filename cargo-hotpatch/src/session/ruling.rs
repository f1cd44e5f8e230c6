//! What rules an edit out before anything is compiled: the source, and what may be alive in the process.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use super::checks::misread;
use super::make::{Maker, refuse};
use crate::image::graph::CallGraph;
use crate::plan::alive::{self, Reasons};
use crate::plan::classify::{self, Facts};
use crate::plan::codes::Code;
use crate::plan::index::{Index, Vertex};
use crate::plan::overrides::{Overrides, overrides};
use crate::plan::reach::{Changed, Plan, compiled_with};
use crate::plan::verdict::Refusal;
use crate::source::diff::{Became, Changes};
use crate::source::file::{FnKey, Function, Kind, OtherItem, Shape};
use crate::source::items::CrateSource;
use crate::source::{privacy, shadows};

/// What was found out about an edit before it is judged.
pub(super) struct Judged {
    /// For each type whose values look different now why there may be some.
    pub(super) alive: BTreeMap<String, Reasons>,
    /// Traits with other methods of which there can be no trait objects.
    pub(super) static_traits: BTreeSet<String>,
    /// Methods that came to take the place of what a trait provides, or went.
    pub(super) overrides: Overrides,
}

impl Maker<'_> {
    /// Methods that took the place of what a trait provides, or went, where everybody who calls them is found.
    pub(super) fn overrides(
        &self,
        old: &[CrateSource],
        new: &[CrateSource],
        changes: &[Changes],
    ) -> Overrides {
        // Optimised code calls in place, where no symbol tells what.
        let mut crates = self.world.crates.iter();
        if crates.any(|krate| krate.unit.args.optimised()) {
            return Overrides::default();
        }
        overrides(old, new, changes)
    }

    /// A function that changed and whose code is not found in the program, though it must be there: who calls it is not
    /// known then.
    pub(super) fn lost(
        &self,
        sources: &[CrateSource],
        index: &Index,
        changed: &Changed,
    ) -> Option<Refusal> {
        let mut all = changed.edited.union(&changed.suspected);
        let vertex = all.find(|vertex| {
            let Some(known) = index.known(**vertex) else {
                return false;
            };
            let was_built = |key: &FnKey| {
                let built = self.world.built[known.krate].function(key);
                built.is_some_and(|(_, function)| function.shape == Shape::Plain)
            };
            known.shape == Shape::Plain
                && known.nodes.is_empty()
                && known.keys.iter().any(was_built)
        })?;
        let refusal = refuse(sources, index, *vertex, Code::HP0001, |path| {
            format!("the code of `{path}` is not found in the program")
        })?;
        Some(
            refusal
                .because("who calls it is not known, so that some of them might keep the old code"),
        )
    }

    /// For each type whose values look different now why there may be some.
    pub(super) fn alive(
        &self,
        old: &[CrateSource],
        new: &[CrateSource],
        changes: &[Changes],
        graph: &CallGraph,
    ) -> BTreeMap<String, Reasons> {
        let items = changes.iter().flat_map(|changes| &changes.items);
        let types = items.filter(|change| {
            change.item.kind == Kind::Type
                && change.became != Became::Added
                && !change.keeps_values()
        });
        let names: BTreeSet<String> = types.flat_map(|change| change.item.names.clone()).collect();
        let optimised = self
            .world
            .crates
            .iter()
            .any(|krate| krate.unit.args.optimised());
        let is_hot = |krate: usize, function: &Function| {
            let known = self.world.built[krate].function(&function.key);
            known.is_some_and(|(_, function)| function.hot)
        };
        names
            .into_iter()
            .map(|name| {
                let mut reasons = alive::reasons(&name, old, new, graph, &is_hot);
                if optimised && reasons.is_empty() {
                    reasons.push("optimised code, which does not show who keeps it".to_owned());
                }
                (name, reasons)
            })
            .collect()
    }

    /// The first reason not to patch these changes.
    pub(super) fn refusal(
        &self,
        old: &[CrateSource],
        new: &[CrateSource],
        changes: &[Changes],
        index: &Index,
        judged: &Judged,
    ) -> Option<Refusal> {
        let storage = &self.world.storage;
        let moved = |(krate, changes)| storage.refusal(krate, (&old[krate], new), changes);
        let moved = changes.iter().enumerate().find_map(moved);
        let refused = changes.iter().enumerate().find_map(|(krate, changes)| {
            let is_hot = |key: &_| {
                old[krate]
                    .function(key)
                    .is_some_and(|(_, function)| function.hot)
                    || index
                        .find(krate, key)
                        .and_then(|vertex| index.known(vertex))
                        .is_some_and(|known| known.hot)
            };
            let optimised = self.world.crates[krate].unit.args.optimised();
            let known = Facts {
                optimised,
                is_hot: &is_hot,
                alive: &judged.alive,
                static_traits: &judged.static_traits,
                krate,
                overrides: &judged.overrides,
            };
            classify::refusal(&old[krate], &new[krate], changes, &known)
        });
        refused.or(moved).or_else(|| shared_file(old, new, changes))
    }
}

/// The crates with functions that may name now what is private to another place.
pub(super) fn with_trespassers(
    old: &[CrateSource],
    new: &[CrateSource],
    changes: &[Changes],
) -> BTreeSet<usize> {
    let is_one = |krate: &usize| {
        let Changes {
            bodies,
            signatures,
            added,
            items,
            ..
        } = &changes[*krate];
        let mut keys = bodies.iter().chain(signatures).chain(added);
        keys.any(|key| {
            let now = new[*krate].function(key);
            now.is_some_and(|now| {
                privacy::may_trespass(new, *krate, now, old[*krate].function(key))
            })
        }) || items
            .iter()
            .any(|change| privacy::may_trespass_in_item(new, *krate, change))
    };
    (0..new.len()).filter(is_one).collect()
}

/// A function in the patch, or compiled into it through a scope, that would take a private constant for a trait's, or what
/// is private for what a glob import or the prelude brings.
pub(super) fn mistaken(
    sources: &[CrateSource],
    externs: &BTreeSet<(usize, String)>,
    index: &Index,
    include: &BTreeSet<Vertex>,
) -> Option<Refusal> {
    let namesakes = privacy::namesakes(sources);
    let all = sources.iter().enumerate();
    let with_globs: BTreeSet<Vertex> = all
        .flat_map(|(krate, source)| {
            source
                .functions()
                .map(move |(_, function)| (krate, function))
        })
        .filter(|(_, function)| !function.globs.is_empty())
        .filter_map(|(krate, function)| index.find(krate, &function.key))
        .collect();
    let has_shadows = sources.iter().any(|source| !source.shadows.is_empty());
    if namesakes.is_empty() && with_globs.is_empty() && !has_shadows {
        return None;
    }
    let inside = LazyCell::new(|| shadows::Inside::of(sources, externs));
    for vertex in compiled_with(index, include) {
        let Some(known) = index.known(vertex) else {
            continue;
        };
        if let Some(name) = privacy::mistaken(&namesakes, known.spot(), &known.mentions) {
            let why = format!("`{name}` is also a private constant");
            return misread(sources, index, vertex, why);
        }
        let source = &sources[known.krate];
        if !source.shadows.contains_key(&known.module) && !with_globs.contains(&vertex) {
            continue;
        }
        let functions = known.keys.iter().filter_map(|key| source.function(key));
        for (file, function) in functions {
            let text = &file.parsed.text[function.body.clone()];
            if let Some(name) = shadows::unknown(source, &known.module, (text, &known.mentions)) {
                let why = format!("`{name}` is also private where a glob import takes all from");
                return misread(sources, index, vertex, why);
            }
            if function.globs.is_empty() {
                continue;
            }
            let (globs, mentions) = (&function.globs, &known.mentions);
            if let Some(name) = inside.taken(known.spot(), globs, mentions) {
                let why =
                    format!("`{name}` is also private where a glob import in it takes all from");
                return misread(sources, index, vertex, why);
            }
        }
    }
    None
}

/// Whether old code goes on with what it has of a function whose body tells its users more than its signature does: whether
/// the future of an `async fn`, or what an `impl Trait` stands for, may go to other threads.
pub(super) fn tells_old_code(sources: &[CrateSource], index: &Index, plan: &Plan) -> bool {
    let outside = plan.outside.iter();
    let mut used = outside.filter(|(_, callers)| !callers.is_empty());
    used.any(|(vertex, _)| {
        let Some(known) = index.known(*vertex) else {
            return false;
        };
        let source = &sources[known.krate];
        let mut functions = known.keys.iter().filter_map(|key| source.function(key));
        functions.any(|(file, function)| {
            let sig = &file.parsed.text[function.sig.clone()];
            let mut words = sig.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.any(|word| matches!(word, "async" | "impl"))
        })
    })
}

/// Whether a hot `async fn` comes to call itself, by way of other such functions perhaps, without a box of the user's: a hot
/// build, where each is in a box, takes that.
pub(super) fn recurs(
    old: &[CrateSource],
    new: &[CrateSource],
    index: &Index,
    changes: &[Changes],
) -> bool {
    let edited = changes.iter().enumerate().flat_map(|(krate, changes)| {
        let keys = changes.bodies.iter().chain(&changes.signatures);
        keys.map(move |key| (krate, key))
    });
    for (krate, key) in edited {
        let (Some(vertex), Some((_, function))) =
            (index.find(krate, key), new[krate].function(key))
        else {
            continue;
        };
        let before = old[krate].function(key);
        if function.future.is_none()
            || before.is_some_and(|(_, before)| before.mentions == function.mentions)
        {
            continue;
        }
        let mut seen = BTreeSet::new();
        let mut queue = vec![vertex];
        while let Some(known) = queue.pop().and_then(|vertex| index.known(vertex)) {
            let named = known.mentions.iter().flat_map(|name| index.named(name));
            for called in named {
                if called == vertex {
                    return true;
                }
                let is_async = index.known(called).is_some_and(|known| {
                    let mut keys = known.keys.iter();
                    known.future
                        || keys.any(|key| {
                            let found = new[known.krate].function(key);
                            found.is_some_and(|(file, function)| {
                                file.parsed.text[function.sig.clone()].contains("async")
                            })
                        })
                });
                if is_async && seen.insert(called) {
                    queue.push(called);
                }
            }
        }
    }
    false
}

/// A file that is more than one module: an edit of it is one of several functions at once.
pub(super) fn shared_file(
    old: &[CrateSource],
    new: &[CrateSource],
    changes: &[Changes],
) -> Option<Refusal> {
    for (krate, changes) in changes.iter().enumerate() {
        let source = &new[krate];
        let keys = changes
            .bodies
            .iter()
            .chain(&changes.signatures)
            .chain(&changes.added);
        let functions = keys.filter_map(|key| source.function(key));
        let functions = functions.map(|(file, function)| (&file.path, function.place));
        let items = changes
            .items
            .iter()
            .map(|change| (&change.file, change.place));
        for (path, place) in functions.chain(items) {
            let is_shared = |source: &CrateSource| {
                source
                    .files
                    .iter()
                    .filter(|file| file.path == *path)
                    .count()
                    > 1
            };
            if is_shared(source) || is_shared(&old[krate]) {
                let message =
                    "a change to a file that is more than one module is not supported yet";
                return Some(Refusal::new(Code::HP0001, message, path, place));
            }
        }
    }
    None
}

/// Traits with other methods of which there can be no trait objects.
pub(super) fn static_traits(
    old: &[CrateSource],
    new: &[CrateSource],
    changes: &[Changes],
    graph: &CallGraph,
) -> BTreeSet<String> {
    let items = changes.iter().flat_map(|changes| &changes.items);
    let changed = items.filter(|change| {
        let same_frame = |old: &OtherItem| old.helpers == change.item.helpers;
        change.item.kind == Kind::Trait
            && change.became == Became::Changed
            && change.old.as_ref().is_some_and(same_frame)
    });
    let names: BTreeSet<String> = changed
        .flat_map(|change| change.item.names.clone())
        .collect();
    if names.is_empty() {
        return names;
    }
    let objects = alive::objects(&names, old, new, graph);
    names.difference(&objects).cloned().collect()
}
