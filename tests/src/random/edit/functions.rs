//! Edits of functions other than their bodies.

use fastrand::Rng;

use crate::random::expr::{self, Place, expr, place_of};
use crate::random::grow;
use crate::random::model::{Expr, Function, Id, Kind, Model, ROOT, Role, Ty, Visibility};

use super::{choose, forget, item, use_somewhere};

fn helper(model: &Model, rng: &mut Rng, wanted: impl Fn(&Function) -> bool) -> Option<Id> {
    choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Function(f) if f.role == Role::Helper && wanted(f)),
    )
}

fn function_mut(model: &mut Model, id: Id) -> &mut Function {
    match item(model, id) {
        Kind::Function(function) => function,
        other => unreachable!("invariant: {id} is a function, not {other:?}"),
    }
}

/// Whether a function may call another one.
fn may_call(model: &Model, caller: Id, callee: Id) -> bool {
    let (user, used) = (model.function(caller), model.function(callee));
    user.level > used.level
        && !user.constant
        && (!user.pure || used.pure)
        && (user.world || !used.world)
        && model.is_visible(callee, model.items[&caller].module)
}

fn call(model: &Model, rng: &mut Rng, id: Id) -> Expr {
    let function = model.function(id);
    let of = function.generic.then(|| {
        let place = Place {
            module: ROOT,
            ..Place::default()
        };
        let ty = expr::ty(model, rng, &place, 0);
        Ty::Of("Option", Box::new(ty))
    });
    let args = (0..function.params)
        .map(|_| Expr::Literal(rng.u64(..1000)))
        .collect();
    Expr::Call(id, of, args)
}

pub fn add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let level = rng.u32(..5);
    let id = grow::add_helper(model, rng, level);
    // A hot function that was not there at the start is a matter of its own.
    function_mut(model, id).hot = false;
    let used = call(model, rng, id);
    let user = use_somewhere(
        model,
        rng,
        |model, user| user != id && may_call(model, user, id),
        used,
    )?;
    Some(format!("added {}, called by {user}", model.items[&id].name))
}

pub fn remove(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| !f.pointed)?;
    forget(
        model,
        rng,
        |expr| matches!(expr, Expr::Call(callee, ..) if *callee == id),
    );
    let item = model.items.remove(&id)?;
    Some(format!("removed {}", item.name))
}

pub fn rename(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| !f.hot)?;
    let new = format!("f{}", model.fresh());
    let item = model.items.get_mut(&id)?;
    let old = std::mem::replace(&mut item.name, new.clone());
    Some(format!("renamed {old} to {new}"))
}

/// Changes the number of parameters, and every call with it.
fn resize(model: &mut Model, rng: &mut Rng, id: Id, params: usize) {
    let old = model.function(id).params;
    function_mut(model, id).params = params;
    if params < old {
        for body in &mut function_mut(model, id).body {
            body.walk(&mut |expr| {
                if matches!(expr, Expr::Param(at) if *at >= params) {
                    *expr = Expr::Param(0);
                }
            });
        }
    }
    let value = rng.u64(..1000);
    model.each_body(|body| {
        body.walk(&mut |expr| {
            if let Expr::Call(callee, _, args) = expr
                && *callee == id
            {
                args.resize(params, Expr::Literal(value));
            }
        });
    });
}

pub fn signature(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| {
        !f.pointed && f.inner_static.is_none() && !f.hot
    })?;
    let old = model.function(id).params;
    let new = if old > 1 && rng.bool() {
        old - 1
    } else {
        old + 1
    };
    resize(model, rng, id, new);
    if new > old {
        let body = &mut function_mut(model, id).body[0];
        let inner = std::mem::replace(body, Expr::Literal(0));
        *body = Expr::Binary("wrapping_add", Box::new(inner), Box::new(Expr::Param(old)));
    }
    Some(format!(
        "{} takes {new} numbers, not {old}",
        model.items[&id].name
    ))
}

pub fn hot_signature(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(model, rng, |item| {
        matches!(&item.kind, Kind::Function(f) if f.hot && !f.pointed && f.inner_static.is_none()
            && matches!(f.role, Role::Entry | Role::Helper))
    })?;
    let new = model.function(id).params + 1;
    resize(model, rng, id, new);
    Some(format!(
        "hot {} takes one number more",
        model.items[&id].name
    ))
}

pub fn asynchronous(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| {
        !f.pointed && !f.constant && !f.generic && f.inner_static.is_none() && !f.world
    })?;
    let function = function_mut(model, id);
    function.asynchronous = !function.asynchronous;
    let is = function.asynchronous;
    Some(format!(
        "{} is {}async",
        model.items[&id].name,
        if is { "" } else { "not " }
    ))
}

pub fn generic(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| {
        !f.pointed
            && !f.constant
            && !f.asynchronous
            && !f.hot
            && f.inner_static.is_none()
            && !f.world
            && !f.from_macro
    })?;
    let function = function_mut(model, id);
    function.generic = !function.generic;
    let is = function.generic;
    for body in &mut function.body {
        body.walk(&mut |expr| {
            if matches!(expr, Expr::Parameter(_)) && !is {
                *expr = Expr::Param(0);
            }
        });
    }
    model.each_body(|body| {
        body.walk(&mut |expr| {
            if let Expr::Call(callee, of, _) = expr
                && *callee == id
            {
                *of = is.then_some(Ty::Plain("u16"));
            }
        });
    });
    Some(format!(
        "{} is {}generic",
        model.items[&id].name,
        if is { "" } else { "not " }
    ))
}

pub fn attribute(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| !f.hot)?;
    let function = function_mut(model, id);
    let new = rng.choice([
        None,
        Some("#[inline]"),
        Some("#[inline(always)]"),
        Some("#[inline(never)]"),
    ])?;
    if function.attribute == new {
        return None;
    }
    function.attribute = new;
    Some(format!(
        "{} is {}",
        model.items[&id].name,
        new.unwrap_or("not inline")
    ))
}

pub fn constant(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| f.constant)?;
    function_mut(model, id).constant = false;
    Some(format!("{} is not const", model.items[&id].name))
}

pub fn to_other_module(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| !f.hot && f.inner_static.is_none())?;
    let home = model.items[&id].module;
    let library = model.modules[home].library;
    let others =
        (0..model.modules.len()).filter(|at| *at != home && model.modules[*at].library == library);
    let new = rng.choice(others.collect::<Vec<_>>())?;
    let visibility = if library {
        Visibility::Public
    } else {
        Visibility::Crate
    };
    let item = model.items.get_mut(&id)?;
    item.module = new;
    item.visibility = visibility;
    // What the body names may be private to the old place.
    let place = place_of(model, id);
    for at in 0..model.function(id).body.len() {
        let body = expr(model, rng, &place, 3);
        function_mut(model, id).body[at] = body;
    }
    let captures: Vec<Ty> = model
        .function(id)
        .captures
        .iter()
        .map(|_| Ty::Plain("u32"))
        .collect();
    function_mut(model, id).captures = captures;
    Some(format!("moved {}", model.items[&id].name))
}

pub fn from_macro(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| {
        !f.hot && !f.generic && f.inner_static.is_none()
    })?;
    let function = function_mut(model, id);
    function.from_macro = !function.from_macro;
    let is = function.from_macro;
    Some(format!("a macro makes {}: {is}", model.items[&id].name))
}

pub fn hot_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| {
        !f.hot && !f.generic && !f.constant && f.attribute.is_none() && !f.from_macro
    })?;
    function_mut(model, id).hot = true;
    Some(format!("{} is hot", model.items[&id].name))
}

pub fn hot_remove(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = helper(model, rng, |f| f.hot)?;
    function_mut(model, id).hot = false;
    Some(format!("{} is not hot", model.items[&id].name))
}

pub fn maker_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let role = if rng.bool() {
        Role::Closure
    } else {
        Role::Future
    };
    let id = grow::add_maker(model, rng, role);
    function_mut(model, id).hot = false;
    Some(format!("added maker {}", model.items[&id].name))
}
