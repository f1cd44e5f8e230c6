//! An abstract program as source files.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::code::{Code, quoted};
use super::frame;
use super::grow::LIBRARY;
use super::model::{
    Field, Form, Id, Impl, Import, Item, Kind, Model, ModuleId, ROOT, Shape, Storage, Ty, TypeDef,
    Visibility,
};

/// Files by their path in the program's folder.
pub type Files = BTreeMap<String, String>;

/// What every program brings along.
const SUPPORT: &str = include_str!("support.tpl");

/// The program's sources; `runtime` is the path of `hotpatch-rt`.
pub fn files(model: &Model, runtime: &str) -> Files {
    let mut files = Files::new();
    let (name, library) = (&model.name, model.library());
    let level = model.opt_level;
    files.insert(
        "Cargo.toml".to_owned(),
        format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [workspace]\nmembers = [\"lib\"]\n\n[dependencies]\n\
             hotpatch-rt = {{ path = \"{runtime}\" }}\n{library} = {{ path = \"lib\" }}\n\n\
             [profile.dev]\nopt-level = {level}\n"
        ),
    );
    files.insert(
        "lib/Cargo.toml".to_owned(),
        format!(
            "[package]\nname = \"{library}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nhotpatch-rt = {{ path = \"{runtime}\" }}\n"
        ),
    );
    files.insert("lib/src/support.rs".to_owned(), SUPPORT.to_owned());
    for id in 0..model.modules.len() {
        if !model.modules[id].inline {
            let text = module_text(model, id);
            files.insert(path_of(model, id), text);
        }
    }
    files
}

/// The file of a module that has one.
fn path_of(model: &Model, id: ModuleId) -> String {
    let module = &model.modules[id];
    let folder = if module.library { "lib/src" } else { "src" };
    if module.parent.is_none() {
        let root = if module.library { "lib.rs" } else { "main.rs" };
        return format!("{folder}/{root}");
    }
    format!("{folder}/{}.rs", names(model, id).join("/"))
}

/// The module's path below its crate's root.
pub fn names(model: &Model, id: ModuleId) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = id;
    while let Some(parent) = model.modules[at].parent {
        names.insert(0, model.modules[at].name.clone());
        at = parent;
    }
    names
}

fn module_text(model: &Model, id: ModuleId) -> String {
    let module = &model.modules[id];
    let printer = Printer {
        code: Code { model, module: id },
        out: String::new(),
    };
    let mut out = String::new();
    for number in 0..model.comments.get(&id).copied().unwrap_or(0) {
        let _ = writeln!(out, "// Comment {number}.\n");
    }
    let inside = if module.library {
        "crate".to_owned()
    } else {
        model.library()
    };
    match id {
        ROOT => {
            let _ = writeln!(out, "#![allow(warnings)]\n");
        }
        LIBRARY => {
            let _ = writeln!(out, "#![allow(warnings)]\n\npub mod support;\n");
        }
        _ => {}
    }
    let _ = writeln!(
        out,
        "use hotpatch_rt::hot;\nuse {inside}::support::{{self as sup, Plain as _}};"
    );
    out += &printer.all();
    for (inner, child) in model.modules.iter().enumerate() {
        if child.parent == Some(id) {
            if child.inline {
                let text = module_text(model, inner);
                let _ = writeln!(out, "pub mod {} {{\n{text}}}\n", child.name);
            } else {
                let _ = writeln!(out, "pub mod {};\n", child.name);
            }
        }
    }
    if id == ROOT {
        out += &frame::main(model);
        out += model.broken.as_deref().unwrap_or("");
    }
    out
}

/// How a visibility is written.
fn visibility(of: Visibility) -> &'static str {
    match of {
        Visibility::Private => "",
        Visibility::Crate => "pub(crate) ",
        Visibility::Public => "pub ",
    }
}

struct Printer<'a> {
    code: Code<'a>,
    out: String,
}

impl Printer<'_> {
    fn all(mut self) -> String {
        let model = self.code.model;
        let id = self.code.module;
        self.imports();
        // A macro is known below its definition only.
        let here = |item: &&Item| item.module == id;
        let items: Vec<_> = model.items.iter().filter(|(_, item)| here(item)).collect();
        for (id, item) in &items {
            if matches!(item.kind, Kind::Macro(_)) {
                self.item(**id, item);
            }
        }
        for (id, item) in &items {
            if !matches!(item.kind, Kind::Macro(_)) {
                self.item(**id, item);
            }
        }
        let impls = model
            .impls
            .iter()
            .filter(|one| model.items[&one.ty].module == id);
        impls.for_each(|one| self.implementation(one));
        self.state(&items);
        self.out
    }

    fn imports(&mut self) {
        let model = self.code.model;
        let mut lines = Vec::new();
        for (id, import) in &model.modules[self.code.module].imports {
            let Some(item) = model.items.get(id) else {
                continue;
            };
            if item.module == self.code.module || !model.is_visible(*id, self.code.module) {
                continue;
            }
            let path = self.code.absolute(*id);
            lines.push(match import {
                Import::Use => format!("use {path};\n"),
                Import::As(name) => format!("use {path} as {name};\n"),
                Import::Glob => {
                    let module = path.strip_suffix(&format!("::{}", item.name));
                    format!("use {}::*;\n", module.unwrap_or(&path))
                }
            });
        }
        lines.sort();
        lines.dedup();
        self.out += &lines.concat();
        self.out.push('\n');
    }

    fn item(&mut self, id: Id, item: &Item) {
        let code = self.code;
        let (name, vis) = (&item.name, visibility(item.visibility));
        let text = match &item.kind {
            Kind::Const(value) => format!("{vis}const {name}: u64 = {};\n", code.expr(value)),
            Kind::Length(value) => format!("{vis}const {name}: usize = {value};\n"),
            Kind::Alias(of) => format!("{vis}type {name} = {};\n", code.ty(of)),
            Kind::Macro(body) => {
                let export = if item.module == LIBRARY {
                    "#[macro_export]\n"
                } else {
                    ""
                };
                format!(
                    "{export}macro_rules! {name} {{\n    ($x:expr) => {{{{\n        let c: u64 = $x;\n        {}\n    }}}};\n}}\n",
                    code.expr(body)
                )
            }
            Kind::Storage(storage) => self.storage(name, vis, storage),
            Kind::Function(_) => code.function(id),
            Kind::Type(def) => self.type_def(name, vis, def),
            Kind::Trait(_) => code.trait_def(id),
        };
        self.out += &text;
        self.out.push('\n');
    }

    fn storage(&self, name: &str, vis: &str, storage: &Storage) -> String {
        let code = self.code;
        let first = storage.initial;
        match &storage.form {
            Form::Atomic => format!(
                "{vis}static {name}: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new({first});\n"
            ),
            Form::Lazy(ty) => format!(
                "{vis}static {name}: std::sync::LazyLock<std::sync::Mutex<{}>> =\n    \
                 std::sync::LazyLock::new(|| std::sync::Mutex::new(sup::Plain::mk({first})));\n",
                code.ty(ty)
            ),
            Form::Array(length) => {
                let length = code.length(length);
                format!(
                    "{vis}static {name}: std::sync::Mutex<[u64; {length}]> = std::sync::Mutex::new([{first}; {length}]);\n"
                )
            }
            Form::Table => format!("{vis}static {name}: [u64; 4] = [1, 2, 3, {first}];\n"),
            Form::LocalConst => format!(
                "thread_local! {{\n    {vis}static {name}: std::cell::Cell<u64> = const {{ std::cell::Cell::new({first}) }};\n}}\n"
            ),
            Form::LocalLazy(ty) => format!(
                "thread_local! {{\n    {vis}static {name}: std::cell::RefCell<{}> = std::cell::RefCell::new(sup::Plain::mk({first}));\n}}\n",
                code.ty(ty)
            ),
        }
    }

    fn type_def(&self, name: &str, vis: &str, def: &TypeDef) -> String {
        let code = self.code;
        let parameter = if def.generic { "<T>" } else { "" };
        let bound = if def.generic { "<T: sup::Plain>" } else { "" };
        let mut head = String::from(if def.debug {
            "#[derive(Clone, Debug)]\n"
        } else {
            "#[derive(Clone)]\n"
        });
        if let Some(repr) = def.repr {
            let _ = writeln!(head, "#[repr({repr})]");
        }
        let word = if matches!(def.shape, Shape::Struct(_)) {
            "struct"
        } else {
            "enum"
        };
        let body = match &def.shape {
            Shape::Struct(fields) => fields_text(code, fields, def.open),
            Shape::Enum(variants) => variants
                .iter()
                .map(|variant| {
                    let fields: Vec<String> = variant.fields.iter().map(|ty| code.ty(ty)).collect();
                    match fields.as_slice() {
                        [] => format!("    {},\n", variant.name),
                        _ => format!("    {}({}),\n", variant.name, fields.join(", ")),
                    }
                })
                .collect(),
        };
        let mut out = if def.from_macro {
            format!(
                "macro_rules! def_{name} {{\n    ($name:ident) => {{\n{head}{vis}{word} $name{parameter} {{\n{body}}}\n    }};\n}}\ndef_{name}!({name});\n\n"
            )
        } else {
            format!("{head}{vis}{word} {name}{parameter} {{\n{body}}}\n\n")
        };
        let parts = match &def.shape {
            Shape::Struct(fields) => struct_parts(name, fields, def),
            Shape::Enum(_) => enum_parts(name, def),
        };
        let [mk, mix, put, get] = parts;
        let _ = writeln!(
            out,
            "impl{bound} sup::Plain for {name}{parameter} {{\n    \
             fn mk(s: u64) -> Self {{\n{mk}    }}\n    fn mix(&self) -> u64 {{\n{mix}    }}\n    \
             fn put(&self, o: &mut String) {{\n{put}    }}\n    fn get(i: &mut sup::Tokens) -> Self {{\n{get}    }}\n}}\n"
        );
        if let Some(count) = def.drops {
            let _ = writeln!(
                out,
                "impl{parameter} Drop for {name}{parameter} {{\n    fn drop(&mut self) {{\n        sup::dropped({count});\n    }}\n}}\n"
            );
        }
        if !def.methods.is_empty() {
            let _ = writeln!(out, "impl {name} {{");
            for method in &def.methods {
                let hot = if method.hot { "    #[hot]\n" } else { "" };
                let body = code.expr(&method.body);
                let _ = writeln!(
                    out,
                    "{hot}    pub fn {}(&self, p0: u64) -> u64 {{\n        {body}\n    }}\n",
                    method.name
                );
            }
            out += "}\n";
        }
        out
    }

    fn implementation(&mut self, one: &Impl) {
        let text = self.code.implementation(one);
        self.out += &text;
    }

    /// The functions that write down and read the state of this module.
    fn state(&mut self, items: &[(&Id, &Item)]) {
        let id = self.code.module;
        let (mut dump, mut cold, mut load) = (String::new(), String::new(), String::new());
        for (_, item) in items {
            let name = &item.name;
            let (text, read) = match &item.kind {
                Kind::Function(function) if function.inner_static.is_some() => (
                    format!("sup::put(o, {name}(u64::MAX, 0));"),
                    format!("{{ {name}(u64::MAX - 1, sup::next(i)); }}"),
                ),
                Kind::Storage(storage) => match &storage.form {
                    Form::Table => continue,
                    Form::Atomic => (
                        format!("sup::put(o, {name}.load(std::sync::atomic::Ordering::Relaxed));"),
                        format!("{name}.store(sup::next(i), std::sync::atomic::Ordering::Relaxed)"),
                    ),
                    Form::Lazy(_) | Form::Array(_) => (
                        format!("sup::lock(&{name}).put(o);"),
                        format!("*sup::lock(&{name}) = sup::Plain::get(i)"),
                    ),
                    Form::LocalConst => (
                        format!("sup::put(o, {name}.with(|v| v.get()));"),
                        format!("{name}.with(|v| v.set(sup::next(i)))"),
                    ),
                    Form::LocalLazy(_) => (
                        format!("{name}.with(|v| v.borrow().put(o));"),
                        format!("{name}.with(|v| *v.borrow_mut() = sup::Plain::get(i))"),
                    ),
                },
                _ => continue,
            };
            let line = format!("    o.push_str(\"{name}=\");\n    {text}\n    o.push(';');\n");
            dump += &line;
            if matches!(&item.kind, Kind::Storage(storage) if storage.cold) {
                cold += &line;
            }
            let _ = writeln!(load, "        {} => {read},", quoted(name));
        }
        let _ = writeln!(self.out, "pub fn dump_{id}(o: &mut String) {{\n{dump}}}\n");
        let _ = writeln!(self.out, "pub fn cold_{id}(o: &mut String) {{\n{cold}}}\n");
        let _ = writeln!(
            self.out,
            "pub fn load_{id}(name: &str, i: &mut sup::Tokens) -> bool {{\n    match name {{\n{load}        _ => return false,\n    }}\n    true\n}}\n"
        );
    }
}

fn fields_text(code: Code, fields: &[Field], open: bool) -> String {
    let vis = if open { "pub(crate) " } else { "" };
    let field = |field: &Field| format!("    {vis}{}: {},\n", field.name, code.ty(&field.ty));
    fields.iter().map(field).collect()
}

/// The bodies of `mk`, `mix`, `put` and `get` of a struct.
fn struct_parts(name: &str, fields: &[Field], def: &TypeDef) -> [String; 4] {
    let (made, mixed) = (def.made, def.mixed);
    let mut mk = format!("        {name} {{\n");
    let mut mix = format!("        let mut h: u64 = {mixed};\n");
    let (mut put, mut get) = (String::new(), format!("        {name} {{\n"));
    for (number, field) in fields.iter().enumerate() {
        let name = &field.name;
        let _ = writeln!(
            mk,
            "            {name}: sup::Plain::mk(s ^ {}),",
            made.wrapping_add(number as u64)
        );
        let _ = writeln!(mix, "        h = sup::stir(h ^ self.{name}.mix());");
        let _ = writeln!(put, "        self.{name}.put(o);");
        let _ = writeln!(get, "            {name}: sup::Plain::get(i),");
    }
    mk += "        }\n";
    get += "        }\n";
    mix += "        h\n";
    [mk, mix, put, get]
}

/// The same of an enum.
fn enum_parts(name: &str, def: &TypeDef) -> [String; 4] {
    let Shape::Enum(variants) = &def.shape else {
        unreachable!("invariant: an enum has variants");
    };
    let mut mk = format!(
        "        match sup::stir(s ^ {}) % {} {{\n",
        def.made,
        variants.len()
    );
    let mut mix = format!(
        "        let mut h: u64 = {};\n        match self {{\n",
        def.mixed
    );
    let mut put = "        match self {\n".to_owned();
    let mut get = "        match sup::next(i) {\n".to_owned();
    for (number, variant) in variants.iter().enumerate() {
        let names: Vec<String> = (0..variant.fields.len())
            .map(|at| format!("y{at}"))
            .collect();
        let with = |each: &dyn Fn(usize) -> String| {
            let parts: Vec<String> = (0..names.len()).map(each).collect();
            if parts.is_empty() {
                String::new()
            } else {
                format!("({})", parts.join(", "))
            }
        };
        let pattern = format!("{name}::{}{}", variant.name, with(&|at| names[at].clone()));
        let made = with(&|at| format!("sup::Plain::mk(s.wrapping_add({}))", at + 1));
        let got = with(&|_| "sup::Plain::get(i)".to_owned());
        let arm = if number + 1 == variants.len() {
            "_".to_owned()
        } else {
            number.to_string()
        };
        let _ = writeln!(mk, "            {arm} => {name}::{}{made},", variant.name);
        let _ = writeln!(get, "            {arm} => {name}::{}{got},", variant.name);
        let mixes: String = names
            .iter()
            .map(|y| format!("h = sup::stir(h ^ {y}.mix()); "))
            .collect();
        let _ = writeln!(
            mix,
            "            {pattern} => {{ h ^= {}; {mixes}}}",
            number + 1
        );
        let puts: String = names.iter().map(|y| format!("{y}.put(o); ")).collect();
        let _ = writeln!(
            put,
            "            {pattern} => {{ sup::put(o, {number}); {puts}}}"
        );
    }
    mk += "        }\n";
    mix += "        }\n        h\n";
    put += "        }\n";
    get += "        }\n";
    [mk, mix, put, get]
}

/// What each named thing consists of, to see what leads where. A method of a trait has the text of all bodies it
/// may stand for.
pub fn parts(model: &Model) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    for (id, item) in &model.items {
        let code = Code {
            model,
            module: item.module,
        };
        let text = match &item.kind {
            Kind::Type(def) => {
                let methods = def.methods.iter();
                parts.extend(methods.map(|method| (method.name.clone(), code.expr(&method.body))));
                let bare = TypeDef {
                    methods: Vec::new(),
                    ..def.clone()
                };
                let out = String::new();
                Printer { code, out }.type_def(&item.name, "", &bare)
            }
            Kind::Trait(def) => {
                for method in &def.methods {
                    let default = method.default.iter().map(|body| code.expr(body));
                    parts.extend(default.map(|text| (method.name.clone(), text)));
                }
                String::new()
            }
            _ => {
                let out = String::new();
                let mut printer = Printer { code, out };
                printer.item(*id, item);
                printer.out
            }
        };
        parts.push((item.name.clone(), text));
    }
    for one in &model.impls {
        let module = model.items[&one.ty].module;
        let code = Code { model, module };
        let bodies = one.bodies.iter();
        parts.extend(bodies.map(|(name, body)| (name.clone(), code.expr(body))));
    }
    parts
}

/// Whether a type in use has a type of the program in it.
pub fn has_user_type(ty: &Ty) -> bool {
    match ty {
        Ty::Plain(_) | Ty::Parameter => false,
        Ty::Of(_, inner) | Ty::Array(inner, _) => has_user_type(inner),
        Ty::Pair(a, b) => has_user_type(a) || has_user_type(b),
        Ty::User(..) | Ty::Alias(_) | Ty::Out(..) => true,
    }
}
