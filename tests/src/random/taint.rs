//! What notes excuse: commands that lead to code which a note says keeps an older version.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Model;
use super::print;

/// The names that notes named.
#[derive(Clone, Debug, Default)]
pub struct Taint {
    names: BTreeSet<String>,
    /// Those of functions that pointers and trait objects made earlier lead to.
    kept: BTreeSet<String>,
}

impl Taint {
    /// Takes the names that a note is about from its text.
    ///
    /// A note about callers names them after `calls from`; they behave differently, not what they call. What trait
    /// objects and pointers lead to has no caller, so there it is the function itself.
    pub fn add(&mut self, old: &Model, new: &Model, message: &str) {
        let mut known: BTreeSet<String> = words_of(old, &BTreeSet::new()).into_keys().collect();
        known.extend(words_of(new, &BTreeSet::new()).into_keys());
        let mut named = |text: &str| {
            let mut all_known = true;
            for quoted in text.split('`').skip(1).step_by(2) {
                let last = words(quoted).filter(|word| known.contains(*word)).last();
                all_known &= last.is_some();
                self.names.extend(last.map(str::to_owned));
            }
            all_known
        };
        if let Some((callers, function)) = message.split_once(" keep the old code of ")
            && callers.contains("made earlier")
        {
            let last = words(function).filter(|word| known.contains(*word)).last();
            self.kept.extend(last.map(str::to_owned));
        }
        // Callers that are no part of the random program are those that call for a command.
        match message.split_once(" keep the old code of ") {
            Some((callers, _))
                if callers.contains("calls from")
                    && !callers.contains("made earlier")
                    && named(callers) => {}
            _ => drop(named(message)),
        }
    }

    /// Whether a command leads to anything a note named.
    pub fn reaches(&self, model: &Model, command: &str) -> bool {
        !self.names.is_empty() && leads_to(model, command, &self.names, &self.kept)
    }
}

/// Whether one thing leads to any of some others.
fn leads_to(model: &Model, from: &str, wanted: &BTreeSet<String>, kept: &BTreeSet<String>) -> bool {
    let graph = words_of(model, kept);
    let mut found = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        if wanted.contains(name) {
            return true;
        }
        for used in graph.get(name).into_iter().flatten() {
            if found.insert(used) {
                open.push(used);
            }
        }
    }
    false
}

/// The words of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let all = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    // What is imported under another name is called the same with this at its end.
    all.map(|word| word.strip_suffix("_too").unwrap_or(word))
        .filter(|word| !word.is_empty())
}

/// Where programs keep pointers to functions, and trait objects, whose values are dropped by the code they were made with.
fn keeps_pointers(word: &str) -> bool {
    matches!(word, "ptrs" | "anys") || word.starts_with("objs_")
}

/// For each named thing the names in its text, and of these functions those that a pointer which it calls may lead to. A
/// method stands for its type or trait, with all impls.
fn words_of(model: &Model, kept: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, text) in print::parts(model) {
        let used = graph.entry(name).or_default();
        used.extend(words(&text).map(str::to_owned));
        if used.iter().any(|word| keeps_pointers(word)) {
            used.extend(kept.iter().cloned());
        }
    }
    let names: BTreeSet<String> = graph.keys().cloned().collect();
    for (name, used) in &mut graph {
        used.retain(|word| word != name && names.contains(word));
    }
    graph
}
