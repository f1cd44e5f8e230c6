//! What constants are made of, and what they make other than before: `#[hot]` statics, and what calls a `const fn` that says something else now.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use syn::visit::Visit;

use super::diff::{Became, Changes, ItemChange};
use super::file::{FnKey, Function, Kind, Owner};
use super::items::CrateSource;
use super::names::Spread;

/// `#[hot]` statics that are made from constants which say something else now have another value.
pub(super) fn revalue(new: &[CrateSource], values: &BTreeSet<String>, changes: &mut [Changes]) {
    if values.is_empty() {
        return;
    }
    let mut hasher = DefaultHasher::new();
    for change in changes.iter().flat_map(|changes| &changes.items) {
        change.item.code.hash(&mut hasher);
    }
    for (source, changes) in new.iter().zip(&*changes) {
        let edited = changes.bodies.iter().filter_map(|key| source.function(key));
        edited.for_each(|(_, function)| function.code.hash(&mut hasher));
    }
    let from = hasher.finish();
    for (source, changes) in new.iter().zip(changes) {
        for file in &source.files {
            let items = file.parsed.items.iter();
            let hot = items.filter(|item| item.kind == Kind::Static && item.hot);
            for item in hot.filter(|item| item.mentions.iter().any(|name| values.contains(name))) {
                let mut items = changes.items.iter();
                if items
                    .any(|other| other.item.name == item.name && other.item.module == item.module)
                {
                    continue;
                }
                let mut now = item.clone();
                now.helpers ^= from;
                changes.names.extend(item.names.iter().cloned());
                changes.items.push(ItemChange {
                    became: Became::Changed,
                    item: now,
                    old: Some(item.clone()),
                    file: file.path.clone(),
                    place: item.place,
                });
            }
        }
    }
}

impl Spread<'_> {
    /// `const fn`s that came or went decide the items that call them.
    pub(super) fn const_functions(&mut self, krate: usize) {
        let is_const = |f: &Function| f.constant;
        let changes = &self.changes[krate];
        let keys = changes
            .added
            .iter()
            .chain(&changes.bodies)
            .chain(&changes.removed)
            .chain(&changes.signatures);
        let found: BTreeSet<&FnKey> = keys.collect();
        let found: Vec<Function> = found
            .into_iter()
            .flat_map(|key| [&self.old[krate], &self.new[krate]].map(|source| source.function(key)))
            .flatten()
            .map(|(_, function)| function.clone())
            .filter(is_const)
            .collect();
        for function in found {
            self.decides(krate, &function);
        }
    }

    /// What a `const fn` says is something else now, and so may be the items that call it.
    fn decides(&mut self, krate: usize, function: &Function) {
        self.stirred.insert(function.name.clone());
        match &function.owner {
            Owner::Free => self.push((krate, function.module.clone()), function.name.clone()),
            Owner::Impl(_) => {
                self.changes[krate].names.insert(function.name.clone());
                let path = format!("::{}", function.name);
                let call = format!(".{}", function.name);
                for number in 0..self.new.len() {
                    self.mark(
                        number,
                        |item| {
                            item.paths.contains(&call)
                                || item.paths.iter().any(|other| other.ends_with(&path))
                        },
                        &function.name,
                    );
                }
                self.const_functions_with(&function.name);
            }
            Owner::Trait(_) => {}
        }
    }

    /// `const fn`s that mention this name, and so those that call them.
    pub(super) fn const_functions_with(&mut self, name: &str) {
        for krate in 0..self.new.len() {
            let found: Vec<Function> = self.new[krate]
                .functions()
                .map(|(_, function)| function)
                .filter(|function| function.constant && function.mentions.contains(name))
                .filter(|function| self.decided.insert((krate, function.key.clone())))
                .cloned()
                .collect();
            for function in found {
                self.decides(krate, &function);
            }
        }
    }
}

/// `fn` if a constant is made of code that has symbols of its own: closures and functions inside.
pub(super) fn code_in(expr: &syn::Expr) -> BTreeSet<String> {
    struct Code(bool);
    impl<'ast> Visit<'ast> for Code {
        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {
            self.0 = true;
        }

        fn visit_item_fn(&mut self, _: &'ast syn::ItemFn) {
            self.0 = true;
        }

        // What a macro makes nobody sees.
        fn visit_macro(&mut self, call: &'ast syn::Macro) {
            let tokens = call.tokens.to_string();
            self.0 |= tokens.contains('|') || tokens.contains("fn ");
        }
    }
    let mut code = Code(false);
    code.visit_expr(expr);
    code.0.then(|| "fn".to_owned()).into_iter().collect()
}
