//! The kinds of code a generated file is made of. Each gives one piece of source text and the
//! function in it that runs all of it; some also give types that later files build on.

use std::collections::BTreeSet;

use super::names::{Name, Names, WORDS, capitalised, last_part};
use super::parts::{BODIES, FIELDS, SHAPES};
use super::rng::Rng;
use super::template::{Item, Scope};

/// Types of the files made so far, by path, that later files may use.
#[derive(Debug, Default)]
pub struct Exports {
    pub records: Vec<String>,
    pub stores: Vec<String>,
    pub traits: Vec<Trait>,
    adopted: BTreeSet<(String, String)>,
}

/// An exported trait and the function that makes one object of each type that has it.
#[derive(Debug, Clone)]
pub struct Trait {
    pub path: String,
    pub all: String,
}

/// A piece of a file.
#[derive(Debug)]
pub struct Section {
    pub text: String,
    pub uses: Vec<String>,
    pub call: String,
}

/// What a section is made from.
pub struct Maker<'a> {
    pub rng: &'a mut Rng,
    pub names: &'a mut Names,
    pub exports: &'a mut Exports,
    /// The module path of the file, from the crate's root on.
    pub module: &'a str,
}

/// Makes one kind of section.
pub type Kind = fn(&mut Maker<'_>) -> Section;

/// What the first file must have so that the others, and the hot function, can build on it.
pub const FIRST: &[Kind] = &[record, store, family, record];

pub const ALL: &[Kind] = &[
    record, store, family, bridge, machine, errors, pipeline, text, vector, registry, graph,
    expression, builder, closures, tree, record, bridge,
];

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("templates/", $name, ".tpl"))
    };
}

impl Maker<'_> {
    fn name(&mut self) -> Name {
        self.names.draw(self.rng)
    }

    fn scope(&mut self, name: &Name) -> Scope {
        let mut scope = Scope::default();
        scope
            .set("Type", name.camel())
            .set("func", name.snake())
            .set("CONST", name.snake().to_uppercase())
            .set("noun", name.noun)
            .set("adjective", name.adjective);
        scope
    }

    /// Fills `template` after giving each of `types` a name of its own.
    fn section(
        &mut self,
        template: &str,
        name: &Name,
        mut scope: Scope,
        types: &[&'static str],
        uses: &[&str],
        call: &str,
    ) -> Section {
        for key in types {
            scope.set(key, self.names.draw(self.rng).camel());
        }
        Section {
            text: scope.render(template, self.rng),
            uses: uses.iter().map(|path| (*path).to_owned()).collect(),
            call: format!("{}_{call}", name.snake()),
        }
    }

    fn path(&self, item: &str) -> String {
        format!("crate::{}::{item}", self.module)
    }

    /// Between `low` and `high` different words.
    fn words(&mut self, low: usize, high: usize) -> Vec<&'static str> {
        let count = self.rng.between(low, high);
        self.rng.sample(WORDS, count)
    }
}

fn record(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let mut scope = maker.scope(&name);
    // The first record has every kind of field, so that every helper is used at any size.
    let first = maker.exports.records.is_empty();
    let count = if first {
        FIELDS.len()
    } else {
        maker.rng.between(3, 7)
    };
    let kinds = maker.rng.sample(&FIELDS, count);
    let words = maker.rng.sample(WORDS, count);
    let sums = kinds.iter().any(|kind| kind[0].starts_with("Vec"));
    let fields = kinds
        .iter()
        .zip(words)
        .map(|([ty, init, fold, merge], word)| -> Item {
            let pairs = [("ty", ty), ("init", init), ("fold", fold), ("merge", merge)];
            let pairs = pairs
                .into_iter()
                .map(|(key, value)| (key, (*value).to_owned()));
            pairs.chain([("field", word.to_owned())]).collect()
        });
    scope.list("fields", fields.collect());
    maker.exports.records.push(maker.path(&name.camel()));
    let uses: &[&str] = if sums {
        &["std::fmt", "crate::numbers::sum_of"]
    } else {
        &["std::fmt"]
    };
    maker.section(template!("record"), &name, scope, &[], uses, "total")
}

fn store(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let scope = maker.scope(&name);
    maker.exports.stores.push(maker.path(&name.camel()));
    let uses = [
        "std::collections::HashMap",
        "std::collections::VecDeque",
        "std::hash::Hash",
    ];
    maker.section(template!("store"), &name, scope, &[], &uses, "fill")
}

fn family(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let mut scope = maker.scope(&name);
    scope.set("Trait", name.camel());
    let labels = maker.words(3, 6);
    let kinds = labels.into_iter().map(|label| -> Item {
        let extra = match maker.rng.between(0, 2) {
            0 => "\n    fn tax(&self) -> u64 {\n        self.base % $num$\n    }\n",
            1 => "\n    fn gross(&self) -> u64 {\n        self.cost() + u64::from(self.rate) * $small$\n    }\n",
            _ => "",
        };
        let kind = format!("{}{}", capitalised(label), name.camel());
        vec![("Kind", kind), ("label", label.to_owned()), ("extra", extra.to_owned())]
    });
    let kinds = kinds.collect();
    scope.list("kinds", kinds);
    let all = maker.path(&format!("{}_all", name.snake()));
    maker.exports.traits.push(Trait {
        path: maker.path(&name.camel()),
        all,
    });
    maker.section(template!("family"), &name, scope, &[], &[], "total")
}

/// Types of other files put together: their generics with new types, their traits for new types.
fn bridge(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let left = maker.rng.pick(&maker.exports.records).clone();
    let store = maker.rng.pick(&maker.exports.stores).clone();
    let (right, adopted) = loop {
        let right = maker.rng.pick(&maker.exports.records).clone();
        let adopted = maker.rng.pick(&maker.exports.traits).path.clone();
        // One impl of a trait for a type is all there can be.
        if maker
            .exports
            .adopted
            .insert((adopted.clone(), right.clone()))
        {
            break (right, adopted);
        }
        if maker.exports.adopted.len() == maker.exports.records.len() * maker.exports.traits.len() {
            return record(maker);
        }
    };
    let mut scope = maker.scope(&name);
    let paths = [
        ("Left", &left),
        ("Right", &right),
        ("Store", &store),
        ("Trait", &adopted),
    ];
    for (key, path) in paths {
        scope.set(key, last_part(path));
    }
    let uses = [left.as_str(), &right, &store, &adopted];
    maker.section(template!("bridge"), &name, scope, &[], &uses, "total")
}

fn machine(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let mut scope = maker.scope(&name);
    let labels = maker.words(4, 9);
    scope.set("arms", (labels.len() + 2).to_string());
    let variants = labels
        .into_iter()
        .enumerate()
        .map(|(number, label)| -> Item {
            let shape = maker.rng.pick(&SHAPES);
            let keys = ["shape", "make", "bind", "weigh", "next"];
            let parts = keys
                .into_iter()
                .zip(shape.iter().map(|part| (*part).to_owned()));
            let own = [
                ("index", (number + 1).to_string()),
                ("label", label.to_owned()),
                ("Variant", capitalised(label)),
            ];
            parts.chain(own).collect()
        });
    let variants = variants.collect();
    scope.list("variants", variants);
    let uses = ["std::collections::HashSet", "std::fmt"];
    maker.section(template!("machine"), &name, scope, &[], &uses, "walk")
}

fn errors(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let mut scope = maker.scope(&name);
    let variants = maker
        .words(1, 4)
        .into_iter()
        .map(|word| -> Item { vec![("Variant", capitalised(word)), ("label", word.to_owned())] });
    scope.list("variants", variants.collect());
    let uses = [
        "std::collections::HashSet",
        "std::error::Error",
        "std::fmt",
        "std::num::ParseIntError",
    ];
    maker.section(template!("errors"), &name, scope, &["Line"], &uses, "total")
}

fn pipeline(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let scope = maker.scope(&name);
    let uses = ["std::collections::BTreeMap"];
    maker.section(template!("pipeline"), &name, scope, &[], &uses, "total")
}

fn text(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let scope = maker.scope(&name);
    let uses = ["std::fmt", "std::fmt::Write"];
    maker.section(template!("text"), &name, scope, &["Align"], &uses, "total")
}

fn vector(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let mut scope = maker.scope(&name);
    let count = maker.rng.between(2, 4);
    scope.column("axes", "axis", ["x", "y", "z", "w"].into_iter().take(count));
    let uses = [
        "std::iter::Sum",
        "std::ops::Add",
        "std::ops::AddAssign",
        "std::ops::Mul",
        "std::ops::Neg",
        "std::ops::Sub",
    ];
    maker.section(template!("vector"), &name, scope, &[], &uses, "drift")
}

fn registry(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let mut scope = maker.scope(&name);
    let size = maker.rng.between(8, 16);
    scope
        .set("size", size.to_string())
        .set("table", vec!["$num$"; size].join(", "));
    let entries = maker
        .words(4, 12)
        .into_iter()
        .map(|word| -> Item { vec![("label", word.to_owned()), ("value", "$num$".to_owned())] });
    scope.list("entries", entries.collect());
    let uses = [
        "std::cell::Cell",
        "std::cell::RefCell",
        "std::collections::BTreeMap",
        "std::collections::HashMap",
        "std::sync::Mutex",
        "std::sync::OnceLock",
        "std::sync::atomic::AtomicU64",
        "std::sync::atomic::Ordering",
    ];
    maker.section(template!("registry"), &name, scope, &[], &uses, "total")
}

fn graph(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let scope = maker.scope(&name);
    let uses = [
        "std::cmp::Reverse",
        "std::collections::BinaryHeap",
        "std::collections::VecDeque",
    ];
    maker.section(template!("graph"), &name, scope, &[], &uses, "total")
}

fn expression(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let scope = maker.scope(&name);
    maker.section(
        template!("expression"),
        &name,
        scope,
        &["Token", "Parser"],
        &[],
        "total",
    )
}

fn builder(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let scope = maker.scope(&name);
    let uses = ["std::collections::HashSet"];
    maker.section(
        template!("builder"),
        &name,
        scope,
        &["Builder", "View"],
        &uses,
        "total",
    )
}

fn closures(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let mut scope = maker.scope(&name);
    let rules = maker
        .words(3, 8)
        .into_iter()
        .enumerate()
        .map(|(number, word)| -> Item {
            let body = if number == 0 {
                BODIES[0]
            } else {
                maker.rng.pick(&BODIES)
            };
            vec![("label", word.to_owned()), ("body", body.to_owned())]
        });
    let rules = rules.collect();
    scope.list("rules", rules);
    scope.set("size", maker.rng.between(2, 16).to_string());
    let uses = ["std::collections::HashMap"];
    maker.section(
        template!("closures"),
        &name,
        scope,
        &["Rule"],
        &uses,
        "total",
    )
}

fn tree(maker: &mut Maker<'_>) -> Section {
    let name = maker.name();
    let mut scope = maker.scope(&name);
    let paths = maker.words(3, 8).into_iter().map(|word| -> Item {
        vec![
            ("path", format!("{word}/$word$/$word$")),
            ("value", "$num$".to_owned()),
        ]
    });
    scope.list("paths", paths.collect());
    let uses = ["std::cell::RefCell", "std::rc::Rc", "std::rc::Weak"];
    maker.section(
        template!("tree"),
        &name,
        scope,
        &["Link", "Node"],
        &uses,
        "total",
    )
}
