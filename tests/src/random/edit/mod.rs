//! Random edits of a program, by kind.
//!
//! An edit changes the abstract program so that it still compiles. Who changes what others use changes the users too.

mod bodies;
mod functions;
mod items;
mod types;

use std::collections::BTreeMap;

use fastrand::Rng;

use super::model::{Expr, Id, Item, Kind, Model};
use super::print;

/// Changes a program and says what it did, or leaves it where there is nothing of the kind to change.
type Apply = fn(&mut Model, &mut Rng) -> Option<String>;

/// A kind of edit.
#[derive(Clone, Copy)]
pub struct EditKind {
    /// What reports and `--kinds` call it.
    pub name: &'static str,
    /// How often it is drawn.
    weight: u32,
    apply: Apply,
}

const fn kind(name: &'static str, weight: u32, apply: Apply) -> EditKind {
    EditKind {
        name,
        weight,
        apply,
    }
}

/// All kinds. `revert` is the trial's own: it goes back to an earlier source.
pub const KINDS: &[EditKind] = &[
    kind("body-entry", 8, bodies::entry),
    kind("body-helper", 8, bodies::helper),
    kind("body-library", 4, bodies::library),
    kind("body-generic", 4, bodies::generic),
    kind("body-async", 4, bodies::asynchronous),
    kind("body-const-fn", 3, bodies::constant),
    kind("body-inline", 3, bodies::inline),
    kind("body-from-macro", 3, bodies::from_macro),
    kind("body-inner-static", 2, bodies::inner_static),
    kind("body-cold", 1, bodies::cold),
    kind("body-pointed", 3, bodies::pointed),
    kind("closure-body", 4, bodies::closure),
    kind("closure-captures", 3, bodies::captures),
    kind("future-body", 4, bodies::future),
    kind("method-body", 4, bodies::method),
    kind("impl-body", 5, bodies::implementation),
    kind("default-body", 4, bodies::default),
    kind("mk-body", 4, bodies::made),
    kind("mix-body", 4, bodies::mixed),
    kind("drop-body", 2, bodies::dropped),
    kind("const-value", 6, items::const_value),
    kind("length-value", 4, items::length_value),
    kind("macro-body", 5, items::macro_body),
    kind("alias-type", 3, items::alias),
    kind("static-initial", 3, items::static_initial),
    kind("static-type", 2, items::static_type),
    kind("static-add", 4, items::static_add),
    kind("static-remove", 1, items::static_remove),
    kind("table-value", 2, items::table_value),
    kind("inner-static-initial", 2, items::inner_static_initial),
    kind("inner-static-toggle", 2, items::inner_static_toggle),
    kind("const-add", 2, items::const_add),
    kind("unused-remove", 2, items::unused_remove),
    kind("rename-item", 3, items::rename),
    kind("import", 4, items::import),
    kind("visibility", 2, items::visibility),
    kind("module-inline", 1, items::module_inline),
    kind("module-rename", 1, items::module_rename),
    kind("comment", 3, items::comment),
    kind("broken", 1, items::broken),
    kind("broken-elsewhere", 1, items::broken_elsewhere),
    kind("function-add", 5, functions::add),
    kind("function-remove", 3, functions::remove),
    kind("function-rename", 4, functions::rename),
    kind("function-signature", 5, functions::signature),
    kind("function-async", 2, functions::asynchronous),
    kind("function-generic", 2, functions::generic),
    kind("function-attribute", 2, functions::attribute),
    kind("function-const", 2, functions::constant),
    kind("function-move", 3, functions::to_other_module),
    kind("function-from-macro", 2, functions::from_macro),
    kind("hot-add", 1, functions::hot_add),
    kind("hot-remove", 1, functions::hot_remove),
    kind("hot-signature", 1, functions::hot_signature),
    kind("maker-add", 1, functions::maker_add),
    kind("field-add", 3, types::field_add),
    kind("field-remove", 3, types::field_remove),
    kind("field-retype", 3, types::field_retype),
    kind("field-reorder", 3, types::field_reorder),
    kind("field-rename", 2, types::field_rename),
    kind("field-visibility", 2, types::field_visibility),
    kind("variant-add", 3, types::variant_add),
    kind("variant-remove", 2, types::variant_remove),
    kind("variant-payload", 3, types::variant_payload),
    kind("variant-reorder", 2, types::variant_reorder),
    kind("repr", 2, types::repr),
    kind("derive", 2, types::derive),
    kind("drop-toggle", 2, types::drop_toggle),
    kind("type-add", 3, types::add),
    kind("type-from-macro", 1, types::from_macro),
    kind("method-add", 2, types::method_add),
    kind("method-remove", 2, types::method_remove),
    kind("trait-add", 2, types::trait_add),
    kind("trait-method-add", 2, types::trait_method_add),
    kind("trait-method-remove", 1, types::trait_method_remove),
    kind("trait-method-reorder", 1, types::trait_method_reorder),
    kind("default-toggle", 2, types::default_toggle),
    kind("override-add", 3, types::override_add),
    kind("override-remove", 3, types::override_remove),
    kind("impl-add", 4, types::impl_add),
    kind("impl-remove", 2, types::impl_remove),
    kind("assoc-const", 3, types::assoc_const),
    kind("assoc-type", 3, types::assoc_type),
    kind("world-field", 1, types::world_field),
];

/// An edit that was made.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Its kind, or several with `+` between.
    pub kind: String,
    /// What it changed.
    pub what: String,
}

/// Makes a random edit of one of the kinds that `wanted` says yes to.
pub fn edit(model: &mut Model, rng: &mut Rng, wanted: &dyn Fn(&str) -> bool) -> Option<Edit> {
    let kinds: Vec<_> = KINDS.iter().filter(|kind| wanted(kind.name)).collect();
    let total: u32 = kinds.iter().map(|kind| kind.weight).sum();
    for _ in 0..200 {
        let mut at = rng.u32(..total.max(1));
        let drawn = kinds.iter().find(|kind| match at.checked_sub(kind.weight) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        });
        let drawn = drawn?;
        let before = model.clone();
        if let Some(what) = (drawn.apply)(model, rng) {
            return Some(Edit {
                kind: drawn.name.to_owned(),
                what,
            });
        }
        *model = before;
    }
    None
}

/// An item of which `wanted` says yes.
fn choose(model: &Model, rng: &mut Rng, wanted: impl Fn(&Item) -> bool) -> Option<Id> {
    rng.choice(model.select(wanted))
}

/// What an item is, to change it.
fn item(model: &mut Model, id: Id) -> &mut Kind {
    &mut model
        .items
        .get_mut(&id)
        .expect("invariant: the item is there")
        .kind
}

/// Replaces every expression that `gone` says yes to by a number.
fn forget(model: &mut Model, rng: &mut Rng, gone: impl Fn(&Expr) -> bool) {
    let value = rng.u64(..1000);
    model.each_body(|body| {
        body.walk(&mut |expr| {
            if gone(expr) {
                *expr = Expr::Literal(value);
            }
        });
    });
}

/// How often each word stands in the program's text.
fn mentions(model: &Model) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    for text in print::files(model, "").values() {
        for found in text.split(|letter| !word(letter)) {
            *counts.entry(found.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Puts `used` into a random body that may name what it uses: entries, and helpers that have a place for it.
fn use_somewhere(
    model: &mut Model,
    rng: &mut Rng,
    fits: impl Fn(&Model, Id) -> bool,
    used: Expr,
) -> Option<String> {
    let users = model.select(|item| matches!(item.kind, Kind::Function(_)));
    let users: Vec<Id> = users.into_iter().filter(|id| fits(model, *id)).collect();
    let id = rng.choice(users)?;
    let name = model.items[&id].name.clone();
    let Kind::Function(function) = item(model, id) else {
        return None;
    };
    let at = rng.usize(..function.body.len());
    let old = std::mem::replace(&mut function.body[at], Expr::Literal(0));
    function.body[at] = Expr::Binary("wrapping_add", Box::new(old), Box::new(used));
    Some(name)
}
