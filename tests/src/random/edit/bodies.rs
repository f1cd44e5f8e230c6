//! Edits of bodies.

use fastrand::Rng;

use crate::random::expr::{self, Place, expr, number, place_of};
use crate::random::model::{Expr, Function, Id, Kind, Model, Role};

use super::{choose, item};

/// Replaces an expression or some part of it.
pub fn mutate(model: &Model, rng: &mut Rng, place: &Place, body: &Expr) -> Expr {
    let mut new = body.clone();
    match rng.u8(..6) {
        0 => return expr(model, rng, place, 3),
        1 => {
            let more = expr(model, rng, place, 2);
            return Expr::Binary("wrapping_add", Box::new(new), Box::new(more));
        }
        2 => return Expr::Binary("^", Box::new(new), Box::new(Expr::Literal(number(rng)))),
        _ => {}
    }
    // Inside a closure or loop other names are there, so only what is on the way down without one is replaced.
    let (mut at, mut left) = (&mut new, rng.u8(..4));
    while left > 0 && !binds(at) {
        let count = at.children().len();
        if count == 0 {
            break;
        }
        at = at.children().swap_remove(rng.usize(..count));
        left -= 1;
    }
    *at = expr(model, rng, place, 2);
    new
}

/// Whether what is inside stands in another place than the expression itself.
fn binds(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Closure(_) | Expr::InnerFn(_) | Expr::Iterate(..) | Expr::Loop(..)
    )
}

fn function(
    model: &mut Model,
    rng: &mut Rng,
    wanted: impl Fn(&Function) -> bool,
) -> Option<String> {
    let id = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Function(function) if wanted(function)),
    )?;
    change(model, rng, id)
}

/// Changes the body of a function.
pub fn change(model: &mut Model, rng: &mut Rng, id: Id) -> Option<String> {
    let place = place_of(model, id);
    let at = rng.usize(..model.function(id).body.len());
    let new = mutate(model, rng, &place, &model.function(id).body[at]);
    let name = model.items[&id].name.clone();
    if let Kind::Function(function) = item(model, id) {
        function.body[at] = new;
    }
    Some(format!("the body of {name}"))
}

fn is_plain(function: &Function) -> bool {
    function.role == Role::Helper
        && !function.generic
        && !function.asynchronous
        && !function.constant
        && !function.from_macro
        && function.attribute.is_none()
        && function.inner_static.is_none()
}

pub fn entry(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.role == Role::Entry)
}

pub fn cold(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.role == Role::Cold)
}

pub fn helper(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, is_plain)
}

pub fn library(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let modules = model.modules.clone();
    let id = choose(model, rng, |item| {
        modules[item.module].library && matches!(item.kind, Kind::Function(_))
    })?;
    change(model, rng, id)
}

pub fn generic(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.generic)
}

pub fn asynchronous(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.asynchronous)
}

pub fn constant(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.constant)
}

pub fn inline(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.attribute.is_some())
}

pub fn from_macro(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.from_macro)
}

pub fn inner_static(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.inner_static.is_some())
}

pub fn pointed(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.pointed)
}

pub fn closure(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.role == Role::Closure)
}

pub fn future(model: &mut Model, rng: &mut Rng) -> Option<String> {
    function(model, rng, |f| f.role == Role::Future)
}

pub fn captures(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Function(f) if !f.captures.is_empty()),
    )?;
    let place = place_of(model, id);
    let ty = expr::ty(model, rng, &place, 2);
    let name = model.items[&id].name.clone();
    if let Kind::Function(function) = item(model, id) {
        let at = rng.usize(..function.captures.len());
        if rng.bool() {
            function.captures[at] = ty;
        } else {
            function.captures.push(ty);
            let more = Expr::Captured(function.captures.len() - 1);
            let old = function.body[0].clone();
            function.body[0] = Expr::Binary("^", Box::new(old), Box::new(more));
        }
    }
    Some(format!("what the values of {name} capture"))
}

pub fn method(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Type(def) if !def.methods.is_empty()),
    )?;
    let at = rng.usize(..model.type_def(id).methods.len());
    let place = place_of(model, id);
    let new = mutate(model, rng, &place, &model.type_def(id).methods[at].body);
    let Kind::Type(def) = item(model, id) else {
        return None;
    };
    def.methods[at].body = new;
    Some(format!("the body of method {}", def.methods[at].name))
}

pub fn implementation(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let all: Vec<usize> = (0..model.impls.len())
        .filter(|at| !model.impls[*at].bodies.is_empty())
        .collect();
    let at = rng.choice(all)?;
    let place = place_of(model, model.impls[at].ty);
    let names: Vec<String> = model.impls[at].bodies.keys().cloned().collect();
    let name = rng.choice(names)?;
    let new = mutate(model, rng, &place, &model.impls[at].bodies[&name]);
    model.impls[at].bodies.insert(name.clone(), new);
    Some(format!(
        "the body of {name} of {}",
        model.items[&model.impls[at].ty].name
    ))
}

pub fn default(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Trait(def) if def.methods.iter().any(|method| method.default.is_some())),
    )?;
    let place = place_of(model, id);
    let with: Vec<usize> = (0..model.trait_def(id).methods.len())
        .filter(|at| model.trait_def(id).methods[*at].default.is_some())
        .collect();
    let at = rng.choice(with)?;
    let old = model.trait_def(id).methods[at].default.clone()?;
    let new = mutate(model, rng, &place, &old);
    let Kind::Trait(def) = item(model, id) else {
        return None;
    };
    def.methods[at].default = Some(new);
    Some(format!("the default body of {}", def.methods[at].name))
}

fn type_number(
    model: &mut Model,
    rng: &mut Rng,
    what: &str,
    change: impl Fn(&mut crate::random::model::TypeDef, u64),
) -> Option<String> {
    let id = choose(model, rng, |item| matches!(item.kind, Kind::Type(_)))?;
    let name = model.items[&id].name.clone();
    let value = number(rng);
    if let Kind::Type(def) = item(model, id) {
        change(def, value);
    }
    Some(format!("{what} of {name}"))
}

pub fn made(model: &mut Model, rng: &mut Rng) -> Option<String> {
    type_number(model, rng, "mk", |def, value| def.made = value)
}

pub fn mixed(model: &mut Model, rng: &mut Rng) -> Option<String> {
    type_number(model, rng, "mix", |def, value| def.mixed = value)
}

pub fn dropped(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Type(def) if def.drops.is_some()),
    )?;
    let name = model.items[&id].name.clone();
    if let Kind::Type(def) = item(model, id) {
        def.drops = def.drops.map(|old| old + rng.u64(1..50));
    }
    Some(format!("drop of {name}"))
}
