//! The fast lane: an edit of function bodies and nothing else, live before rustc has compiled the crate.
//!
//! The new bodies alone are compiled, against a scope of the crate, and what they refer to is bound by symbol. The lane
//! refuses nothing and explains nothing: **whenever in doubt it steps aside.** The exact lane follows at once, brings its
//! own bodies in place of these, and takes them back if the edit does not stand.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hotpatch_rt::wire::{Place, Redirect};

use super::bodies::{Bodies, InProgram, compiled};
use super::bring::is_no_checkpoint;
use super::deliver::Supply;
use super::engine::Engine;
use super::gate::{
    self, AnotherType, NothingDiffers, hidden_from, is_one_of, says_type_id, tells_ids,
};
use super::plan::{still_under_way, under_way};
use super::refusals::shown;
use super::scoped::source_of;
use crate::command::CancelToken;
use crate::object::fingerprint::{Definition, Kind, definitions};
use crate::object::names::NameId;
use crate::object::taken::taken;
use crate::object::v0;
use crate::plan::changes::{Changes, Selection};
use crate::plan::worlds::OnStack;
use crate::run::client::{Client, Publish};
use crate::session::outcome::{Lane, Patched, Times};
use crate::session::texts::Texts;
use crate::source::additions::{self, Edit};
use crate::source::diff::same_kept_bodies;
use crate::source::extract::Contents;
use crate::source::file::{FnKey, Function, Kind as ItemKind, Owner};
use crate::source::instances::{Instance, Instances};
use crate::source::items::{CrateSource, Files};

/// Functions that run code of the fast lane, each with the body that its slot led to before; nothing for those that it
/// brought.
pub(super) type Ahead = BTreeMap<NameId, Option<Place>>;

/// What the fast lane made of a save.
pub(super) enum FastLane {
    /// New bodies run.
    Patched(Patched),
    /// They run already.
    Nothing,
    /// It is for the exact lane alone, and why.
    Aside(String),
}

fn late() -> FastLane {
    FastLane::Aside("the exact lane was sooner".to_owned())
}

/// What a patch of the fast lane is made of.
struct Made {
    number: usize,
    source: CrateSource,
    supply: Supply,
    selection: Selection,
    /// The root of symbols that are the patch's alone.
    root: String,
    times: Times,
}

/// Instances of generic functions, as a patch crate has them made, and as the program has them.
#[derive(Default)]
struct Wanted {
    texts: Instances,
    names: BTreeMap<FnKey, BTreeSet<NameId>>,
}

impl Wanted {
    /// Whether a symbol is of an instance of one of these functions.
    fn is_one(&self, symbol: &str, source: &CrateSource) -> bool {
        let functions = self.names.keys().filter_map(|key| source.function(key));
        let mut functions = functions.map(|(_, function)| function).peekable();
        functions.peek().is_some() && {
            let instance = Instance::read(&shown(symbol), &source.name);
            instance.is_some_and(|instance| functions.any(|function| instance.is_of(function)))
        }
    }
}

impl Engine {
    /// Brings an edit of bodies into the process ahead of the exact lane, or tells why that is not for this lane to do.
    ///
    /// Once `cancel` says that it is late, it is for the other lane.
    ///
    /// # Errors
    /// The agent is gone.
    pub(super) fn fast_lane(
        &mut self,
        files: &BTreeSet<PathBuf>,
        texts: &Texts,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<FastLane> {
        let made = match self.prepare(files, texts, cancel) {
            Ok(made) => made,
            Err(_) if cancel.is_cancelled() => return Ok(late()),
            Err(error) if error.is::<NothingDiffers>() => return Ok(FastLane::Nothing),
            // Whatever it is, the exact lane finds it again and says it.
            Err(error) => {
                if error.is::<AnotherType>()
                    && let Ok(number) = self.scoped.of(files, &self.crates)
                {
                    self.read_casts_early(number);
                }
                return Ok(FastLane::Aside(format!("{error:#}")));
            }
        };
        let Made {
            number,
            source,
            supply,
            selection,
            root,
            mut times,
        } = made;
        let mut ahead = Ahead::new();
        for name in &selection.redirected {
            let body = self.process.addresses.body(*name, &self.names);
            let body = body.context("the code that runs is not known")?;
            ahead.insert(*name, Some(body));
        }
        ahead.extend(selection.slotted.iter().map(|name| (*name, None)));
        let begun = Instant::now();
        let loaded = match self.load(&selection, &BTreeSet::new(), &supply, client, cancel) {
            Ok(loaded) => loaded,
            Err(_) if cancel.is_cancelled() => return Ok(late()),
            Err(error) => return Err(error),
        };
        times.link = begun.elapsed();
        let begun = Instant::now();
        let on_stack = self.process.on_stack();
        // Before anything is led there: whatever fails from now on, it is replaced or taken back.
        let before = self.process.ahead.clone();
        for (name, body) in ahead {
            self.process.ahead.entry(name).or_insert(body);
        }
        self.stop_listening();
        match self.apply(&selection, &loaded, Publish::AtCheckpoint, client) {
            Err(error) if is_no_checkpoint(&error) => {
                // Nothing was led there.
                self.process.ahead = before;
                return Ok(FastLane::Aside(format!("{error:#}")));
            }
            applied => applied?,
        }
        // Closures of a patch count as what they are in.
        let texts = selection
            .redirected
            .iter()
            .map(|name| self.names.text(*name));
        let around: Vec<String> = texts.map(str::to_owned).collect();
        self.process.code.call(&root, &around);
        if let Some(scoped) = self.scoped.get_mut(number) {
            scoped.source = source;
        }
        times.load = begun.elapsed();
        self.process.generation += 1;
        let (functions, mut included) = self.shown(selection.redirected.iter());
        let others = selection.slotted.iter();
        let others = others.filter(|name| !self.names.text(**name).contains(&root));
        let (own, others) = self.shown(others);
        included.extend(own.into_iter().chain(others));
        let is_changed = |name: NameId, body: u64| {
            let mut passed_by = self.process.passed_by.get(&body).into_iter().flatten();
            selection.redirected.contains(&name)
                || passed_by.any(|of| selection.redirected.contains(of))
        };
        let under_way = under_way(&on_stack, &self.names, is_changed, |_| None);
        let live = Instant::now();
        let now = match under_way.is_empty() {
            true => OnStack::default(),
            false => self.process.on_stack(),
        };
        Ok(FastLane::Patched(Patched {
            generation: self.process.generation,
            functions,
            included,
            notes: still_under_way(under_way, &now),
            bytes: loaded.library.bytes,
            times,
            live: Some(live),
            lane: Some(Lane::Fast),
            ..Patched::default()
        }))
    }

    /// Compiles the bodies that differ, and sees that they mean what they say.
    fn prepare(
        &mut self,
        files: &BTreeSet<PathBuf>,
        texts: &Texts,
        cancel: &CancelToken,
    ) -> Result<Made> {
        // Names of a plan that came to nothing.
        self.process.addresses.plan_names(BTreeMap::new());
        if self.process.is_behind {
            bail!("what was compiled last is not all in the program");
        }
        let number = self.scoped.of(files, &self.crates)?;
        let scoped = self.scoped.get(number).context("a crate is gone")?;
        let begun = Instant::now();
        let source = source_of(&scoped.unit, &scoped.cfg, texts, Some(&scoped.source))?;
        let is_program = scoped.unit.bin;
        let Edit {
            bodies: wanted,
            additions,
        } = gate::edit(&scoped.settled, &scoped.source, &source, is_program)?;
        if is_program && says_type_id(&source) {
            bail!("the program asks for ids of types");
        }
        if !same_kept_bodies(&scoped.source, &scoped.settled) {
            bail!("the crate's scope is not made yet");
        }
        if self.say_elsewhere(number, &additions.public, texts) {
            bail!("another crate says a name that is new here");
        }
        let instances = self.instances(&source, &wanted)?;
        let mut times = Times {
            check: begun.elapsed(),
            ..Times::default()
        };
        let begun = Instant::now();
        let folder = self
            .process
            .folder
            .join(format!("text-{}", self.process.loaded + 1));
        let names = instances.names.values().flatten();
        let program = InProgram {
            instances: names.map(|name| self.names.text(*name)).collect(),
            methods: self.symbols_of(&additions.methods, &source)?,
        };
        let contents = Contents {
            wanted: &wanted,
            instances: &instances.texts,
            additions: &additions,
        };
        let compiled = compiled(scoped, &source, contents, &program, &folder, cancel);
        let _ = std::fs::remove_dir_all(&folder);
        let Bodies {
            object,
            functions,
            added,
            root,
        } = compiled?;
        times.compile = begun.elapsed();
        // What is the patch's alone is no more than called: a later edit would not reach who keeps it.
        let is_own = |symbol: &str| {
            symbol.contains(&root) && !additions.is_empty() && !shown(symbol).contains("::{closure")
        };
        if let Some(symbol) = taken(&object, is_own)? {
            bail!("somebody may keep `{}`", shown(&symbol));
        }
        let defined = definitions(&object, &mut self.names, &|_| false)?;
        let functions: BTreeMap<NameId, &FnKey> = functions
            .iter()
            .map(|(symbol, key)| (self.names.id(symbol), *key))
            .collect();
        let added: BTreeMap<NameId, &FnKey> = added
            .iter()
            .map(|(symbol, key)| (self.names.id(symbol), *key))
            .collect();
        for key in &wanted {
            let made = functions.iter().filter(|(_, of)| **of == key);
            let made: BTreeSet<NameId> = made.map(|(name, _)| *name).collect();
            match instances.names.get(key) {
                Some(names) if *names == made => {}
                None if made.len() == 1 => {}
                _ => bail!("not every function is in the program once"),
            }
        }
        // The scope has the body that they had before.
        let older = defined.iter().map(|of| of.name);
        let mut older = older.filter(|name| !functions.contains_key(name));
        if older.any(|name| instances.is_one(self.names.text(name), &source)) {
            bail!("it needs an instance more of what is edited");
        }
        if let Some(callee) = self.private_callee(&defined, [&functions, &added], &root, &source) {
            bail!("`{callee}` may be private");
        }
        let state: BTreeSet<NameId> = defined
            .iter()
            .filter(|of| matches!(of.kind, Kind::Mutable | Kind::ThreadLocal))
            .map(|of| of.name)
            .collect();
        // What an earlier patch added is there already.
        let known = added
            .keys()
            .filter(|name| self.process.addresses.has(**name, &self.names));
        let changes = Changes {
            changed: functions.keys().chain(known).copied().collect(),
            ..Changes::default()
        };
        let mut supply = Supply {
            compiled: false,
            lent: BTreeMap::from([("fast.o".to_owned(), (object, defined))]),
        };
        let selection = self.choose(&changes, &BTreeSet::new(), &mut supply)?;
        // Functions that macros or `cfg` made twice, or that the program does not have.
        if selection.redirected != changes.changed {
            bail!("not every function is in the program once");
        }
        // One that a macro in the body declares is in the process already.
        if !selection.brought.is_disjoint(&state) {
            bail!("there is a static in what is compiled");
        }
        let brought = selection.brought.iter().chain(&selection.slotted);
        let mut brought = brought.map(|name| self.names.text(*name));
        // What a macro in a body declares is another type in the patch.
        let is_asking = |symbol: &str| {
            (is_program || symbol.contains(&root)) && tells_ids(symbol)
                || is_program && self.has_optimised_dependencies && self.is_of_others(symbol)
        };
        if brought.any(is_asking) {
            bail!("ids of types may be asked for");
        }
        Ok(Made {
            number,
            source,
            supply,
            selection,
            root,
            times,
        })
    }

    /// The instances that the program has of those functions that are generic.
    fn instances(&self, source: &CrateSource, wanted: &[FnKey]) -> Result<Wanted> {
        let mut found = Wanted::default();
        let functions = wanted.iter().filter_map(|key| source.function(key));
        for (_, function) in functions.filter(|(_, function)| function.generic) {
            let spelled = v0::spelled(&function.name);
            let mut texts = Vec::new();
            let mut names = BTreeSet::new();
            let running = self.crates.iter().flat_map(|krate| &krate.running);
            let defined = running.flat_map(|object| &object.definitions);
            for definition in defined.filter(|of| of.kind == Kind::Function) {
                let symbol = self.names.text(definition.name);
                if !symbol.contains(&spelled) {
                    continue;
                }
                let instance = Instance::read(&shown(symbol), &source.name);
                if let Some(instance) = instance.filter(|of| of.is_of(function))
                    && names.insert(definition.name)
                {
                    texts.push(instance);
                }
            }
            if texts.is_empty() || texts.iter().any(|instance| !instance.has_text) {
                bail!("`{}` is generic", source.path_of(function));
            }
            found.texts.insert(function.key.clone(), texts);
            found.names.insert(function.key.clone(), names);
        }
        Ok(found)
    }

    /// Whether a symbol is of an instance of code that is neither the workspace's nor the standard library's. Where such
    /// code is optimised, what it asks for is in it without a trace.
    fn is_of_others(&self, symbol: &str) -> bool {
        let path = shown(symbol);
        let path = path.trim_start_matches(['<', '&', '(', '[', '*']);
        let krate = path.split("::").next().unwrap_or_default();
        let is_own = self.crate_names.iter().any(|own| own == krate);
        !is_own && !matches!(krate, "core" | "alloc" | "std")
    }

    /// A function of the workspace that one of these calls and perhaps may not name. Instances of generic code are of other
    /// modules, and may name what is private there.
    fn private_callee(
        &self,
        defined: &[Definition],
        functions: [&BTreeMap<NameId, &FnKey>; 2],
        root: &str,
        source: &CrateSource,
    ) -> Option<String> {
        let own: BTreeSet<NameId> = defined.iter().map(|of| of.name).collect();
        defined.iter().find_map(|definition| {
            let mut known = functions.iter();
            let keys: Vec<&FnKey> = match known.find_map(|of| of.get(&definition.name)) {
                Some(key) => vec![*key],
                // A closure in one of them, or of a type that is added.
                None if self.names.text(definition.name).contains(root) => {
                    let all = functions.iter().flat_map(|of| of.values());
                    all.copied().collect()
                }
                None => return None,
            };
            let references = definition.references.iter();
            let is_added = |name: &NameId| functions[1].contains_key(name);
            let callees = references.filter(|name| !own.contains(name) || is_added(name));
            let callees = callees.filter(|name| self.names.can_be_replaced(**name));
            let mut callees = callees.map(|name| self.names.text(*name));
            let hidden = LazyCell::new(|| hidden_from(source, keys.into_iter()));
            let found = callees.find(|symbol| is_one_of(&shown(symbol), &hidden));
            found.map(shown)
        })
    }

    /// The symbols that the program is to have for these methods.
    fn symbols_of(&self, methods: &[FnKey], source: &CrateSource) -> Result<Vec<String>> {
        let symbols = methods.iter().map(|key| {
            let found = source.function(key);
            let symbol = found.and_then(|(_, method)| self.symbol_beside(method, source));
            symbol.context("nothing tells the symbol of an added method")
        });
        symbols.collect()
    }

    /// The symbol of a method: that of another one of its `impl` block, but for the name.
    fn symbol_beside(&self, method: &Function, source: &CrateSource) -> Option<String> {
        // Two blocks with one head are told apart by nothing but their numbers.
        let blocks = source.items().filter(|item| {
            item.kind == ItemKind::Impl
                && item.module == method.module
                && is_head_of(&item.name, method)
        });
        if blocks.count() != 1 {
            return None;
        }
        let functions = source.functions().map(|(_, of)| of);
        let others: Vec<(String, &Function)> = functions
            .filter(|of| of.owner == method.owner && of.module == method.module && of.plain)
            .map(|of| (v0::spelled(&of.name), of))
            .collect();
        let running = self.crates.iter().flat_map(|krate| &krate.running);
        let defined = running.flat_map(|object| &object.definitions);
        let symbols = defined.map(|of| self.names.text(of.name));
        let mut symbols = symbols.filter(|symbol| symbol.starts_with(OF_A_TYPE));
        symbols.find_map(|symbol| {
            let mut ends = others.iter();
            let (end, other) = ends.find(|(end, _)| symbol.ends_with(end))?;
            let instance = Instance::read(&shown(symbol), &source.name)?;
            let block = symbol.strip_suffix(end)?;
            let own = || format!("{block}{}", v0::spelled(&method.name));
            instance.is_of(other).then(own)
        })
    }

    /// Whether another crate of the workspace says one of these names.
    fn say_elsewhere(&self, number: usize, names: &BTreeSet<String>, texts: &Texts) -> bool {
        let mut others = self.crates.iter().enumerate();
        !names.is_empty()
            && others.any(|(other, krate)| {
                let mut files = krate.inputs.files();
                other != number
                    && files.any(|path| match Files::read(texts, path) {
                        Ok(text) => additions::says(&text, names),
                        Err(_) => true,
                    })
            })
    }

    /// The exact lane has found that what was edited does not stand: what the fast lane brought is not called from now
    /// on. Says whether there was any of it.
    ///
    /// # Errors
    /// The agent is gone.
    pub(super) fn take_back(&mut self, client: &mut Client) -> Result<bool> {
        let is_any = !self.process.ahead.is_empty();
        if is_any {
            self.stop_listening();
        }
        self.lead_back(|_| true, client)?;
        self.process.ahead.clear();
        self.scoped.take_back();
        Ok(is_any)
    }

    /// Leads slots of what runs ahead back to what they led to before.
    pub(super) fn lead_back(
        &mut self,
        is_meant: impl Fn(NameId) -> bool,
        client: &mut Client,
    ) -> Result<()> {
        let ahead = self
            .process
            .ahead
            .iter()
            .filter(|(name, _)| is_meant(**name));
        let bodies: Vec<(NameId, Place)> = ahead
            .filter_map(|(name, body)| Some((*name, (*body)?)))
            .collect();
        let redirects = bodies.iter().filter_map(|(name, body)| {
            let found = self.process.addresses.find(*name, &self.names)?;
            Some(Redirect {
                cell: found.slot?,
                function: *body,
            })
        });
        let redirects: Vec<Redirect> = redirects.collect();
        if !redirects.is_empty() {
            client.redirect(redirects, Publish::AtOnce)?;
        }
        for (name, body) in bodies {
            self.process.addresses.lead(name, body);
        }
        // What it added is nobody's any more: whoever needs it next brings it.
        let brought = self.process.ahead.iter();
        let brought = brought.filter(|(name, body)| body.is_none() && is_meant(**name));
        let brought: Vec<NameId> = brought.map(|(name, _)| *name).collect();
        for name in brought {
            self.process.addresses.forget(name);
        }
        Ok(())
    }
}

/// How symbols begin of what a type has by itself, and not by a trait.
const OF_A_TYPE: &str = "_RNvM";

/// Whether an `impl` block, by its head as the source has it, is the one that a method stands in.
fn is_head_of(block: &str, method: &Function) -> bool {
    let Owner::Impl(head) = &method.owner else {
        return false;
    };
    let text = format!(
        "impl {} {} {} {{}}",
        head.generics, head.self_ty, head.bounds
    );
    let parts = |text: &str| text.split_whitespace().collect::<String>();
    parts(block) == parts(&text)
}
