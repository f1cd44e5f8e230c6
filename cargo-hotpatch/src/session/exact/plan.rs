//! What the crates as they were compiled last mean for the process: nothing, a refusal, or a patch.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::engine::{Engine, all_definitions};
use super::objects::{ObjectFile, Objects, facts_beside, hashes};
use super::refusals::{
    is_of_another_kind, is_outgrown, is_retyped, shown, values_are_alive, variable,
};
use crate::command::CancelToken;
use crate::image::layouts::Layouts;
use crate::object::changed_types::without_counterpart;
use crate::object::facts::{Facts, StaticFacts};
use crate::object::fingerprint::{Definition, Kind};
use crate::object::names::{NameId, Names};
use crate::object::steps::steps;
use crate::plan::changes::{CALL_SITE, Changes, Definitions, refers_to};
use crate::plan::codes::Code;
use crate::plan::lazies::lazies;
use crate::plan::renumbered::renumbered;
use crate::plan::verdict::{Note, OnStackOf, Refusal};
use crate::plan::worlds::{
    Alive, OnStack, StackFunction, alive, compare, function_of, methods_of_trait_objects, retyped,
};
use crate::run::memory::word;
use crate::run::vtables::pointed_to;

/// The static in which `#[hot]` counts the futures of an `async` function, see `hotpatch-macros`.
const RUNNING: &str = "__HOTPATCH_RUNNING";

/// What an edit means for the process.
pub(super) enum Planned {
    Nothing,
    Refused(Refusal),
    Patch(Box<Plan>),
}

/// An edit that can go live.
pub(super) struct Plan {
    pub(super) changes: Changes,
    pub(super) twice: BTreeSet<NameId>,
    pub(super) notes: Vec<Note>,
    /// Statics and thread-locals that went: they keep their storage and their values, in case they come again.
    pub(super) gone_statics: GoneStatics,
    /// Statics that went before, of types that are others now: should one come again, it begins anew.
    pub(super) forgotten: Vec<NameId>,
    /// Types that are not described any more.
    pub(super) gone: Layouts,
    /// Types that are.
    pub(super) known: Layouts,
    pub(super) under_way: Vec<UnderWay>,
    /// What the bodies under way do not come to any more.
    pub(super) passed_by: PassedBy,
}

/// Puts what has another symbol now under that one, as it lies where it was: each new name, with the old one.
fn rename(
    old: &mut Definitions<'_>,
    new: &Definitions<'_>,
    names: &Names,
) -> BTreeMap<NameId, NameId> {
    let renumbered = renumbered(old, new, names);
    for (name, was) in &renumbered {
        if let Some(definition) = old.remove(was) {
            old.insert(*name, definition);
        }
    }
    renumbered
}

/// What is known of statics and thread-locals that the source had once.
pub(super) type GoneStatics = BTreeMap<NameId, (Definition, StaticFacts)>;

/// For each body that a thread is in, by its address, the functions of which it goes on to call older ones, or older ones
/// still that these call: edits of them do not show there.
pub(super) type PassedBy = BTreeMap<u64, BTreeSet<NameId>>;

impl Engine {
    /// What the compiled crates mean for the process.
    pub(super) fn plan(&mut self, cancel: &CancelToken) -> Result<Planned> {
        if self.process.is_fresh {
            return self.plan_fresh();
        }
        let mut old = all_definitions(self.crates.iter().map(|krate| &krate.running));
        let new = all_definitions(self.crates.iter().map(|krate| &krate.latest));
        let names = &self.names;
        let renumbered = rename(&mut old, &new, names);
        self.process.addresses.plan_names(renumbered.clone());
        // What comes again finds its storage as it left it.
        let back = self.process.gone_statics.iter();
        let back = back.filter(|(name, _)| new.contains_key(name) && !old.contains_key(name));
        let back: Vec<(NameId, &(Definition, StaticFacts))> =
            back.map(|(name, of)| (*name, of)).collect();
        old.extend(
            back.iter()
                .map(|(name, (definition, _))| (*name, definition)),
        );
        let mut changes = Changes::between(&old, &new, |name| names.text(name).contains(CALL_SITE));
        // What the fast lane brought gives way to what was compiled here, also where that is as it was before.
        let ahead = |name: &NameId| {
            let was = renumbered.get(name).unwrap_or(name);
            self.process.ahead.contains_key(was)
        };
        changes
            .changed
            .extend(new.keys().filter(|name| ahead(name)));
        if changes.is_nothing() {
            return Ok(Planned::Nothing);
        }
        let crates: Vec<&str> = self.crate_names.iter().map(String::as_str).collect();
        let running = || self.crates.iter().flat_map(|krate| &krate.running);
        let latest = || self.crates.iter().flat_map(|krate| &krate.latest);
        let mut old_facts = facts_beside(running(), &hashes(latest()), &crates)?;
        let mut new_facts = facts_beside(latest(), &hashes(running()), &crates)?;
        // Objects that are the same may have more of them.
        if !without_counterpart(&old_facts.vtables, &new_facts.vtables).is_empty() {
            for object in latest() {
                let vtables = &object.facts(&crates)?.vtables;
                let of_all = vtables.iter().map(|(path, of)| (path.clone(), of.clone()));
                new_facts.vtables.extend(of_all);
            }
        }
        for (name, was) in &renumbered {
            let (name, was) = (names.text(*name).to_owned(), names.text(*was));
            if let Some(facts) = old_facts.functions.get(was).cloned() {
                old_facts.functions.insert(name, facts);
            } else if let Some(facts) = old_facts.statics.get(was).cloned() {
                old_facts.statics.insert(name, facts);
            }
        }
        for (name, (_, facts)) in back {
            let symbol = names.text(name).to_owned();
            old_facts
                .statics
                .entry(symbol)
                .or_insert_with(|| facts.clone());
        }
        // A type that comes again is compared with what it was when it went.
        old_facts
            .layouts
            .learn(self.process.gone_types.without(&old_facts.layouts));
        let can_be_replaced = |name| names.can_be_replaced(name);
        let worlds = compare(&old_facts, &new_facts, &new, &old, names, can_be_replaced);
        if let Some((symbol, (was, is))) = retyped(&old_facts, &new_facts, &old, names)
            .into_iter()
            .next()
        {
            return Ok(Planned::Refused(is_retyped(symbol, was, is)));
        }
        if let Some(name) = changes.other_kind.first() {
            let symbol = names.text(*name);
            let kind = new.get(name).map(|definition| definition.kind);
            let facts = new_facts.statics.get(symbol);
            return Ok(Planned::Refused(is_of_another_kind(symbol, kind, facts)));
        }
        let outgrown = changes.outgrown.first().and_then(|name| {
            let symbol = names.text(*name);
            let facts = new_facts.statics.get(symbol);
            Some(is_outgrown(symbol, old.get(name)?, new.get(name)?, facts))
        });
        let counts = old
            .keys()
            .filter(|name| names.text(**name).contains(RUNNING));
        let counts: Vec<NameId> = counts.copied().collect();
        let is_other =
            |(_, facts): &(Definition, StaticFacts)| worlds.types.mentioned_in(&facts.ty);
        let forgotten = self
            .process
            .gone_statics
            .iter()
            .filter(|(_, of)| is_other(of));
        let forgotten = forgotten.map(|(name, _)| *name).collect();
        let gone_statics = gone_statics(&changes, &old, &old_facts, names);
        let on_stack = self.process.code.look(self.process.pid);
        let same = self.same_steps(&on_stack, &changes);
        let outdated = outdated(&changes, &same, &worlds.twice, &new, can_be_replaced);
        let homes = homes_of_state(latest());
        let facts_of = |name: NameId| -> Option<StaticFacts> {
            let facts = homes.get(&name)?.facts(&crates).ok()?;
            facts.statics.get(names.text(name)).cloned()
        };
        let lazies = lazies(
            &changes.changed,
            &new,
            names,
            |name| facts_of(name).map(|of| of.ty),
            shown,
        );
        let lazies = lazies.difference(&changes.initialisers);
        let kept = changes.initialisers.iter().map(|name| (name, false));
        let kept = kept.chain(lazies.map(|name| (name, true)));
        let kept: BTreeMap<String, NameId> = kept
            .map(|(name, is_lazy)| (keeps_its_value(names.text(*name), is_lazy), *name))
            .collect();
        let kept = kept.into_iter().map(|(message, name)| {
            let facts = facts_of(name);
            let place = facts.as_ref().map(|of| (&of.file, of.line));
            note(Code::HP0204, message, place)
        });
        let kept: Vec<Note> = kept.collect();
        let passed_by = passed_by(
            &on_stack,
            &self.process.passed_by,
            &changes,
            &worlds.twice,
            &old,
            names,
        );
        let mut alive = alive(
            &worlds,
            &old_facts,
            &old,
            &self.process.gone_erasers,
            names,
            &on_stack,
        );
        if alive.is_empty() {
            alive.extend(self.trait_objects(methods_of_trait_objects(&worlds, &self.names))?);
        }
        if alive.is_empty() {
            let is_function = |(_, of): &(&NameId, &&Definition)| of.kind == Kind::Function;
            let functions = old.iter().filter(is_function).map(|(name, _)| *name);
            let were: Vec<NameId> = functions
                .chain(self.process.gone_erasers.iter().copied())
                .collect();
            let functions = old.iter().chain(&new).filter(is_function);
            let symbols: Vec<NameId> = functions.map(|(name, _)| *name).collect();
            if !worlds.named().is_empty() && self.hides_ids() {
                let hidden = self.hidden_eraser(&worlds.types, &were);
                alive.extend(hidden.map(|function| Alive::Erased { function }));
            }
            if alive.is_empty() {
                let named = worlds.named();
                let disguises = self.disguises(&worlds.types, &named, &symbols, cancel)?;
                alive.extend(disguises.into_iter().map(Alive::Disguised));
            }
        }
        if !alive.is_empty() {
            let files: Vec<PathBuf> = self.files().into_iter().collect();
            return Ok(Planned::Refused(values_are_alive(&worlds, &alive, &files)));
        }
        let names = &self.names;
        if let Some(refusal) = outgrown {
            return Ok(Planned::Refused(refusal));
        }
        let under_way = under_way(
            &on_stack,
            names,
            |name, body| {
                let now = renumbered.iter().find(|(_, was)| **was == name);
                let is_edited =
                    |of: &NameId| changes.changed.contains(of) || worlds.twice.contains(of);
                let mut passed_by = self.process.passed_by.get(&body).into_iter().flatten();
                outdated.contains(now.map_or(&name, |(now, _)| now)) || passed_by.any(is_edited)
            },
            |symbol| {
                let facts = old_facts.functions.get(symbol);
                facts.map(|of| (&of.file, of.line))
            },
        );
        let mut notes = Vec::new();
        for (name, was) in &renumbered {
            let symbol = names.text(*name);
            let ((what, now), (_, was)) = (variable(symbol), variable(names.text(*was)));
            if let Some(facts) = new_facts.statics.get(symbol).filter(|_| now != was) {
                let message = format!("{what} `{now}` keeps the value of `{was}`");
                notes.push(note(Code::HP0204, message, Some((&facts.file, facts.line))));
            }
        }
        notes.extend(kept);
        for name in &changes.listed {
            let part = match changes.gone.contains(name) {
                true => "takes no part",
                false => "takes part",
            };
            let symbol = shown(names.text(*name));
            let message = format!("`{symbol}` {part} from the next start on");
            notes.push(note(Code::HP0206, message, None));
        }
        notes.extend(self.future_notes(worlds.futures(&old_facts), &counts));
        let gone = old_facts.layouts.without(&new_facts.layouts);
        Ok(Planned::Patch(Box::new(Plan {
            changes,
            twice: worlds.twice,
            notes,
            gone_statics,
            forgotten,
            gone,
            known: new_facts.layouts,
            under_way,
            passed_by,
        })))
    }

    /// The functions that threads are in and whose code is another one that does the same: older calls of them do what newer
    /// ones do.
    fn same_steps(&self, on_stack: &OnStack, changes: &Changes) -> BTreeSet<NameId> {
        let steps_in = |objects: &Objects, name: NameId| -> Option<u128> {
            let mut objects = objects.iter();
            let is_home = |object: &&Arc<ObjectFile>| {
                let mut definitions = object.definitions.iter();
                definitions.any(|of| of.name == name && of.kind == Kind::Function)
            };
            let bytes = objects.find(is_home)?.bytes().ok()?;
            steps(&bytes, self.names.text(name), &self.crate_names).ok()?
        };
        let functions = on_stack.functions.iter();
        let names = functions.filter_map(|function| self.names.get(&function.symbol));
        let changed = names.filter(|name| {
            changes.changed.contains(name) && !self.process.ahead.contains_key(name)
        });
        let changed: BTreeSet<NameId> = changed.collect();
        let is_same = |name: &NameId| {
            let mut crates = self.crates.iter();
            crates.any(|krate| {
                let was = steps_in(&krate.running, *name);
                was.is_some() && was == steps_in(&krate.latest, *name)
            })
        };
        changed.into_iter().filter(is_same).collect()
    }

    /// Takes what was compiled last for what runs, if it defines the same: no code differs, so a process that had run it
    /// from its start would be in the state that this one is in, whatever a field or a type is called there.
    ///
    /// # Errors
    /// As [`facts_beside`].
    pub(super) fn settle_unchanged(&mut self) -> Result<()> {
        let running = || self.crates.iter().flat_map(|krate| &krate.running);
        let latest = || self.crates.iter().flat_map(|krate| &krate.latest);
        let mut old = all_definitions(self.crates.iter().map(|krate| &krate.running));
        let new = all_definitions(self.crates.iter().map(|krate| &krate.latest));
        rename(&mut old, &new, &self.names);
        // What is new there and nobody uses yet is not in the process.
        self.process.is_behind =
            old.len() != new.len() || old.keys().any(|name| !new.contains_key(name));
        if self.process.is_behind {
            return Ok(());
        }
        let crates: Vec<&str> = self.crate_names.iter().map(String::as_str).collect();
        let old = facts_beside(running(), &hashes(latest()), &crates)?;
        let new = facts_beside(latest(), &hashes(running()), &crates)?;
        self.settle_types(old.layouts.without(&new.layouts), &new.layouts);
        self.process.addresses.settle_names(&self.names);
        Ok(())
    }

    /// What was compiled last is what runs: types of it are `known`, and others are `gone`.
    pub(super) fn settle_types(&mut self, gone: Layouts, known: &Layouts) {
        self.process.gone_types = self.process.gone_types.without(known);
        self.process.gone_types.learn(gone);
        for krate in &mut self.crates {
            krate.running.clone_from(&krate.latest);
        }
    }

    /// A note for each function of which futures go on in their own code, with their number where they are counted.
    fn future_notes(
        &self,
        futures: BTreeMap<String, (&Option<String>, u32)>,
        counts: &[NameId],
    ) -> Vec<Note> {
        let names = &self.names;
        let counts = counts.iter().filter_map(|name| {
            let path = shown(names.text(*name));
            let function = function_of(path.strip_suffix(RUNNING)?.strip_suffix("::")?);
            let found = self.process.addresses.find(*name, names)?;
            Some((function, word(self.process.pid, found.address)?))
        });
        let counts: BTreeMap<String, u64> = counts.collect();
        let notes = futures.into_iter().filter_map(|(function, place)| {
            let message = match counts.get(&function) {
                Some(0) => return None,
                Some(1) => {
                    format!("1 future of `{function}` already begun finishes in its own code")
                }
                Some(count) => {
                    format!(
                        "{count} futures of `{function}` already begun finish in their own code"
                    )
                }
                None => format!("futures of `{function}` already begun finish in their own code"),
            };
            Some(note(Code::HP0205, message, Some((place.0, place.1))))
        });
        notes.collect()
    }

    /// Those of these trait objects that there are: something in the process points to a vtable with the method.
    fn trait_objects(&self, methods: Vec<(NameId, Alive)>) -> Result<Vec<Alive>> {
        let found = methods.into_iter().filter_map(|(name, object)| {
            let found = self.process.addresses.find(name, &self.names)?;
            Some((found.address, object))
        });
        let (methods, objects): (Vec<u64>, Vec<Alive>) = found.unzip();
        if objects.is_empty() {
            return Ok(objects);
        }
        let found = pointed_to(self.process.pid, &methods)
            .context("failed to look for trait objects in the program's memory")?;
        let mut present: Vec<Alive> = Vec::new();
        for number in found {
            if !present.contains(&objects[number]) {
                present.push(objects[number].clone());
            }
        }
        Ok(present)
    }

    /// The functions that these symbols are of, as people read them: those that are written in the workspace, and
    /// others, such as instances for its types.
    pub(super) fn shown<'a>(
        &self,
        names: impl Iterator<Item = &'a NameId>,
    ) -> (Vec<String>, Vec<String>) {
        let (mut own, mut others) = (BTreeSet::new(), BTreeSet::new());
        for name in names {
            match self.own_function(*name) {
                Some(function) => own.insert(function),
                None => others.insert(shown(self.names.text(*name))),
            };
        }
        (own.into_iter().collect(), others.into_iter().collect())
    }

    /// The function of the workspace that a symbol is of; a closure is a part of the function around it, and a shim stands
    /// for one.
    pub(super) fn own_function(&self, name: NameId) -> Option<String> {
        let text = shown(self.names.text(name));
        let start = text.trim_start_matches('<');
        let is_own = self.crate_names.iter().any(|krate| {
            let rest = start.strip_prefix(krate.as_str());
            rest.is_some_and(|rest| rest.starts_with("::"))
        });
        is_own.then(|| function_of(&text))
    }
}

/// The statics and thread-locals that went, but for those that belong to a call of a logging macro: another one of these at
/// the same place is another one.
fn gone_statics(
    changes: &Changes,
    old: &Definitions<'_>,
    facts: &Facts,
    names: &Names,
) -> GoneStatics {
    let gone = changes.gone.iter().filter_map(|name| {
        let definition = *old.get(name)?;
        let symbol = names.text(*name);
        let is_state = matches!(definition.kind, Kind::Mutable | Kind::ThreadLocal);
        let facts = facts.statics.get(symbol)?;
        let is_kept = is_state && !symbol.contains(CALL_SITE);
        is_kept.then(|| (*name, (definition.clone(), facts.clone())))
    });
    gone.collect()
}

/// The functions that go on as they were where they are under way: those that do something else now, which the `same` do
/// not, and those that would call something else or refer to it.
fn outdated(
    changes: &Changes,
    same: &BTreeSet<NameId>,
    twice: &BTreeSet<NameId>,
    new: &Definitions<'_>,
    can_be_replaced: impl Fn(NameId) -> bool,
) -> BTreeSet<NameId> {
    let functions = new.iter().filter(|(_, of)| of.kind == Kind::Function);
    let refers = functions
        .filter(|(_, of)| refers_to(of, twice) || refers_to(of, &changes.constants))
        .map(|(name, _)| name);
    let own = changes.changed.difference(same).chain(twice);
    let all = own.chain(refers).copied();
    all.filter(|name| can_be_replaced(*name)).collect()
}

/// What the bodies that threads are in pass by from now on, with what they did before.
fn passed_by(
    on_stack: &OnStack,
    before: &PassedBy,
    changes: &Changes,
    twice: &BTreeSet<NameId>,
    old: &Definitions<'_>,
    names: &Names,
) -> PassedBy {
    let bodies = on_stack.functions.iter().map(|function| {
        let mut passed_by = before.get(&function.body).cloned().unwrap_or_default();
        if !passed_by.is_empty() {
            // What it calls may call them.
            passed_by.extend(twice);
        }
        let definition = names.get(&function.symbol).and_then(|name| old.get(&name));
        let references = definition.into_iter().flat_map(|of| &of.references);
        let is_renewed = |name: &&NameId| twice.contains(name) || changes.constants.contains(name);
        passed_by.extend(references.filter(is_renewed));
        (function.body, passed_by)
    });
    bodies.collect()
}

/// A function that a thread is in, and what there is to say if it still is once new code is live.
pub(super) type UnderWay = (StackFunction, Note);

/// The functions that threads are in and that are others from now on. `is_changed` is asked with the address of the body that
/// runs.
pub(super) fn under_way<'a>(
    on_stack: &OnStack,
    names: &Names,
    is_changed: impl Fn(NameId, u64) -> bool,
    place: impl Fn(&str) -> Option<(&'a Option<String>, u32)>,
) -> Vec<UnderWay> {
    let functions = on_stack.functions.iter();
    let changed = functions.filter(|of| {
        let name = names.get(&of.symbol);
        name.is_some_and(|name| is_changed(name, of.body))
    });
    changed
        .map(|of| {
            let (thread, function) = (of.thread.clone(), shown(&of.symbol));
            let message = format!(
                "thread `{thread}` is in `{function}` and runs its old code until it is called again"
            );
            let note = Note {
                on_stack: Some(OnStackOf { thread, function }),
                ..note(Code::HP0201, message, place(&of.symbol))
            };
            (of.clone(), note)
        })
        .collect()
}

/// What there is to say of those that threads are still in, in the same body: the others have come to their end, and run
/// new code when they are called again.
pub(super) fn still_under_way(before: Vec<UnderWay>, now: &OnStack) -> Vec<Note> {
    let still = before
        .into_iter()
        .filter(|(of, _)| now.functions.contains(of));
    let mut notes: Vec<Note> = still.map(|(_, note)| note).collect();
    // Of a function that calls itself two bodies may be under way.
    notes.dedup_by(|one, other| one.message == other.message);
    notes
}

/// The objects that define statics and thread-locals.
fn homes_of_state<'a>(
    objects: impl Iterator<Item = &'a Arc<ObjectFile>>,
) -> HashMap<NameId, &'a Arc<ObjectFile>> {
    let mut homes = HashMap::new();
    for object in objects {
        let definitions = object.definitions.iter();
        let state = definitions.filter(|of| matches!(of.kind, Kind::Mutable | Kind::ThreadLocal));
        homes.extend(state.map(|of| (of.name, object)));
    }
    homes
}

/// What is said of a static or a thread-local with another initial value, or with other code that makes its value when it is
/// needed first.
fn keeps_its_value(symbol: &str, is_lazy: bool) -> String {
    match variable(symbol) {
        ("thread-local", path) if is_lazy => {
            format!("thread-local `{path}` keeps its value in threads that have one")
        }
        (what, path) if is_lazy => format!("{what} `{path}` keeps its value if it has one"),
        (what @ "thread-local", path) => format!(
            "{what} `{path}` keeps its value, and threads to come begin with the one it had at first"
        ),
        (what, path) => format!("{what} `{path}` keeps its value"),
    }
}

fn note(code: Code, message: String, place: Option<(&Option<String>, u32)>) -> Note {
    let (file, line) = place.unwrap_or((&None, 0));
    Note {
        code,
        message,
        file: file.as_deref().map(PathBuf::from).unwrap_or_default(),
        line: usize::try_from(line).unwrap_or_default(),
        on_stack: None,
    }
}
