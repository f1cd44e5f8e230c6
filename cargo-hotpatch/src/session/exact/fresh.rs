//! What a process becomes that waits before its `main`: nothing of the program has begun there, so no value is old, and
//! whatever differs takes the place of what was built.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use super::engine::{Engine, all_definitions};
use super::plan::{GoneStatics, Plan, Planned};
use super::reach::closure;
use super::refusals::shown;
use crate::image::layouts::Layouts;
use crate::object::fingerprint::{Definition, Kind};
use crate::object::names::{NameId, Names};
use crate::object::v0;
use crate::plan::changes::{Changes, Definitions};
use crate::plan::codes::Code;
use crate::plan::verdict::Refusal;
use crate::source::file::Place;

impl Engine {
    /// What the compiled crates mean for a process that waits before its `main`.
    ///
    /// A refusal says that the program has to be linked anew.
    pub(super) fn plan_fresh(&mut self) -> Result<Planned> {
        let old = all_definitions(self.crates.iter().map(|krate| &krate.running));
        let new = all_definitions(self.crates.iter().map(|krate| &krate.latest));
        self.process.addresses.plan_names([].into());
        let mut changes = Changes::between(&old, &new, |_| true);
        let of_fast_lane = new.keys();
        let of_fast_lane = of_fast_lane.filter(|name| self.process.ahead.contains_key(*name));
        changes.changed.extend(of_fast_lane);
        // All that is written anew begins with the value that the source says.
        let statics = [
            std::mem::take(&mut changes.initialisers),
            std::mem::take(&mut changes.outgrown),
            std::mem::take(&mut changes.other_kind),
        ];
        changes.constants.extend(statics.into_iter().flatten());
        let is_function = |name: &NameId| new.get(name).is_some_and(|of| of.kind == Kind::Function);
        changes.constants.retain(|name| !is_function(name));
        changes.spread(&new, |_| true);
        // The places that panics tell are others.
        let shifted = std::mem::take(&mut changes.shifted);
        changes.changed.extend(shifted);
        if changes.is_nothing() {
            return Ok(Planned::Nothing);
        }
        if let Some(why) = needs_a_link(&changes, &new, &self.names) {
            let whole = Place { line: 0, column: 0 };
            let root = self.crates.last().map(|program| program.unit.root.clone());
            let root: PathBuf = root.unwrap_or_default();
            return Ok(Planned::Refused(Refusal::new(
                Code::HP0206,
                why,
                &root,
                whole,
            )));
        }
        Ok(Planned::Patch(Box::new(Plan {
            changes,
            twice: BTreeSet::new(),
            notes: Vec::new(),
            gone_statics: GoneStatics::new(),
            forgotten: Vec::new(),
            gone: Layouts::default(),
            known: Layouts::default(),
            under_way: Vec::new(),
            passed_by: super::plan::PassedBy::new(),
        })))
    }
}

/// The entry that the system calls, which has no slot.
const MAIN: &str = "main";

/// Part of the names by which the standard library calls the program's own allocator.
const ALLOCATOR: &str = "___rg_";

/// Why the program has to be linked anew, if it has.
fn needs_a_link(changes: &Changes, new: &Definitions<'_>, names: &Names) -> Option<String> {
    let text = |name: &NameId| names.text(*name);
    let differs = |name: &NameId| {
        [&changes.changed, &changes.constants, &changes.listed]
            .iter()
            .any(|those| those.contains(name))
    };
    // Constructors have run, also those of other languages, which may have called what is exported to them; and what is read
    // as a list may have been read.
    let is_used_early = |(name, of): &(&NameId, &&Definition)| {
        let is_exported = !v0::is_mangled(text(name)) && text(name) != MAIN;
        of.is_listed || of.kind == Kind::Function && is_exported
    };
    let early = new.iter().filter(is_used_early);
    let early = reached(early.map(|(name, _)| *name).collect(), new);
    let mut early = early.iter().chain(&changes.listed);
    if let Some(name) = early.find(|name| differs(name)) {
        return Some(format!(
            "`{}` may have been used before `main` is called",
            shown(text(name))
        ));
    }
    let is_main = |name: &NameId| text(name) == MAIN;
    if changes.changed.iter().chain(&changes.gone).any(is_main) {
        return Some("`main` is called in another way".to_owned());
    }
    let mut exported = changes.constants.iter();
    if let Some(name) = exported.find(|name| !v0::is_mangled(text(name))) {
        return Some(format!(
            "static `{}` may be used by code of other languages",
            text(name)
        ));
    }
    // What was allocated so far must be freed by what allocated it.
    let allocator = new.keys().filter(|name| text(name).contains(ALLOCATOR));
    reached(allocator.copied().collect(), new)
        .iter()
        .any(differs)
        .then(|| "the allocator differs".to_owned())
}

/// All that these refer to, themselves included.
fn reached(from: BTreeSet<NameId>, definitions: &Definitions<'_>) -> BTreeSet<NameId> {
    closure(from, |name| {
        let definition = definitions.get(&name);
        definition.map_or(&[], |of| of.references.as_slice())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::needs_a_link;
    use crate::object::fingerprint::{Definition, Kind};
    use crate::object::names::Names;
    use crate::plan::changes::{Changes, Definitions};

    const HELPER: &str = "_RNvCs1_3app6helper";
    const STARTS: &str = "_RNvCs1_3app6starts";
    const ALLOC: &str = "_RNvCs1_7___rustc11___rg_alloc";
    const OTHER: &str = "_RNvCs1_3app5other";

    /// A program: a constructor, an allocator, a function that is exported, and what each calls.
    fn program(names: &mut Names) -> Vec<Definition> {
        let edges = [
            (STARTS, &[HELPER][..], true),
            (ALLOC, &["_RNvCs1_3app4pool"], false),
            ("_RNvCs1_3app4pool", &[], false),
            (HELPER, &[], false),
            (OTHER, &[HELPER], false),
            ("main", &[OTHER], false),
            ("speak", &["_RNvCs1_3app4said"], false),
            ("_RNvCs1_3app4said", &[], false),
            ("COUNT", &[], false),
        ];
        edges
            .iter()
            .map(|(name, to, is_listed)| Definition {
                name: names.id(name),
                kind: match *name {
                    "COUNT" => Kind::Mutable,
                    _ => Kind::Function,
                },
                exact: 0,
                placeless: 0,
                size: 0,
                align: 1,
                references: to.iter().map(|name| names.id(name)).collect(),
                is_listed: *is_listed,
            })
            .collect()
    }

    #[test]
    fn what_was_used_before_main_has_to_be_linked() {
        let mut names = Names::default();
        let all = program(&mut names);
        let new: Definitions<'_> = all.iter().map(|of| (of.name, of)).collect();
        let of = |name: &str| BTreeSet::from([names.get(name).unwrap()]);
        let changed = |name: &str| Changes {
            changed: of(name),
            ..Changes::default()
        };
        let why = |changes: &Changes| needs_a_link(changes, &new, &names).unwrap_or_default();
        assert_eq!(why(&changed(OTHER)), "");
        assert!(why(&changed(HELPER)).contains("before `main`"));
        assert!(why(&changed(STARTS)).contains("before `main`"));
        assert!(why(&changed("_RNvCs1_3app4said")).contains("before `main`"));
        assert!(why(&changed("_RNvCs1_3app4pool")).contains("allocator"));
        assert!(why(&changed("main")).contains("called in another way"));
        let exported = Changes {
            constants: of("COUNT"),
            ..Changes::default()
        };
        assert!(why(&exported).contains("other languages"));
    }
}
