//! Edits of types, traits and impls.

use fastrand::Rng;

use crate::random::expr::{self, Place, expr, number, place_of};
use crate::random::grow;
use crate::random::model::{Expr, Id, Kind, Model, Shape, Ty, TypeDef, Variant};
use crate::random::print::has_user_type;

use super::{choose, forget, item, use_somewhere};

fn name(model: &Model, id: Id) -> String {
    model.items[&id].name.clone()
}

fn type_mut(model: &mut Model, id: Id) -> &mut TypeDef {
    match item(model, id) {
        Kind::Type(def) => def,
        other => unreachable!("invariant: {id} is a type, not {other:?}"),
    }
}

/// A type for a field of a type that exists.
fn inner_type(model: &Model, rng: &mut Rng, id: Id) -> Ty {
    let place = Place {
        module: model.items[&id].module,
        older_than: Some(id),
        ..Place::default()
    };
    expr::ty(model, rng, &place, 2)
}

fn struct_id(model: &Model, rng: &mut Rng, least: usize) -> Option<Id> {
    choose(model, rng, |item| match &item.kind {
        Kind::Type(def) => matches!(&def.shape, Shape::Struct(fields) if fields.len() >= least),
        _ => false,
    })
}

fn enum_id(model: &Model, rng: &mut Rng, least: usize) -> Option<Id> {
    choose(model, rng, |item| match &item.kind {
        Kind::Type(def) => matches!(&def.shape, Shape::Enum(variants) if variants.len() >= least),
        _ => false,
    })
}

/// Nobody names a field that is gone or called differently.
fn forget_field(model: &mut Model, rng: &mut Rng, id: Id, gone: &str) {
    forget(
        model,
        rng,
        |expr| matches!(expr, Expr::FieldOf(of, field, _) if *of == id && field == gone),
    );
    let value = rng.u64(..100);
    let mut clear = |body: &mut Expr| {
        body.walk(&mut |expr| {
            if matches!(expr, Expr::ThisField(field) if field == gone) {
                *expr = Expr::Literal(value);
            }
        });
    };
    type_mut(model, id)
        .methods
        .iter_mut()
        .for_each(|method| clear(&mut method.body));
    for one in model.impls.iter_mut().filter(|one| one.ty == id) {
        one.bodies.values_mut().for_each(&mut clear);
    }
}

/// A type whose values derive nothing that a new field might not have.
fn plain_derive(model: &mut Model, id: Id) {
    type_mut(model, id).debug = false;
}

pub fn field_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = struct_id(model, rng, 1)?;
    let ty = inner_type(model, rng, id);
    let number = model.fresh() as usize;
    plain_derive(model, id);
    let Shape::Struct(fields) = &mut type_mut(model, id).shape else {
        return None;
    };
    let at = rng.usize(..=fields.len());
    fields.insert(at, grow::field(number, ty));
    Some(format!("{} has one field more", name(model, id)))
}

pub fn field_remove(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = struct_id(model, rng, 2)?;
    let Shape::Struct(fields) = &mut type_mut(model, id).shape else {
        return None;
    };
    let at = rng.usize(..fields.len());
    // A type parameter must be used.
    if fields[at].ty == Ty::Parameter {
        return None;
    }
    let gone = fields.remove(at).name;
    forget_field(model, rng, id, &gone);
    Some(format!("{} has no {gone}", name(model, id)))
}

pub fn field_retype(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = struct_id(model, rng, 1)?;
    let ty = inner_type(model, rng, id);
    let Shape::Struct(fields) = &mut type_mut(model, id).shape else {
        return None;
    };
    let at = rng.usize(..fields.len());
    if fields[at].ty == Ty::Parameter || fields[at].ty == ty {
        return None;
    }
    fields[at].ty = ty;
    let field = fields[at].name.clone();
    plain_derive(model, id);
    forget_field(model, rng, id, &field);
    Some(format!("{}.{field} has another type", name(model, id)))
}

pub fn field_reorder(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = struct_id(model, rng, 2)?;
    let Shape::Struct(fields) = &mut type_mut(model, id).shape else {
        return None;
    };
    fields.rotate_left(1);
    Some(format!(
        "the fields of {} in another order",
        name(model, id)
    ))
}

pub fn field_rename(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = struct_id(model, rng, 1)?;
    let new = format!("x{}", model.fresh());
    let Shape::Struct(fields) = &mut type_mut(model, id).shape else {
        return None;
    };
    let at = rng.usize(..fields.len());
    let old = std::mem::replace(&mut fields[at].name, new.clone());
    forget_field(model, rng, id, &old);
    Some(format!("{}.{old} is called {new}", name(model, id)))
}

pub fn field_visibility(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = struct_id(model, rng, 1)?;
    let def = type_mut(model, id);
    if def.open {
        return None;
    }
    def.open = true;
    Some(format!("the fields of {} are visible", name(model, id)))
}

pub fn variant_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = enum_id(model, rng, 1)?;
    let fields = (0..rng.u8(..3))
        .map(|_| inner_type(model, rng, id))
        .collect();
    let variant = Variant {
        name: format!("V{}", model.fresh()),
        fields,
    };
    plain_derive(model, id);
    let Shape::Enum(variants) = &mut type_mut(model, id).shape else {
        return None;
    };
    let at = rng.usize(..=variants.len());
    variants.insert(at, variant);
    Some(format!("{} has one variant more", name(model, id)))
}

pub fn variant_remove(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = enum_id(model, rng, 3)?;
    let Shape::Enum(variants) = &mut type_mut(model, id).shape else {
        return None;
    };
    let at = rng.usize(..variants.len());
    if variants[at].fields.contains(&Ty::Parameter) {
        return None;
    }
    let gone = variants.remove(at).name;
    Some(format!("{} has no {gone}", name(model, id)))
}

pub fn variant_payload(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = enum_id(model, rng, 1)?;
    let ty = inner_type(model, rng, id);
    plain_derive(model, id);
    let Shape::Enum(variants) = &mut type_mut(model, id).shape else {
        return None;
    };
    let at = rng.usize(..variants.len());
    let fields = &mut variants[at].fields;
    match fields.first() {
        Some(first) if *first != Ty::Parameter && rng.bool() => drop(fields.remove(0)),
        _ => fields.push(ty),
    }
    Some(format!("what a variant of {} holds", name(model, id)))
}

pub fn variant_reorder(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = enum_id(model, rng, 2)?;
    let Shape::Enum(variants) = &mut type_mut(model, id).shape else {
        return None;
    };
    variants.rotate_left(1);
    Some(format!(
        "the variants of {} in another order",
        name(model, id)
    ))
}

pub fn repr(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(model, rng, |item| matches!(item.kind, Kind::Type(_)))?;
    let def = type_mut(model, id);
    let choices: &[Option<&'static str>] = match def.shape {
        Shape::Struct(_) => &[None, Some("C"), Some("align(16)"), Some("align(64)")],
        Shape::Enum(_) => &[None, Some("u8"), Some("u16"), Some("u64")],
    };
    let new = *rng.choice(choices)?;
    if def.repr == new {
        return None;
    }
    def.repr = new;
    Some(format!("repr of {}: {new:?}", name(model, id)))
}

pub fn derive(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(model, rng, |item| match &item.kind {
        Kind::Type(def) => {
            let plain = match &def.shape {
                Shape::Struct(fields) => fields.iter().all(|field| !has_user_type(&field.ty)),
                Shape::Enum(variants) => variants
                    .iter()
                    .flat_map(|variant| &variant.fields)
                    .all(|ty| !has_user_type(ty)),
            };
            plain && !def.generic
        }
        _ => false,
    })?;
    let def = type_mut(model, id);
    def.debug = !def.debug;
    Some(format!("derives of {}", name(model, id)))
}

pub fn drop_toggle(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(model, rng, |item| matches!(item.kind, Kind::Type(_)))?;
    let def = type_mut(model, id);
    def.drops = match def.drops {
        Some(_) => None,
        None => Some(rng.u64(1..100)),
    };
    let has = def.drops.is_some();
    Some(format!("{} has Drop: {has}", name(model, id)))
}

pub fn add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = grow::add_type(model, rng);
    let generic = model.type_def(id).generic;
    let of = generic.then(|| Box::new(Ty::Plain("u32")));
    let used = Expr::Value(Ty::User(id, of), Box::new(Expr::Param(0)));
    let fits = |model: &Model, user: Id| {
        !model.function(user).constant && model.is_visible(id, model.items[&user].module)
    };
    let user = use_somewhere(model, rng, fits, used)?;
    Some(format!("added {}, used by {user}", name(model, id)))
}

pub fn from_macro(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Type(def) if !def.generic),
    )?;
    let def = type_mut(model, id);
    def.from_macro = !def.from_macro;
    let is = def.from_macro;
    Some(format!("a macro makes {}: {is}", name(model, id)))
}

pub fn method_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Type(def) if !def.generic),
    )?;
    grow::add_method(model, rng, id);
    let method = type_mut(model, id).methods.last_mut()?;
    method.hot = false;
    let method = method.name.clone();
    let two = Box::new([Expr::Param(0), Expr::Literal(3)]);
    let used = Expr::Method(id, method.clone(), two);
    let fits = |model: &Model, user: Id| {
        let function = model.function(user);
        !function.constant && function.level > 1 && model.is_visible(id, model.items[&user].module)
    };
    let user = use_somewhere(model, rng, fits, used)?;
    Some(format!("added method {method}, called by {user}"))
}

pub fn method_remove(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Type(def) if !def.methods.is_empty()),
    )?;
    let def = type_mut(model, id);
    let at = rng.usize(..def.methods.len());
    let gone = def.methods.remove(at).name;
    forget(
        model,
        rng,
        |expr| matches!(expr, Expr::Method(_, method, _) if *method == gone),
    );
    Some(format!("removed method {gone}"))
}

/// A value of a type, and a call of one of the methods of its new impl.
fn use_impl(model: &mut Model, rng: &mut Rng, at: usize) -> Option<String> {
    let one = model.impls[at].clone();
    let def = model.trait_def(one.of);
    let method = rng.choice(&def.methods)?.name.clone();
    let through = def.dynamic && rng.bool();
    let two = Box::new([Expr::Param(0), Expr::Literal(7)]);
    let used = Expr::Via(one.of, one.ty, method, through, two);
    let fits = |model: &Model, user: Id| {
        let (function, module) = (model.function(user), model.items[&user].module);
        let visible = model.is_visible(one.ty, module) && model.is_visible(one.of, module);
        !function.constant && function.level > 1 && visible
    };
    use_somewhere(model, rng, fits, used)
}

pub fn impl_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let at = grow::add_impl(model, rng)?;
    model.impls[at].hot = false;
    let user = use_impl(model, rng, at)?;
    let one = &model.impls[at];
    Some(format!(
        "added impl {} for {}, used by {user}",
        name(model, one.of),
        name(model, one.ty)
    ))
}

pub fn impl_remove(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let free: Vec<usize> = (0..model.impls.len())
        .filter(|at| !model.impls[*at].kept)
        .collect();
    let at = rng.choice(free)?;
    let (of, ty) = (model.impls[at].of, model.impls[at].ty);
    if out_is_used(model, of, ty) {
        return None;
    }
    forget(model, rng, |expr| match expr {
        Expr::Via(a, b, ..) | Expr::AssocConst(a, b) => (*a, *b) == (of, ty),
        _ => false,
    });
    model.impls.remove(at);
    Some(format!(
        "removed impl {} for {}",
        name(model, of),
        name(model, ty)
    ))
}

/// Whether some type in use is the associated type of an impl.
fn out_is_used(model: &Model, of: Id, ty: Id) -> bool {
    let files = crate::random::print::files(model, "");
    let out = format!("::Out{}", name(model, of));
    files
        .values()
        .any(|text| text.contains(&out) && text.contains(&name(model, ty)))
}

pub fn trait_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let dynamic = rng.bool();
    let of = grow::add_trait(model, rng, dynamic);
    // The world of the running program has no list for it.
    if let Kind::Trait(def) = item(model, of) {
        def.listed = false;
    }
    for _ in 0..20 {
        let at = grow::add_impl(model, rng)?;
        if model.impls[at].of != of {
            model.impls.pop();
            continue;
        }
        model.impls[at].hot = false;
        let user = use_impl(model, rng, at)?;
        return Some(format!("added trait {}, used by {user}", name(model, of)));
    }
    None
}

pub fn trait_method_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let of = choose(model, rng, |item| matches!(item.kind, Kind::Trait(_)))?;
    let method = grow::trait_method(model, rng, of);
    let types: Vec<(usize, Id)> = model
        .impls
        .iter()
        .enumerate()
        .filter(|(_, one)| one.of == of)
        .map(|(at, one)| (at, one.ty))
        .collect();
    for (at, ty) in types {
        if method.default.is_none() || rng.u8(..3) == 0 {
            let body = expr(model, rng, &place_of(model, ty), 2);
            model.impls[at].bodies.insert(method.name.clone(), body);
        }
    }
    let new = method.name.clone();
    if let Kind::Trait(def) = item(model, of) {
        let at = rng.usize(..=def.methods.len());
        def.methods.insert(at, method);
    }
    Some(format!("{} has method {new}", name(model, of)))
}

pub fn trait_method_remove(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let of = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Trait(def) if def.methods.len() > 1),
    )?;
    let Kind::Trait(def) = item(model, of) else {
        return None;
    };
    let at = rng.usize(..def.methods.len());
    let gone = def.methods.remove(at).name;
    for one in &mut model.impls {
        one.bodies.remove(&gone);
    }
    forget(model, rng, |expr| match expr {
        Expr::Via(_, _, method, ..) | Expr::CallObject(_, method, _) => *method == gone,
        _ => false,
    });
    Some(format!("{} has no {gone}", name(model, of)))
}

pub fn trait_method_reorder(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let of = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Trait(def) if def.methods.len() > 1),
    )?;
    if let Kind::Trait(def) = item(model, of) {
        def.methods.rotate_left(1);
    }
    Some(format!(
        "the methods of {} in another order",
        name(model, of)
    ))
}

pub fn default_toggle(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let of = choose(model, rng, |item| matches!(item.kind, Kind::Trait(_)))?;
    let at = rng.usize(..model.trait_def(of).methods.len());
    let method = model.trait_def(of).methods[at].clone();
    let new = match method.default {
        None => Some(expr(model, rng, &place_of(model, of), 2)),
        Some(_) => {
            let missing = model
                .impls
                .iter()
                .any(|one| one.of == of && !one.bodies.contains_key(&method.name));
            if missing {
                return None;
            }
            None
        }
    };
    let has = new.is_some();
    if let Kind::Trait(def) = item(model, of) {
        def.methods[at].default = new;
    }
    Some(format!("{} has a default: {has}", method.name))
}

pub fn override_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let mut missing = Vec::new();
    for (at, one) in model.impls.iter().enumerate() {
        let methods = model.trait_def(one.of).methods.iter();
        let methods = methods.filter(|method| !one.bodies.contains_key(&method.name));
        missing.extend(methods.map(|method| (at, method.name.clone())));
    }
    let (at, method) = rng.choice(missing)?;
    let place = place_of(model, model.impls[at].ty);
    let body = expr(model, rng, &place, 2);
    model.impls[at].bodies.insert(method.clone(), body);
    Some(format!(
        "{} overrides {method}",
        name(model, model.impls[at].ty)
    ))
}

pub fn override_remove(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let mut there = Vec::new();
    for (at, one) in model.impls.iter().enumerate() {
        let methods = model.trait_def(one.of).methods.iter();
        let methods = methods
            .filter(|method| method.default.is_some() && one.bodies.contains_key(&method.name));
        there.extend(methods.map(|method| (at, method.name.clone())));
    }
    let (at, method) = rng.choice(there)?;
    model.impls[at].bodies.remove(&method);
    Some(format!(
        "{} overrides {method} no more",
        name(model, model.impls[at].ty)
    ))
}

pub fn assoc_const(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let fits: Vec<usize> = (0..model.impls.len())
        .filter(|at| !model.trait_def(model.impls[*at].of).dynamic)
        .collect();
    let at = rng.choice(fits)?;
    model.impls[at].constant = number(rng);
    Some(format!(
        "the constant of {}",
        name(model, model.impls[at].ty)
    ))
}

pub fn assoc_type(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let fits: Vec<usize> = (0..model.impls.len())
        .filter(|at| !model.trait_def(model.impls[*at].of).dynamic)
        .collect();
    let at = rng.choice(fits)?;
    let new = expr::plain(rng);
    if model.impls[at].out == new {
        return None;
    }
    model.impls[at].out = new;
    Some(format!("the type of {}", name(model, model.impls[at].ty)))
}

pub fn world_field(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let place = Place::default();
    let ty = expr::ty(model, rng, &place, 2);
    if rng.bool() {
        model.world.push(ty);
    } else {
        let at = rng.usize(..model.world.len());
        if model.world[at] == ty {
            return None;
        }
        model.world[at] = ty;
    }
    Some("a field of the world".to_owned())
}
