//! Edits of constants, statics, macros, aliases, names and modules.

use fastrand::Rng;

use crate::random::expr::{number, place_of};
use crate::random::grow;
use crate::random::model::{Expr, Form, Id, Kind, Model, Role, Storage, Visibility};

use super::bodies::mutate;
use super::{choose, forget, item, mentions, use_somewhere};

fn name(model: &Model, id: Id) -> String {
    model.items[&id].name.clone()
}

pub fn const_value(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(model, rng, |item| matches!(item.kind, Kind::Const(_)))?;
    let Kind::Const(old) = &model.items[&id].kind else {
        return None;
    };
    let new = match rng.bool() {
        true => Expr::Literal(number(rng)),
        false => mutate(model, rng, &place_of(model, id), &old.clone()),
    };
    grow::set_body(model, id, new);
    Some(format!("the value of {}", name(model, id)))
}

pub fn length_value(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(model, rng, |item| matches!(item.kind, Kind::Length(_)))?;
    if let Kind::Length(value) = item(model, id) {
        *value = *value % 6 + 1;
    }
    Some(format!("the value of {}", name(model, id)))
}

pub fn const_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = grow::add_const(model, rng);
    let fits = |model: &Model, user: Id| model.is_visible(id, model.items[&user].module);
    let user = use_somewhere(model, rng, fits, Expr::Const(id))?;
    Some(format!("added {}, used by {user}", name(model, id)))
}

pub fn macro_body(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(model, rng, |item| matches!(item.kind, Kind::Macro(_)))?;
    let Kind::Macro(old) = &model.items[&id].kind else {
        return None;
    };
    let new = mutate(model, rng, &place_of(model, id), &old.clone());
    grow::set_body(model, id, new);
    Some(format!("the body of {}!", name(model, id)))
}

pub fn alias(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(model, rng, |item| matches!(item.kind, Kind::Alias(_)))?;
    // An older program part only: an alias never stands for what was made from it.
    let next = std::mem::replace(&mut model.next, id.saturating_sub(1));
    let new = grow::alias_of(model, rng, model.items[&id].module);
    model.next = next;
    if let Kind::Alias(of) = item(model, id) {
        if *of == new {
            return None;
        }
        *of = new;
    }
    Some(format!("what {} stands for", name(model, id)))
}

fn storage(model: &Model, rng: &mut Rng, wanted: impl Fn(&Storage) -> bool) -> Option<Id> {
    choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Storage(storage) if wanted(storage)),
    )
}

pub fn static_initial(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = storage(model, rng, |storage| !matches!(storage.form, Form::Table))?;
    if let Kind::Storage(storage) = item(model, id) {
        storage.initial = storage.initial.wrapping_add(rng.u64(1..100));
    }
    Some(format!("the first value of {}", name(model, id)))
}

pub fn table_value(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = storage(model, rng, |storage| matches!(storage.form, Form::Table))?;
    if let Kind::Storage(storage) = item(model, id) {
        storage.initial = storage.initial.wrapping_add(rng.u64(1..100));
    }
    Some(format!("the values of {}", name(model, id)))
}

pub fn static_type(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = storage(model, rng, |storage| {
        !matches!(storage.form, Form::Table | Form::Atomic | Form::LocalConst)
    })?;
    let ty = grow::stored_type(model, rng, id);
    let length = grow::stored_length(model, rng, id);
    if let Kind::Storage(storage) = item(model, id) {
        match &mut storage.form {
            Form::Lazy(old) | Form::LocalLazy(old) if *old != ty => *old = ty,
            Form::Array(old) if *old != length => *old = length,
            _ => return None,
        }
    }
    Some(format!("the type of {}", name(model, id)))
}

pub fn static_add(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = grow::add_storage(model, rng);
    let table = matches!(&model.items[&id].kind, Kind::Storage(storage) if matches!(storage.form, Form::Table));
    let used = if table {
        Expr::Read(id)
    } else {
        Expr::Write(id, Box::new(Expr::Param(0)))
    };
    let fits = |model: &Model, user: Id| {
        let function = model.function(user);
        !function.pure && !function.constant && model.is_visible(id, model.items[&user].module)
    };
    let user = use_somewhere(model, rng, fits, used)?;
    Some(format!("added {}, used by {user}", name(model, id)))
}

pub fn static_remove(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = storage(model, rng, |storage| !storage.cold)?;
    forget(
        model,
        rng,
        |expr| matches!(expr, Expr::Read(of) | Expr::Write(of, _) if *of == id),
    );
    let item = model.items.remove(&id)?;
    Some(format!("removed {}", item.name))
}

pub fn inner_static_initial(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Function(f) if f.inner_static.is_some()),
    )?;
    if let Kind::Function(function) = item(model, id) {
        function.inner_static = function
            .inner_static
            .map(|old| old.wrapping_add(rng.u64(1..100)));
    }
    Some(format!(
        "the first value of the static in {}",
        name(model, id)
    ))
}

pub fn inner_static_toggle(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(model, rng, |item| {
        matches!(&item.kind, Kind::Function(f) if f.role == Role::Helper && f.params == 2 && !f.pure && !f.world
            && !f.generic && !f.asynchronous && !f.constant)
    })?;
    let Kind::Function(function) = item(model, id) else {
        return None;
    };
    function.inner_static = match function.inner_static {
        Some(_) => None,
        None => Some(number(rng)),
    };
    let has = function.inner_static.is_some();
    Some(format!("{} has a static: {has}", name(model, id)))
}

pub fn rename(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(model, rng, |item| !matches!(item.kind, Kind::Function(_)))?;
    let prefix: String = model.items[&id]
        .name
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    if matches!(&model.items[&id].kind, Kind::Storage(storage) if storage.cold) {
        return None;
    }
    let new = format!("{prefix}{}", model.fresh());
    let item = model.items.get_mut(&id)?;
    let old = std::mem::replace(&mut item.name, new.clone());
    Some(format!("renamed {old} to {new}"))
}

pub fn import(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let module = rng.usize(..model.modules.len());
    let before = model.modules[module].imports.clone();
    let id = grow::import(model, rng, module)?;
    if model.modules[module].imports == before || !model.items.contains_key(&id) {
        return None;
    }
    Some(format!(
        "how `{}` is named in module {module}",
        name(model, id)
    ))
}

pub fn visibility(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let modules = model.modules.clone();
    let id = choose(model, rng, |item| {
        !matches!(item.kind, Kind::Macro(_))
            && (item.visibility == Visibility::Private
                || item.visibility == Visibility::Crate && modules[item.module].library)
    })?;
    let item = model.items.get_mut(&id)?;
    item.visibility = match item.visibility {
        Visibility::Private => Visibility::Crate,
        _ => Visibility::Public,
    };
    Some(format!("{} is {:?}", item.name, item.visibility))
}

pub fn module_inline(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let parents: Vec<_> = model
        .modules
        .iter()
        .filter_map(|module| module.parent)
        .collect();
    // A file below an inline module would have to move along.
    let fits = (2..model.modules.len()).filter(|id| !parents.contains(id));
    let id = rng.choice(fits.collect::<Vec<_>>())?;
    let parent = model.modules[id].parent?;
    if model.modules[parent].inline && model.modules[id].inline {
        return None;
    }
    model.modules[id].inline = !model.modules[id].inline;
    Some(format!(
        "module {} moves to another file",
        model.modules[id].name
    ))
}

pub fn module_rename(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = rng.usize(2..model.modules.len());
    let new = format!("m{}", model.fresh());
    let old = std::mem::replace(&mut model.modules[id].name, new.clone());
    Some(format!("module {old} is called {new}"))
}

pub fn comment(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let files: Vec<_> = (0..model.modules.len())
        .filter(|id| !model.modules[*id].inline)
        .collect();
    let id = rng.choice(files)?;
    *model.comments.entry(id).or_default() += 1;
    Some(format!("a comment in module {id}"))
}

/// A mistake in the body of a hot function.
pub fn broken(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let id = choose(
        model,
        rng,
        |item| matches!(&item.kind, Kind::Function(f) if f.role == Role::Entry),
    )?;
    let texts = [
        "no_such_function()",
        "String::new()",
        "{ let a = String::new(); drop(a); drop(a); 1u64 }",
        "{ let a: &u64; { let b = 1u64; a = &b; } *a }",
    ];
    let wrong = Expr::Wrong(rng.choice(texts)?);
    let Kind::Function(function) = item(model, id) else {
        return None;
    };
    let old = std::mem::replace(&mut function.body[0], Expr::Literal(0));
    function.body[0] = Expr::Binary("wrapping_add", Box::new(old), Box::new(wrong));
    Some(format!("the body of {} does not compile", name(model, id)))
}

/// A mistake where no hot function leads.
pub fn broken_elsewhere(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let texts = [
        "fn broken() -> u64 { \"text\" }\n",
        "fn broken( {\n",
        "use crate::nowhere::nothing;\n",
        "fn broken() { let a = String::new(); drop(a); drop(a); }\n",
        "struct Broken { x: NoSuchType }\n",
    ];
    model.broken = rng.choice(texts).map(str::to_owned);
    Some("a mistake nobody uses".to_owned())
}

/// Takes away what nobody names.
pub fn unused_remove(model: &mut Model, rng: &mut Rng) -> Option<String> {
    let counts = mentions(model);
    let unused = model.select(|item| {
        matches!(item.kind, Kind::Const(_) | Kind::Length(_) | Kind::Alias(_))
            && counts.get(&item.name) == Some(&1)
    });
    let id = rng.choice(unused)?;
    model
        .items
        .remove(&id)
        .map(|item| format!("removed {}", item.name))
}
