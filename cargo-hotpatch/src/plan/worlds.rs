//! Two worlds: which functions exist twice when types differ, and where a value of the older kind is alive.
//!
//! Old code goes on with old bodies and old values, new code has new ones (DESIGN.md, section 3). Functions that
//! mention a type that differs get a slot of their own in the patch, so that nobody meets a value of the other kind.
//! What both worlds share must not lead to such a type; [`alive`] finds where it does. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::Definitions;
use super::disguises::Disguise;
use crate::image::layouts::is_environment;
use crate::object::changed_types::{
    ChangedTypes, changed_environments, changed_signatures, changed_traits, type_and_trait,
};
use crate::object::facts::{Facts, FunctionFacts, StaticFacts};
use crate::object::fingerprint::Kind;
use crate::object::mentions::is_of_a_box;
use crate::object::names::{NameId, Names};
use crate::object::v0;

/// What the states of `async` functions, `async` blocks and the like have in their names.
const FUTURES: &[&str] = &[
    "::{async_fn_env#",
    "::{async_block_env#",
    "::{async_closure_env#",
    "::{coroutine_env#",
];

/// What an edit changed about types and signatures.
#[derive(Debug, Default)]
pub struct Worlds {
    /// The types that differ, with those that lead to one.
    pub types: ChangedTypes,
    /// Functions that exist twice from now on.
    pub twice: BTreeSet<NameId>,
}

impl Worlds {
    /// The last names of types that differ and that code can name; none where nothing but closures differ.
    #[must_use]
    pub fn named(&self) -> BTreeSet<String> {
        if self.types.roots().all(is_environment) {
            return BTreeSet::new();
        }
        self.types.words().map(str::to_owned).collect()
    }
}

impl Worlds {
    /// The `async` functions, and those with `async` blocks, whose futures are of another kind now, by path, each with the
    /// place where the future is written. `old` is what was known of the code that they go on in.
    #[must_use]
    pub fn futures<'a>(&self, old: &'a Facts) -> BTreeMap<String, (&'a Option<String>, u32)> {
        let roots: BTreeSet<&str> = self.types.roots().collect();
        let functions = old.functions.iter();
        let futures = functions.filter(|(_, facts)| {
            let environment = facts.environment.as_deref();
            environment.is_some_and(|of| is_future(of) && roots.contains(of))
        });
        let named = futures.map(|(symbol, facts)| {
            let path = format!("{:#}", rustc_demangle::demangle(symbol));
            (function_of(&path), (&facts.file, facts.line))
        });
        named.collect()
    }
}

fn is_future(environment: &str) -> bool {
    FUTURES.iter().any(|mark| environment.contains(mark))
}

/// The function that a closure, a future or a shim is of; any other path as it is.
#[must_use]
pub fn function_of(path: &str) -> String {
    let mut path = path;
    while let Some((around, part)) = path.rsplit_once("::{")
        && part.ends_with('}')
        && !part.contains("::")
    {
        path = around;
    }
    path.to_owned()
}

/// Compares what the objects that differ said of types, before and after.
#[must_use]
pub fn compare(
    old: &Facts,
    new: &Facts,
    new_definitions: &Definitions<'_>,
    old_definitions: &Definitions<'_>,
    names: &Names,
    can_be_replaced: impl Fn(NameId) -> bool,
) -> Worlds {
    let mut environments = changed_environments(old, new);
    environments.extend(renumbered(new, old_definitions, new_definitions, names));
    environments.extend(futures_with_other_code(
        new,
        old_definitions,
        new_definitions,
        names,
    ));
    let old_function = |symbol: &str| old.functions.get(symbol);
    let new_function = |symbol: &str| new.functions.get(symbol);
    let mut traits = changed_traits(&old.vtables, &new.vtables);
    traits.extend(changed_signatures(
        &old.vtables,
        &new.vtables,
        old_function,
        new_function,
    ));
    let types = loop {
        let types = ChangedTypes::between(&old.layouts, &new.layouts, &traits, &environments);
        let before = traits.len();
        traits.extend(types.traits_about(&new.vtables, new_function));
        traits.extend(types.traits_about(&old.vtables, old_function));
        if traits.len() == before {
            break types;
        }
    };
    let mut twice = BTreeSet::new();
    for (name, definition) in new_definitions {
        // One that was not there before is new in any case.
        if definition.kind != Kind::Function
            || !old_definitions.contains_key(name)
            || !can_be_replaced(*name)
        {
            continue;
        }
        let symbol = names.text(*name);
        let (was, is) = (old_function(symbol), new_function(symbol));
        let facts = || [was, is].into_iter().flatten();
        let callees = || {
            let definitions = old_definitions.get(name).into_iter().chain([definition]);
            let callees = definitions.flat_map(|of| &of.references);
            let callees = callees.map(|callee| names.text(*callee));
            callees.flat_map(|callee| [old_function(callee), new_function(callee)])
        };
        let is_mentioned = !types.is_empty()
            && (types.mentioned_in_symbol(symbol)
                || facts().any(|facts| mentions_one(symbol, facts, &types))
                    && (facts().any(|facts| holds_one(facts, &types))
                        || callees().flatten().any(|callee| takes_one(callee, &types))));
        let is_called_otherwise = was
            .zip(is)
            .is_some_and(|(was, is)| was.signature != is.signature);
        if is_mentioned || is_called_otherwise {
            twice.insert(*name);
        }
    }
    Worlds { types, twice }
}

/// The states of `async` functions and blocks whose code is another one: a future that has begun goes on in the middle of
/// its own code, whatever its layout.
fn futures_with_other_code(
    new: &Facts,
    old_definitions: &Definitions<'_>,
    new_definitions: &Definitions<'_>,
    names: &Names,
) -> BTreeSet<String> {
    let differs = |symbol: &str| {
        let name = names.get(symbol);
        let code = |of: &Definitions<'_>| Some(of.get(&name?)?.placeless);
        code(old_definitions) != code(new_definitions)
    };
    let futures = new.functions.iter().filter_map(|(symbol, facts)| {
        let environment = facts.environment.as_ref()?;
        (is_future(environment) && differs(symbol)).then(|| environment.clone())
    });
    futures.collect()
}

/// What closures captured whose numbers may mean other closures now: one more or less came before them, or they changed
/// places. Older values then have to keep to their own code.
fn renumbered(
    new: &Facts,
    old_definitions: &Definitions<'_>,
    new_definitions: &Definitions<'_>,
    names: &Names,
) -> BTreeSet<String> {
    let (was, is) = (
        closures(old_definitions, names),
        closures(new_definitions, names),
    );
    let mut moved: BTreeSet<NameId> = BTreeSet::new();
    for (around, is) in &is {
        let Some(was) = was.get(around) else { continue };
        let code = |name: &NameId| new_definitions.get(name).map(|of| of.placeless);
        let old_code = |name: &NameId| old_definitions.get(name).map(|of| of.placeless);
        let changed_places = || {
            is.iter().any(|name| {
                let differs = code(name) != old_code(name);
                differs
                    && was
                        .iter()
                        .any(|other| other != name && old_code(other) == code(name))
            })
        };
        if was.len() != is.len() || changed_places() {
            moved.extend(is.iter().filter(|name| code(name) != old_code(name)));
        }
    }
    let symbols = moved.iter().map(|name| names.text(*name));
    let facts = symbols.filter_map(|symbol| new.functions.get(symbol));
    facts
        .filter_map(|facts| facts.environment.clone())
        .collect()
}

/// The closures of each function, by the text of the function's symbol.
fn closures(definitions: &Definitions<'_>, names: &Names) -> BTreeMap<String, BTreeSet<NameId>> {
    let mut found: BTreeMap<String, BTreeSet<NameId>> = BTreeMap::new();
    for name in definitions.keys() {
        let symbol = names.text(*name);
        // The mark of a closure in a mangled path.
        if !symbol.starts_with("_RNC") {
            continue;
        }
        let text = format!("{:#}", rustc_demangle::demangle(symbol));
        if let Some((around, _)) = text.rsplit_once("::{closure#") {
            found.entry(around.to_owned()).or_default().insert(*name);
        }
    }
    found
}

/// Whether a function that mentions one of the types has values of it, as far as its own entry says. A type of a function
/// has none, if it is that of an item: and if it were one of pointers the symbol would name the type, as generic code alone
/// can mention what closures captured and the states of futures.
fn holds_one(facts: &FunctionFacts, types: &ChangedTypes) -> bool {
    let named = facts.signature.iter().chain(&facts.generics);
    let mut all = named.chain(facts.locals.iter().map(|(_, ty)| ty));
    let environment = facts.environment.as_ref();
    environment.is_some_and(|of| types.mentioned_in(of))
        || all.any(|ty| types.mentioned_beside_functions(ty))
}

/// Whether a function is given one of the types. Who calls it may have got at a value in ways that no entry tells.
fn takes_one(facts: &FunctionFacts, types: &ChangedTypes) -> bool {
    let mut taken = facts.signature.iter().skip(1).chain(&facts.environment);
    taken.any(|ty| types.mentioned_beside_functions(ty))
}

fn mentions_one(symbol: &str, facts: &FunctionFacts, types: &ChangedTypes) -> bool {
    let generics = facts.generics.iter();
    // Older code may have it make a newer future: that is what a hot `async fn` is for.
    let generics = generics.filter(|_| !is_of_a_box(symbol));
    let named = facts.signature.iter().chain(generics);
    let mut named = named.chain(&facts.environment);
    named.any(|ty| types.mentioned_in(ty))
}

/// Where a value of a type that differs is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alive {
    /// In a static or a thread-local.
    Static {
        /// Its symbol.
        symbol: String,
        /// Where it is written.
        file: Option<String>,
        /// The line there.
        line: u32,
    },
    /// In a variable of a function that a thread runs.
    Variable {
        /// The function's symbol.
        function: String,
        /// The variable.
        variable: String,
        /// The thread's name.
        thread: String,
        /// Where the function is written.
        file: Option<String>,
        /// The line there.
        line: u32,
    },
    /// Perhaps on a stack that nobody could look at.
    Unseen {
        /// Whose stack, and why it could not be looked at, in words.
        what: String,
    },
    /// Perhaps where code takes values for those of another type.
    Disguised(Disguise),
    /// In a trait object.
    TraitObject {
        /// The type.
        ty: String,
        /// The trait.
        of: String,
    },
    /// Somewhere behind a pointer that says nothing of the type, found again by its type id.
    Erased {
        /// The function by which it can be found.
        function: String,
    },
}

/// What the threads of the process are in.
#[derive(Debug, Default)]
pub struct OnStack {
    /// Each function once for each thread.
    pub functions: Vec<StackFunction>,
    /// Threads that could not be looked at, in words: any value may be on their stacks.
    pub unseen: Vec<String>,
}

/// A function that a thread is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackFunction {
    /// The thread's name.
    pub thread: String,
    /// The function's symbol.
    pub symbol: String,
    /// The address of the body that it runs: an older one than the newest, perhaps.
    pub body: u64,
}

/// Where values of types that differ may be met by new code, or would keep an edit from showing.
///
/// What closures captured has no name by which new code could ask for it, so that only named types count. `erasers` are
/// functions about type ids that the source had once: values that they were made for may still be there.
#[must_use]
pub fn alive(
    worlds: &Worlds,
    old: &Facts,
    old_definitions: &Definitions<'_>,
    erasers: &BTreeSet<NameId>,
    names: &Names,
    on_stack: &OnStack,
) -> Vec<Alive> {
    let mut found = Vec::new();
    if worlds.types.roots().all(is_environment) {
        return found;
    }
    for (symbol, facts) in &old.statics {
        let definition = names
            .get(symbol)
            .and_then(|name| old_definitions.get(&name));
        // What nothing writes is made anew with what it refers to.
        let is_state = definition.is_some_and(|definition| definition.kind != Kind::Constant);
        if is_state && worlds.types.mentioned_in(&facts.ty) {
            found.push(Alive::Static {
                symbol: symbol.clone(),
                file: facts.file.clone(),
                line: facts.line,
            });
        }
    }
    let unseen = on_stack.unseen.iter();
    found.extend(unseen.map(|what| Alive::Unseen { what: what.clone() }));
    for place in &on_stack.functions {
        let Some(facts) = old.functions.get(&place.symbol) else {
            continue;
        };
        let holds = |ty: &str| worlds.types.mentioned_in(ty) && !is_environment(ty);
        if let Some((variable, _)) = facts.locals.iter().find(|(_, ty)| holds(ty)) {
            found.push(Alive::Variable {
                function: place.symbol.clone(),
                variable: variable.clone(),
                thread: place.thread.clone(),
                file: facts.file.clone(),
                line: facts.line,
            });
        }
    }
    let is_found_by = |name: NameId| {
        let symbol = names.text(name);
        is_eraser(symbol)
            && worlds.types.mentioned_in_symbol(symbol)
            && !is_environment_symbol(symbol)
    };
    let functions = old_definitions.iter();
    let functions = functions.filter(|(_, of)| of.kind == Kind::Function);
    let present = functions.map(|(name, _)| *name).filter(|name| {
        is_found_by(*name)
            && (!names.text(*name).contains(TYPE_ID_OF)
                || is_asked(*name, old, old_definitions, names))
    });
    let gone = erasers.iter().copied().filter(|name| is_found_by(*name));
    found.extend(present.chain(gone).map(|name| Alive::Erased {
        function: names.text(name).to_owned(),
    }));
    found.sort_by_key(rank);
    found.dedup();
    found
}

fn rank(alive: &Alive) -> (u8, String) {
    match alive {
        Alive::Static { symbol, .. } => (0, symbol.clone()),
        Alive::Variable { function, .. } => (1, function.clone()),
        Alive::Unseen { what } => (1, what.clone()),
        Alive::TraitObject { ty, of } => (2, format!("{:08}{ty}{of}", ty.len())),
        // That of the type itself before those of what mentions it.
        Alive::Erased { function } => (2, format!("{:08}{function}", function.len())),
        Alive::Disguised(disguise) => (3, disguise.function.clone()),
    }
}

/// The methods of trait objects of types that differ, or that have one in them, among the functions that exist twice, each
/// with what such an object would be: who has one goes on with older code. What closures captured keeps its code in any
/// case, and futures end in theirs.
#[must_use]
pub fn methods_of_trait_objects(worlds: &Worlds, names: &Names) -> Vec<(NameId, Alive)> {
    if worlds.types.roots().all(is_environment) {
        return Vec::new();
    }
    let symbols = worlds.twice.iter().map(|name| (*name, names.text(*name)));
    let methods = symbols.filter(|(_, symbol)| v0::is_of_a_trait(symbol));
    let methods = methods.filter_map(|(name, symbol)| {
        let path = format!("{:#}", rustc_demangle::demangle(symbol));
        let (ty, of) = type_and_trait(&path)?;
        let is_one = !ty.ends_with('}') && of != "core::future::future::Future";
        let (ty, of) = (ty.to_owned(), of.to_owned());
        is_one.then_some((name, Alive::TraitObject { ty, of }))
    });
    methods.collect()
}

/// What symbols of `TypeId::of` have in them.
const TYPE_ID_OF: &str = "6TypeId2of";

/// Whether somebody who has this id of a type, given by its function, may find a value by it. Not who only gives it away as
/// a method of a trait, such as that of every `dyn Error`: whoever asks for it has it in a function of its own.
fn is_asked(id: NameId, old: &Facts, old_definitions: &Definitions<'_>, names: &Names) -> bool {
    let definitions = old_definitions.values();
    let users = definitions.filter(|of| of.references.binary_search(&id).is_ok());
    let mut users = users.map(|of| names.text(of.name));
    users.any(|user| {
        let facts = old.functions.get(user);
        let gives = facts.is_some_and(|facts| {
            facts
                .signature
                .first()
                .is_some_and(|ty| ty == "core::any::TypeId")
        });
        !(gives && v0::is_of_a_trait(user))
    })
}

/// Whether a function takes or gives type ids, as those of `core::any` do.
#[must_use]
pub fn is_eraser(symbol: &str) -> bool {
    symbol.contains("3any") && {
        let text = format!("{:#}", rustc_demangle::demangle(symbol));
        text.contains("core::any::Any>::type_id")
            || text.contains("core::any::TypeId>::of::<")
            || text.contains("dyn core::any::Any")
                && (text.contains("downcast") || text.contains(">::is::<"))
    }
}

/// Whether a symbol is of code for a closure.
#[must_use]
pub fn is_environment_symbol(symbol: &str) -> bool {
    format!("{:#}", rustc_demangle::demangle(symbol)).contains("{closure#")
}

/// Statics and thread-locals that are of another type now, by symbol, with what they were and are.
#[must_use]
pub fn retyped<'a>(
    old: &'a Facts,
    new: &'a Facts,
    old_definitions: &Definitions<'_>,
    names: &Names,
) -> BTreeMap<&'a str, (&'a StaticFacts, &'a StaticFacts)> {
    let mut found = BTreeMap::new();
    for (symbol, is) in &new.statics {
        let Some(was) = old.statics.get(symbol) else {
            continue;
        };
        let definition = names
            .get(symbol)
            .and_then(|name| old_definitions.get(&name));
        let is_state = definition.is_some_and(|definition| definition.kind != Kind::Constant);
        if is_state && (was.ty != is.ty || was.thread_local != is.thread_local) {
            found.insert(symbol.as_str(), (was, is));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::is_eraser;
    use crate::image::samples::Samples;
    use crate::object::fingerprint::definitions;
    use crate::object::names::Names;

    /// Symbols change with compilers: what is searched for is what this one makes.
    #[test]
    fn whatever_asks_for_the_id_of_a_type_is_an_eraser() {
        let source = "
            use std::any::{Any, TypeId};
            pub struct Asked(pub u8);
            pub fn of() -> TypeId { TypeId::of::<Asked>() }
            pub fn is(value: &dyn Any) -> bool { value.is::<Asked>() }
            pub fn reference(value: &dyn Any) -> bool { value.downcast_ref::<Asked>().is_some() }
            pub fn owned(value: Box<dyn Any>) -> bool { value.downcast::<Asked>().is_ok() }
            pub fn kept(value: Asked) -> Box<dyn Any> { Box::new(value) }
            pub fn plain(value: Vec<Asked>) -> usize { value.len() }
        ";
        let object = Samples::new().object(source, &["-Clink-dead-code", "-Copt-level=0"]);
        let mut names = Names::default();
        let defined = definitions(&object, &mut names, &|_| false).unwrap();
        let erasers = |part: &str| {
            let texts = defined.iter().map(|of| names.text(of.name));
            let mut texts = texts.filter(|text| text.contains("5Asked") && text.contains(part));
            texts.any(is_eraser)
        };
        for part in ["2of", "2is", "12downcast_ref", "8downcast", "7type_id"] {
            assert!(erasers(part), "{part}");
        }
        for part in ["3len", "5plain", "13drop_in_place"] {
            assert!(!erasers(part), "{part}");
        }
    }
}
