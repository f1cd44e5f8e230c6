//! What there is in the process, for those who ask: its functions, and its variables with their values.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{Context, Result};
use hotpatch_rt::wire::{Holder, Scalar, ValueAt};

use super::engine::Engine;
use super::objects::ObjectFile;
use super::processors::on_all_processors;
use super::refusals::{declared, shown, variable};
use crate::control::{FunctionOf, VariableOf};
use crate::object::facts::{FunctionFacts, StaticFacts, all_types};
use crate::object::fingerprint::{Definition, Kind};
use crate::object::values::{Values, generic};
use crate::plan::worlds::function_of;
use crate::run::client::Client;
use crate::session::ledger::PatchedFunction;

/// What is asked of a process.
#[derive(Debug, Clone)]
pub enum Look {
    /// Its functions whose paths contain this, with what is known of those that were patched.
    Functions(String, BTreeMap<String, PatchedFunction>),
    /// Its variables whose paths contain this.
    Variables(String),
    /// The variable that this names is to have another value.
    Set(String, String),
}

/// What there is to see.
#[derive(Debug)]
pub enum Seen {
    Functions(Vec<FunctionOf>),
    Variables(Vec<VariableOf>),
    /// The variable has another value now; its path, and the value that it had.
    Set {
        name: String,
        was: Option<String>,
    },
}

/// The functions of an object, read once.
#[derive(Default)]
pub(super) struct Catalogue {
    /// By the object's address, which it keeps.
    functions: HashMap<usize, (Arc<ObjectFile>, Arc<Vec<FunctionOf>>)>,
}

/// A variable that the program has.
struct Variable<'a> {
    name: String,
    definition: &'a Definition,
    object: &'a Arc<ObjectFile>,
    facts: StaticFacts,
}

impl Engine {
    /// Looks.
    ///
    /// # Errors
    /// There is no such variable, it cannot be set, or what is compiled or the process cannot be read.
    pub(super) fn look(&mut self, look: Look, client: &mut Client) -> Result<Seen> {
        match look {
            Look::Functions(filter, patched) => {
                self.functions(&filter, &patched).map(Seen::Functions)
            }
            Look::Variables(filter) => self.variables(&filter, client).map(Seen::Variables),
            Look::Set(name, text) => self.set(&name, &text, client),
        }
    }

    fn functions(
        &mut self,
        filter: &str,
        patched: &BTreeMap<String, PatchedFunction>,
    ) -> Result<Vec<FunctionOf>> {
        self.read_functions()?;
        let mut found: BTreeMap<&str, FunctionOf> = BTreeMap::new();
        for object in self.crates.iter().flat_map(|krate| &krate.running) {
            let key = Arc::as_ptr(object).addr();
            let known = self.catalogue.functions.get(&key);
            let functions = known
                .into_iter()
                .flat_map(|(_, functions)| functions.iter());
            for function in functions.filter(|of| of.function.contains(filter)) {
                // An instance or a closure is no function of its own; what says where it is written says most.
                let same = found.entry(&function.function);
                let same = same.or_insert_with(|| function.clone());
                if same.line.is_none() && function.line.is_some() {
                    same.clone_from(function);
                }
            }
        }
        let all = found.into_values().map(|mut function| {
            if let Some(patched) = patched.get(&function.function) {
                function.generation = patched.generation;
                function.patches = patched.patches;
                function.called = patched.called;
            }
            function
        });
        Ok(all.collect())
    }

    /// Sees that the functions of all objects are known.
    fn read_functions(&mut self) -> Result<()> {
        let crates: Vec<&str> = self.crate_names.iter().map(String::as_str).collect();
        let running: Vec<Arc<ObjectFile>> = self
            .crates
            .iter()
            .flat_map(|krate| krate.running.iter().cloned())
            .collect();
        let is_known = |object: &&Arc<ObjectFile>| {
            let key = Arc::as_ptr(object).addr();
            self.catalogue.functions.contains_key(&key)
        };
        let unknown: Vec<&Arc<ObjectFile>> =
            running.iter().filter(|object| !is_known(object)).collect();
        // What is wrong with one shows below.
        on_all_processors(unknown.iter(), |object| drop(object.facts(&crates)));
        let mut read = Vec::new();
        for object in unknown {
            let facts = object.facts(&crates)?;
            let functions = object.definitions.iter().filter_map(|definition| {
                let symbol = self.names.text(definition.name);
                let is_function = definition.kind == Kind::Function;
                if !is_function || !self.names.can_be_replaced(definition.name) {
                    return None;
                }
                let function = self.own_function(definition.name)?;
                let is_whole = shown(symbol) == function;
                let facts = facts.functions.get(symbol).filter(|_| is_whole);
                Some(function_of_facts(function, facts))
            });
            read.push((object.clone(), Arc::new(functions.collect())));
        }
        let known = read.into_iter();
        let known =
            known.map(|(object, functions)| (Arc::as_ptr(&object).addr(), (object, functions)));
        self.catalogue.functions.extend(known);
        let keys: std::collections::HashSet<usize> = running
            .iter()
            .map(|object| Arc::as_ptr(object).addr())
            .collect();
        self.catalogue.functions.retain(|key, _| keys.contains(key));
        Ok(())
    }

    /// The statics and thread-locals of the workspace whose paths contain a text.
    fn variables_named(&self, filter: &str) -> Result<Vec<Variable<'_>>> {
        let crates: Vec<&str> = self.crate_names.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        for object in self.crates.iter().flat_map(|krate| &krate.running) {
            let data = object.definitions.iter();
            let data = data.filter(|of| of.kind != Kind::Function);
            let named: Vec<(&Definition, String)> = data
                .filter_map(|definition| {
                    let symbol = self.names.text(definition.name);
                    let (_, name) = variable(symbol);
                    let is_own = self.own_function(definition.name).is_some();
                    (is_own && name.contains(filter)).then_some((definition, name))
                })
                .collect();
            if named.is_empty() {
                continue;
            }
            let facts = object.facts(&crates)?;
            for (definition, name) in named {
                // What nobody has named is none of theirs: vtables, texts, lists of tests.
                let facts = facts.statics.get(self.names.text(definition.name));
                if let Some(facts) = facts.filter(|_| !name.contains("::{")) {
                    found.push(Variable {
                        name,
                        definition,
                        object,
                        facts: facts.clone(),
                    });
                }
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        // A thread-local is made of more than one.
        found.dedup_by(|one, other| {
            let are_of_threads = one.facts.thread_local && other.facts.thread_local;
            one.definition.name == other.definition.name || are_of_threads && one.name == other.name
        });
        Ok(found)
    }

    fn variables(&self, filter: &str, client: &mut Client) -> Result<Vec<VariableOf>> {
        let variables = self.variables_named(filter)?;
        let all = variables.iter().map(|variable| {
            let kind = variable.kind();
            Ok(VariableOf {
                name: variable.name.clone(),
                ty: declared(&variable.facts.ty),
                file: variable.facts.file.clone(),
                line: Some(variable.facts.line).filter(|line| *line > 0),
                value: self.value(variable, client)?,
                cannot_be_set: kind.err(),
            })
        });
        all.collect()
    }

    /// The value of a variable as text; nothing if it has none yet, or none that can be told.
    fn value(&self, variable: &Variable<'_>, client: &mut Client) -> Result<Option<String>> {
        let Some(at) = self.address(variable) else {
            return Ok(None);
        };
        if let Ok((holder, scalar)) = variable.kind()
            && !matches!(holder, Holder::Bare)
        {
            // What is held somewhere is looked at without its lock.
            if let Ok(was) = client.value(value_at(variable, at, holder, scalar), None) {
                return Ok(was.map(|bytes| text_of(scalar, &bytes)));
            }
        }
        let types = all_types(&variable.object.bytes()?)
            .with_context(|| format!("failed to read the types in `{}`", variable.object.name))?;
        let memory = File::open(format!("/proc/{}/mem", self.process.pid))
            .context("failed to read the program's memory")?;
        let read = |address, length| {
            let mut bytes = vec![0; length];
            memory.read_exact_at(&mut bytes, address).ok()?;
            Some(bytes)
        };
        let text = Values::new(&types, &read).text(&variable.facts.ty, at);
        Ok((text != "_").then_some(text))
    }

    fn address(&self, variable: &Variable<'_>) -> Option<u64> {
        if variable.facts.thread_local {
            return None;
        }
        let name = variable.definition.name;
        let found = self.process.addresses.find(name, &self.names)?;
        Some(found.address)
    }

    fn set(&self, name: &str, text: &str, client: &mut Client) -> Result<Seen> {
        let variables = self.variables_named(name)?;
        let variable = one_named(&variables, name)?;
        let (holder, scalar) = variable
            .kind()
            .map_err(|why| anyhow::anyhow!("`{}` cannot be set: {why}", variable.name))?;
        let bytes = bytes_of(scalar, text).with_context(|| {
            let ty = name_of(scalar);
            format!(
                "`{text}` is no value of `{}`, which holds `{ty}`",
                variable.name
            )
        })?;
        let at = self.address(variable);
        let at = at.with_context(|| format!("the program does not have `{}`", variable.name))?;
        let was = client
            .value(value_at(variable, at, holder, scalar), Some(bytes))
            .with_context(|| format!("`{}` was not set", variable.name))?;
        Ok(Seen::Set {
            name: variable.name.clone(),
            was: was.map(|bytes| text_of(scalar, &bytes)),
        })
    }
}

/// The variable that is meant: the one of this path, or the only one whose path ends with it.
fn one_named<'a, 'b>(variables: &'b [Variable<'a>], name: &str) -> Result<&'b Variable<'a>> {
    let mut all = variables.iter();
    if let Some(variable) = all.find(|of| of.name == name) {
        return Ok(variable);
    }
    let ends = |of: &&Variable<'_>| {
        let before = of.name.strip_suffix(name);
        before.is_some_and(|before| before.ends_with("::"))
    };
    let meant: Vec<&Variable<'_>> = variables.iter().filter(ends).collect();
    match meant.as_slice() {
        [one] => Ok(one),
        [] => anyhow::bail!("the program has no variable `{name}`"),
        several => {
            let names: Vec<&str> = several.iter().map(|of| of.name.as_str()).collect();
            anyhow::bail!("several variables are called so: {}", names.join(", "))
        }
    }
}

fn value_at(variable: &Variable<'_>, address: u64, holder: Holder, scalar: Scalar) -> ValueAt {
    ValueAt {
        address,
        size: variable.definition.size,
        holder,
        scalar,
    }
}

fn function_of_facts(function: String, facts: Option<&FunctionFacts>) -> FunctionOf {
    FunctionOf {
        function: function_of(&function),
        file: facts.and_then(|of| of.file.clone()),
        line: facts.map(|of| of.line).filter(|line| *line > 0),
        signature: facts.and_then(|of| signature(&of.signature)),
        ..FunctionOf::default()
    }
}

/// `fn(u32, &str) -> bool` of what a function returns and takes.
fn signature(types: &[String]) -> Option<String> {
    let (returned, taken) = types.split_first()?;
    let returned = match returned.as_str() {
        "()" | "" => String::new(),
        returned => format!(" -> {returned}"),
    };
    Some(format!("fn({}){returned}", taken.join(", ")))
}

impl Variable<'_> {
    /// How its value is held and what it is, or why it cannot be set.
    fn kind(&self) -> Result<(Holder, Scalar), String> {
        if self.facts.thread_local {
            return Err("each thread has its own".to_owned());
        }
        let ty = self.facts.ty.as_str();
        let (path, arguments) = generic(ty);
        let inner = arguments.first().copied().unwrap_or_default();
        let not_of_these = || {
            Err(format!(
                "`{}` is no type that can be set from outside",
                declared(ty)
            ))
        };
        if let Some(atomic) = path.strip_prefix("core::sync::atomic::Atomic") {
            let name = match atomic {
                "" => inner.to_owned(),
                name => name.to_lowercase(),
            };
            return match scalar(&name) {
                Some(scalar) => Ok((Holder::InAtomic, scalar)),
                None => not_of_these(),
            };
        }
        let holder = match path {
            "std::sync::poison::mutex::Mutex" => Holder::InMutex,
            "std::sync::poison::rwlock::RwLock" => Holder::InRwLock,
            "std::sync::once_lock::OnceLock" => Holder::InOnceLock,
            _ => match (self.definition.kind, scalar(ty)) {
                (Kind::Constant, _) => {
                    return Err(
                        "nothing writes it, so the compiler may have used its value".to_owned()
                    );
                }
                (
                    _,
                    Some(
                        scalar @ (Scalar::StaticText
                        | Scalar::OwnedText
                        | Scalar::I128
                        | Scalar::U128),
                    ),
                ) => {
                    let name = name_of(scalar);
                    return Err(format!(
                        "a bare `{name}` is not written in one step, and others may read it"
                    ));
                }
                (_, Some(scalar)) => return Ok((Holder::Bare, scalar)),
                (_, None) => return not_of_these(),
            },
        };
        match scalar(inner) {
            Some(scalar) => Ok((holder, scalar)),
            None => not_of_these(),
        }
    }
}

/// The kinds of values with the names of their types.
const SCALARS: &[(&str, Scalar)] = &[
    ("bool", Scalar::Bool),
    ("char", Scalar::Char),
    ("i8", Scalar::I8),
    ("i16", Scalar::I16),
    ("i32", Scalar::I32),
    ("i64", Scalar::I64),
    ("isize", Scalar::I64),
    ("i128", Scalar::I128),
    ("u8", Scalar::U8),
    ("u16", Scalar::U16),
    ("u32", Scalar::U32),
    ("u64", Scalar::U64),
    ("usize", Scalar::U64),
    ("u128", Scalar::U128),
    ("f32", Scalar::F32),
    ("f64", Scalar::F64),
    ("&str", Scalar::StaticText),
    ("alloc::string::String", Scalar::OwnedText),
];

fn scalar(ty: &str) -> Option<Scalar> {
    let found = SCALARS.iter().find(|(name, _)| *name == ty);
    found.map(|(_, scalar)| *scalar)
}

fn name_of(scalar: Scalar) -> &'static str {
    let found = SCALARS.iter().find(|(_, known)| *known == scalar);
    found.map_or("", |(name, _)| name)
}

macro_rules! of_number {
    ($scalar:expr, $number:ident => $then:expr, $otherwise:expr) => {
        match $scalar {
            Scalar::I8 => {
                type $number = i8;
                $then
            }
            Scalar::I16 => {
                type $number = i16;
                $then
            }
            Scalar::I32 => {
                type $number = i32;
                $then
            }
            Scalar::I64 => {
                type $number = i64;
                $then
            }
            Scalar::I128 => {
                type $number = i128;
                $then
            }
            Scalar::U8 => {
                type $number = u8;
                $then
            }
            Scalar::U16 => {
                type $number = u16;
                $then
            }
            Scalar::U32 => {
                type $number = u32;
                $then
            }
            Scalar::U64 => {
                type $number = u64;
                $then
            }
            Scalar::U128 => {
                type $number = u128;
                $then
            }
            Scalar::F32 => {
                type $number = f32;
                $then
            }
            Scalar::F64 => {
                type $number = f64;
                $then
            }
            Scalar::Bool | Scalar::Char | Scalar::StaticText | Scalar::OwnedText => $otherwise,
        }
    };
}

/// The bytes of a value that somebody typed; texts and characters with or without quotes.
fn bytes_of(scalar: Scalar, text: &str) -> Option<Vec<u8>> {
    let unquoted = |quote: char| {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        inner.unwrap_or(text)
    };
    of_number!(scalar, Number => {
        let plain = text.replace('_', "");
        Some(plain.parse::<Number>().ok()?.to_le_bytes().to_vec())
    }, match scalar {
        Scalar::Bool => Some(vec![u8::from(text.parse::<bool>().ok()?)]),
        Scalar::Char => {
            let character: char = unquoted('\'').parse().ok()?;
            Some(u32::from(character).to_le_bytes().to_vec())
        }
        _ => Some(unquoted('"').as_bytes().to_vec()),
    })
}

/// The same back, as Rust writes it.
fn text_of(scalar: Scalar, bytes: &[u8]) -> String {
    of_number!(scalar, Number => {
        let number = bytes.try_into().map(Number::from_le_bytes);
        number.map(|number| format!("{number:?}")).unwrap_or_default()
    }, match scalar {
        Scalar::Bool => (bytes != [0]).to_string(),
        Scalar::Char => {
            let number = bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
            format!("{:?}", char::from_u32(number).unwrap_or_default())
        }
        _ => format!("{:?}", String::from_utf8_lossy(bytes)),
    })
}

#[cfg(test)]
mod tests {
    use super::{Scalar, bytes_of, signature, text_of};

    #[test]
    fn what_is_typed_is_a_value_of_the_type_or_nothing() {
        let back = |scalar, text| bytes_of(scalar, text).map(|bytes| text_of(scalar, &bytes));
        assert_eq!(back(Scalar::U8, "255").as_deref(), Some("255"));
        assert_eq!(back(Scalar::U8, "256"), None);
        assert_eq!(back(Scalar::I64, "-1_000").as_deref(), Some("-1000"));
        assert_eq!(back(Scalar::F64, "1.5").as_deref(), Some("1.5"));
        assert_eq!(back(Scalar::Bool, "true").as_deref(), Some("true"));
        assert_eq!(back(Scalar::Bool, "1"), None);
        assert_eq!(back(Scalar::Char, "'x'").as_deref(), Some("'x'"));
        assert_eq!(back(Scalar::Char, "xy"), None);
        assert_eq!(
            back(Scalar::OwnedText, "\"a b\"").as_deref(),
            Some("\"a b\"")
        );
        assert_eq!(back(Scalar::StaticText, "a b").as_deref(), Some("\"a b\""));
    }

    #[test]
    fn signatures_read_as_types_of_functions() {
        let of = |types: &[&str]| {
            let types: Vec<String> = types.iter().map(|ty| (*ty).to_owned()).collect();
            signature(&types).unwrap_or_default()
        };
        assert_eq!(of(&["()"]), "fn()");
        assert_eq!(of(&["bool", "u32", "&str"]), "fn(u32, &str) -> bool");
        assert_eq!(of(&[]), "");
    }
}
