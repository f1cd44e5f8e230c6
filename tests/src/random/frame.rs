//! The part of a program that talks: its world, its commands, and how its state is written down and read.

use std::fmt::Write;

use super::code::{Code, quoted};
use super::model::{Id, Kind, Model, ROOT, Role};
use super::print::names;

/// The frame of `main.rs`.
const MAIN: &str = include_str!("main.tpl");

/// The part of `main.rs` that talks.
pub fn main(model: &Model) -> String {
    let code = Code {
        model,
        module: ROOT,
    };
    let mut fields = "    pub anys: Vec<Box<dyn std::any::Any>>,\n".to_owned();
    let (mut fresh, mut dump, mut load) = (String::new(), String::new(), String::new());
    for (at, ty) in model.world.iter().enumerate() {
        let _ = writeln!(fields, "    pub(crate) v{at}: {},", code.ty(ty));
        let _ = writeln!(fresh, "            v{at}: sup::Plain::mk({at}),");
        let _ = writeln!(
            dump,
            "    o.push_str(\"v{at}=\");\n    w.v{at}.put(o);\n    o.push(';');"
        );
        let _ = writeln!(
            load,
            "            \"v{at}\" => w.v{at} = sup::Plain::get(i),"
        );
    }
    for id in model.select(|item| matches!(&item.kind, Kind::Trait(def) if def.listed)) {
        let name = code.path(id);
        let own = &model.items[&id].name;
        let _ = writeln!(fields, "    pub(crate) objs_{id}: Vec<Box<dyn {name}>>,");
        let _ = writeln!(fresh, "            objs_{id}: Vec::new(),");
        let _ = writeln!(
            dump,
            "    o.push_str(\"objs_{id}=\");\n    sup::put(o, w.objs_{id}.len() as u64);\n    \
             for v in &w.objs_{id} {{\n        sup::put(o, v.tag_{own}() as u64);\n        v.save_{own}(o);\n    }}\n    o.push(';');"
        );
        let kept = model.impls.iter().filter(|one| one.of == id && one.kept);
        let arms: String = kept
            .map(|one| {
                format!(
                    "{} => Box::new(<{} as sup::Plain>::get(i)), ",
                    one.ty,
                    code.path(one.ty)
                )
            })
            .collect();
        let _ = writeln!(
            load,
            "            \"objs_{id}\" => w.objs_{id} = (0..sup::next(i)).map(|_| -> Box<dyn {name}> {{ match sup::next(i) {{ {arms}_ => panic!(\"no such object\") }} }}).collect(),"
        );
    }
    let (mut any_put, mut any_get) = (String::new(), String::new());
    for id in model.select(|item| matches!(&item.kind, Kind::Type(def) if def.any)) {
        let name = code.path(id);
        let _ = writeln!(
            any_put,
            "        if let Some(v) = v.downcast_ref::<{name}>() {{ sup::put(o, {id}); v.put(o); }}"
        );
        let _ = writeln!(
            any_get,
            "                {id} => Box::new(<{name} as sup::Plain>::get(i)),"
        );
    }
    let pointed =
        model.select(|item| matches!(&item.kind, Kind::Function(function) if function.pointed));
    let pointers: String = pointed
        .iter()
        .map(|id| {
            format!(
                "                {id} => {} as fn(u64) -> u64,\n",
                code.path(*id)
            )
        })
        .collect();
    let role = |wanted: Role| {
        model.select(
            move |item| matches!(&item.kind, Kind::Function(function) if function.role == wanted),
        )
    };
    let commands: String = [role(Role::Entry), role(Role::Cold)]
        .concat()
        .iter()
        .map(|id| {
            let extra = ", 5".repeat(model.function(*id).params.saturating_sub(2));
            format!(
                "        {} => guarded(|| {}(w, a, b{extra})),\n",
                quoted(&model.items[id].name),
                code.path(*id)
            )
        })
        .collect();
    let makers = |list: &str, ids: Vec<Id>| -> String {
        ids.iter()
            .map(|id| {
                format!(
                    "        {} => {{ w.{list}.push({}(s)); w.{list}.len() as u64 - 1 }}\n",
                    quoted(&model.items[id].name),
                    code.path(*id)
                )
            })
            .collect()
    };
    let made = makers("closures", role(Role::Closure)) + &makers("futures", role(Role::Future));
    let each = |what: &str| -> String {
        (0..model.modules.len())
            .map(|id| {
                let root = if model.modules[id].library {
                    model.library()
                } else {
                    "crate".to_owned()
                };
                let path = [vec![root], names(model, id), vec![format!("{what}_{id}")]]
                    .concat()
                    .join("::");
                match what {
                    "load" => format!("            _ if {path}(name, i) => {{}}\n"),
                    _ => format!("    {path}(o);\n"),
                }
            })
            .collect()
    };
    MAIN.replace("@FIELDS@", &fields)
        .replace("@NEW@", &fresh)
        .replace("@DUMP@", &(dump + &each("dump")))
        .replace("@COLD@", &each("cold"))
        .replace("@LOAD@", &(load + &each("load")))
        .replace("@ANY_PUT@", &any_put)
        .replace("@ANY_GET@", &any_get)
        .replace("@POINTERS@", &pointers)
        .replace("@COMMANDS@", &commands)
        .replace("@MAKERS@", &made)
}
