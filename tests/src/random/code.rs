//! Names, types, expressions and functions as source.

use std::fmt::Write;

use super::model::{
    Expr, Form, Id, Impl, Import, Kind, Length, Model, ModuleId, Role, Ty, Visibility,
};
use super::print::names;

/// Writes code for a module.
#[derive(Clone, Copy)]
pub struct Code<'a> {
    /// The program.
    pub model: &'a Model,
    /// Where the code stands.
    pub module: ModuleId,
}

/// A string literal.
pub fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

const RELAXED: &str = "std::sync::atomic::Ordering::Relaxed";

impl Code<'_> {
    /// The full path of an item.
    pub fn absolute(self, id: Id) -> String {
        let item = &self.model.items[&id];
        let library = self.model.modules[item.module].library;
        let root = if library == self.model.modules[self.module].library {
            "crate".to_owned()
        } else {
            self.model.library()
        };
        let modules = names(self.model, item.module);
        [vec![root], modules, vec![item.name.clone()]]
            .concat()
            .join("::")
    }

    /// How this module names an item.
    pub fn path(self, id: Id) -> String {
        let item = &self.model.items[&id];
        if item.module == self.module {
            return item.name.clone();
        }
        match self.model.modules[self.module].imports.get(&id) {
            Some(Import::Use | Import::Glob) => item.name.clone(),
            Some(Import::As(name)) => name.clone(),
            None if self.model.modules[self.module].parent == Some(item.module)
                && id.is_multiple_of(2) =>
            {
                format!("super::{}", item.name)
            }
            None => self.absolute(id),
        }
    }

    /// A macro's path: those of the binary are known everywhere below their definition.
    fn macro_path(self, id: Id) -> String {
        let item = &self.model.items[&id];
        match item.visibility {
            Visibility::Public => {
                let own = self.model.modules[self.module].library;
                let root = if own {
                    "crate".to_owned()
                } else {
                    self.model.library()
                };
                format!("{root}::{}", item.name)
            }
            _ => item.name.clone(),
        }
    }

    /// A type.
    pub fn ty(self, ty: &Ty) -> String {
        match ty {
            Ty::Plain(name) => (*name).to_owned(),
            Ty::Of(name, inner) => format!("{name}<{}>", self.ty(inner)),
            Ty::Pair(a, b) => format!("({}, {})", self.ty(a), self.ty(b)),
            Ty::Array(of, length) => format!("[{}; {}]", self.ty(of), self.length(length)),
            Ty::User(id, None) | Ty::Alias(id) => self.path(*id),
            Ty::User(id, Some(of)) => format!("{}<{}>", self.path(*id), self.ty(of)),
            Ty::Out(of, ty) => {
                let name = &self.model.items[of].name;
                format!("<{} as {}>::Out{name}", self.path(*ty), self.path(*of))
            }
            Ty::Parameter => "T".to_owned(),
        }
    }

    /// An array length.
    pub fn length(self, length: &Length) -> String {
        match length {
            Length::Literal(value) => value.to_string(),
            Length::Const(id) => self.path(*id),
        }
    }

    /// A made value.
    fn made(self, ty: &str, from: &str) -> String {
        format!("<{ty} as sup::Plain>::mk({from})")
    }

    /// An expression.
    pub fn expr(self, expr: &Expr) -> String {
        use Expr as E;
        let code = |expr: &Expr| self.expr(expr);
        let ty = |id: &Id| self.path(*id);
        match expr {
            E::Literal(value) => format!("{value}u64"),
            E::Param(number) => format!("p{number}"),
            E::Inner => "c".to_owned(),
            E::Captured(number) => format!("a{number}.mix()"),
            E::Const(id) => ty(id),
            E::Length(id) => format!("({} as u64)", ty(id)),
            E::Binary("^", a, b) => format!("({} ^ {})", code(a), code(b)),
            E::Binary("rotate_left", a, b) => {
                format!("({}).rotate_left(({} % 64) as u32)", code(a), code(b))
            }
            E::Binary(name, a, b) => format!("({}).{name}({})", code(a), code(b)),
            E::If(four) => {
                let [a, b, then, other] = &**four;
                format!(
                    "(if {{ {} }} < {{ {} }} {{ {} }} else {{ {} }})",
                    code(a),
                    code(b),
                    code(then),
                    code(other)
                )
            }
            E::Match(on, arms) => {
                let mut out = format!("(match ({}) % {} {{ ", code(on), arms.len());
                for (number, arm) in arms.iter().enumerate() {
                    let pattern = if number + 1 == arms.len() {
                        "_".to_owned()
                    } else {
                        number.to_string()
                    };
                    let _ = write!(out, "{pattern} => {{ {} }}, ", code(arm));
                }
                out + "})"
            }
            E::Call(id, of, args) => self.call(*id, of.as_ref(), args),
            E::Macro(id, e) => format!("{}!({})", self.macro_path(*id), code(e)),
            E::Read(id) => self.read(*id),
            E::Write(id, e) => self.write(*id, &code(e)),
            E::Value(of, e) => format!("{}.mix()", self.made(&self.ty(of), &code(e))),
            E::Clone(of, e) => {
                let made = self.made(&self.ty(of), &code(e));
                format!("{{ let x = {made}; let y = x.clone(); drop(x); y.mix() }}")
            }
            E::FieldOf(id, name, e) => format!("{}.{name}.mix()", self.made(&ty(id), &code(e))),
            E::Method(id, name, two) => {
                let [a, b] = &**two;
                format!(
                    "{{ let x = {}; let y = {}; x.{name}(y) }}",
                    self.made(&ty(id), &code(a)),
                    code(b)
                )
            }
            E::Via(of, id, name, through, two) => self.via((*of, *id), name, *through, two),
            E::AssocConst(of, id) => {
                format!("<{} as {}>::K{}", ty(id), ty(of), self.model.items[of].name)
            }
            E::Closure(two) => {
                let [body, arg] = &**two;
                format!(
                    "{{ let x = {}; (|c: u64| {{ {} }})(x) }}",
                    code(arg),
                    code(body)
                )
            }
            E::Iterate(times, e) => format!(
                "(0..{times}u64).map(|c: u64| {{ {} }}).fold(9u64, |h, v| sup::stir(h ^ v))",
                code(e)
            ),
            E::Loop(times, e) => {
                format!(
                    "{{ let mut h = 0u64; for c in 0..{times}u64 {{ h = sup::stir(h ^ {{ {} }}); }} h }}",
                    code(e)
                )
            }
            E::Async(e) => format!("sup::block_on(async {{ sup::later().await; {} }})", code(e)),
            E::InnerFn(two) => {
                let [body, arg] = &**two;
                format!(
                    "{{ let x = {}; fn inner(c: u64) -> u64 {{ {} }} inner(x) }}",
                    code(arg),
                    code(body)
                )
            }
            E::Shadow(id, value, e) => {
                let name = match self.model.modules[self.module].imports.get(id) {
                    Some(Import::As(name)) => name,
                    _ => &self.model.items[id].name,
                };
                format!("{{ const {name}: u64 = {value}; {} }}", code(e))
            }
            E::Format(e) => format!(
                "{{ let x = {}; format!(\"{{x}}-{{:x}}\", x / 3).mix() }}",
                code(e)
            ),
            E::Panic(every, e) => {
                format!(
                    "{{ let x = {}; if x % {every} == 0 {{ panic!(\"boom {{x}}\") }} x }}",
                    code(e)
                )
            }
            E::SizeOf(of) => format!("(std::mem::size_of::<{}>() as u64)", self.ty(of)),
            E::This => "self.mix()".to_owned(),
            E::ThisField(name) => format!("self.{name}.mix()"),
            E::Wrong(text) => (*text).to_owned(),
            E::Parameter(e) => format!("{}.mix()", self.made("T", &code(e))),
            _ => self.world(expr),
        }
    }

    fn call(self, id: Id, of: Option<&Ty>, args: &[Expr]) -> String {
        let function = self.model.function(id);
        let mut out = "{ ".to_owned();
        for (number, arg) in args.iter().enumerate() {
            let _ = write!(out, "let x{number} = {}; ", self.expr(arg));
        }
        let mut names: Vec<String> = (0..args.len()).map(|number| format!("x{number}")).collect();
        if function.world {
            names.insert(0, "w".to_owned());
        }
        let of = of
            .map(|of| format!("::<{}>", self.ty(of)))
            .unwrap_or_default();
        let call = format!("{}{of}({})", self.path(id), names.join(", "));
        if function.asynchronous {
            out + &format!("sup::block_on({call}) }}")
        } else {
            out + &call + " }"
        }
    }

    fn read(self, id: Id) -> String {
        let name = self.path(id);
        match self.form(id) {
            Form::Atomic => format!("{name}.load({RELAXED})"),
            Form::Lazy(_) | Form::Array(_) => format!("{{ let v = sup::lock(&{name}).mix(); v }}"),
            Form::Table => format!("{name}.mix()"),
            Form::LocalConst => format!("{name}.with(|v| v.get())"),
            Form::LocalLazy(_) => format!("{name}.with(|v| v.borrow().mix())"),
        }
    }

    fn write(self, id: Id, from: &str) -> String {
        let name = self.path(id);
        let change = match self.form(id) {
            Form::Atomic => format!("{name}.fetch_add(x, {RELAXED});"),
            Form::Lazy(_) | Form::Array(_) => {
                format!("{{ let mut g = sup::lock(&{name}); *g = sup::Plain::mk(x ^ g.mix()); }}")
            }
            Form::Table => String::new(),
            Form::LocalConst => format!("{name}.with(|v| v.set(sup::stir(v.get() ^ x)));"),
            Form::LocalLazy(_) => {
                format!(
                    "{name}.with(|v| {{ let h = v.borrow().mix(); *v.borrow_mut() = sup::Plain::mk(x ^ h); }});"
                )
            }
        };
        format!("{{ let x = {from}; {change} x }}")
    }

    fn form(&self, id: Id) -> &Form {
        match &self.model.items[&id].kind {
            Kind::Storage(storage) => &storage.form,
            other => unreachable!("invariant: {id} is a static, not {other:?}"),
        }
    }

    fn via(self, (of, id): (Id, Id), name: &str, through: bool, two: &[Expr; 2]) -> String {
        let [a, b] = two;
        let made = self.made(&self.path(id), "x");
        let (a, b) = (self.expr(a), self.expr(b));
        let of_path = self.path(of);
        let mutates = self
            .model
            .trait_def(of)
            .methods
            .iter()
            .any(|method| method.name == name && method.mutates);
        if through {
            return format!(
                "{{ let x = {a}; let y = {b}; let mut v: Box<dyn {of_path}> = Box::new({made}); v.{name}(y) }}"
            );
        }
        let reference = if mutates { "&mut v" } else { "&v" };
        format!(
            "{{ let x = {a}; let y = {b}; let mut v = {made}; {of_path}::{name}({reference}, y) }}"
        )
    }

    /// What only code with the world does.
    fn world(self, expr: &Expr) -> String {
        use Expr as E;
        let code = |expr: &Expr| self.expr(expr);
        match expr {
            E::PushObject(of, id, e) => {
                let made = self.made(&self.path(*id), "x");
                format!(
                    "{{ let x = {}; if w.objs_{of}.len() < 12 {{ w.objs_{of}.push(Box::new({made})); }} x }}",
                    code(e)
                )
            }
            E::CallObject(of, name, two) => {
                let [at, arg] = &**two;
                format!(
                    "{{ let x = {}; let y = {}; let n = w.objs_{of}.len() as u64; if n == 0 {{ y }} else {{ w.objs_{of}[(x % n) as usize].{name}(y) }} }}",
                    code(at),
                    code(arg)
                )
            }
            E::PopObject(of) => {
                let name = &self.model.items[of].name;
                format!("w.objs_{of}.pop().map_or(3, |v| v.mixed_{name}())")
            }
            E::PushAny(id, e) => {
                let made = self.made(&self.path(*id), "x");
                format!(
                    "{{ let x = {}; if w.anys.len() < 16 {{ w.anys.push(Box::new({made})); }} x }}",
                    code(e)
                )
            }
            E::SumAny(id) => format!(
                "w.anys.iter().filter_map(|v| v.downcast_ref::<{}>()).fold(1u64, |h, v| sup::stir(h ^ v.mix()))",
                self.path(*id)
            ),
            E::PopAny => "(w.anys.pop().is_some() as u64)".to_owned(),
            E::PushPointer(id) => format!(
                "{{ if w.ptrs.len() < 12 {{ w.ptrs.push(({id}, {} as fn(u64) -> u64)); }} w.ptrs.len() as u64 }}",
                self.path(*id)
            ),
            E::CallPointer(two) => {
                let [at, arg] = &**two;
                format!(
                    "{{ let x = {}; let y = {}; let n = w.ptrs.len() as u64; if n == 0 {{ y }} else {{ (w.ptrs[(x % n) as usize].1)(y) }} }}",
                    code(at),
                    code(arg)
                )
            }
            E::WorldRead(at) => format!("w.v{at}.mix()"),
            E::WorldWrite(at, e) => {
                format!(
                    "{{ let x = {}; w.v{at} = sup::Plain::mk(x ^ w.v{at}.mix()); x }}",
                    code(e)
                )
            }
            other => unreachable!("invariant: {other:?} needs no world"),
        }
    }

    /// A function.
    pub fn function(self, id: Id) -> String {
        let item = &self.model.items[&id];
        let function = self.model.function(id);
        let mut head = String::new();
        if function.hot {
            head += "#[hot]\n";
        }
        if let Some(attribute) = function.attribute {
            let _ = writeln!(head, "{attribute}");
        }
        head += match item.visibility {
            Visibility::Private => "",
            Visibility::Crate => "pub(crate) ",
            Visibility::Public => "pub ",
        };
        if function.constant {
            head += "const ";
        }
        if function.asynchronous {
            head += "async ";
        }
        let generics = if function.generic {
            "<T: sup::Plain>"
        } else {
            ""
        };
        let mut params: Vec<String> = (0..function.params)
            .map(|at| format!("p{at}: u64"))
            .collect();
        if function.world {
            params.insert(0, "w: &mut crate::World".to_owned());
        }
        let params = params.join(", ");
        let name = if function.from_macro {
            "$name"
        } else {
            &item.name
        };
        let out = match function.role {
            Role::Closure => "Box<dyn FnMut(u64) -> u64>",
            Role::Future => "std::pin::Pin<Box<dyn std::future::Future<Output = u64>>>",
            _ => "u64",
        };
        let body = self.body(id);
        let text = format!("{head}fn {name}{generics}({params}) -> {out} {{\n{body}}}\n");
        if function.from_macro {
            let own = &item.name;
            return format!(
                "macro_rules! def_{own} {{\n    ($name:ident) => {{\n{text}    }};\n}}\ndef_{own}!({own});\n"
            );
        }
        text
    }

    fn body(self, id: Id) -> String {
        let function = self.model.function(id);
        let first = self.expr(&function.body[0]);
        let captures: String = function
            .captures
            .iter()
            .enumerate()
            .map(|(at, ty)| {
                format!(
                    "    let a{at}: {} = sup::Plain::mk(p0 ^ {at});\n",
                    self.ty(ty)
                )
            })
            .collect();
        match function.role {
            Role::Closure => format!(
                "{captures}    let mut p0 = p0;\n    Box::new(move |c: u64| {{\n        p0 = sup::stir(p0 ^ c);\n        {first}\n    }})\n"
            ),
            Role::Future => {
                let mut out =
                    format!("{captures}    let mut p0 = p0;\n    Box::pin(async move {{\n");
                for step in &function.body {
                    let _ = writeln!(
                        out,
                        "        sup::later().await;\n        p0 = sup::stir(p0 ^ {{ {} }});",
                        self.expr(step)
                    );
                }
                out + "        p0\n    })\n"
            }
            _ if function.asynchronous => format!("    sup::later().await;\n    {first}\n"),
            _ => match function.inner_static {
                Some(initial) => format!(
                    "    static INNER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new({initial});\n    \
                     if p0 == u64::MAX {{\n        return INNER.load({RELAXED});\n    }}\n    \
                     if p0 == u64::MAX - 1 {{\n        INNER.store(p1, {RELAXED});\n        return 0;\n    }}\n    \
                     INNER.fetch_add(p0 | 1, {RELAXED}) ^ {{ {first} }}\n"
                ),
                None => format!("    {first}\n"),
            },
        }
    }

    /// A trait. What is not edited in it lets objects be mixed, written down and replaced.
    pub fn trait_def(self, id: Id) -> String {
        let item = &self.model.items[&id];
        let def = self.model.trait_def(id);
        let name = &item.name;
        let vis = match item.visibility {
            Visibility::Private => "",
            Visibility::Crate => "pub(crate) ",
            Visibility::Public => "pub ",
        };
        let mut out = format!("{vis}trait {name} {{\n");
        if def.dynamic {
            let _ = writeln!(
                out,
                "    fn tag_{name}(&self) -> u32;\n    fn save_{name}(&self, o: &mut String);\n    fn renew_{name}(&mut self, s: u64);"
            );
        } else {
            let _ = writeln!(
                out,
                "    const K{name}: u64;\n    type Out{name}: sup::Plain;"
            );
        }
        let _ = writeln!(out, "    fn mixed_{name}(&self) -> u64;");
        for method in &def.methods {
            let receiver = if method.mutates { "&mut self" } else { "&self" };
            let head = format!("    fn {}({receiver}, p0: u64) -> u64", method.name);
            match &method.default {
                None => drop(writeln!(out, "{head};")),
                Some(body) => {
                    let renew = if method.mutates {
                        format!("        self.renew_{name}(p0 ^ self.mixed_{name}());\n")
                    } else {
                        String::new()
                    };
                    let body = self
                        .expr(body)
                        .replace("self.mix()", &format!("self.mixed_{name}()"));
                    let _ = writeln!(out, "{head} {{\n{renew}        {body}\n    }}");
                }
            }
        }
        out + "}\n"
    }

    /// An impl of a trait of the program.
    pub fn implementation(self, one: &Impl) -> String {
        let def = self.model.trait_def(one.of);
        let (of, ty) = (self.path(one.of), self.path(one.ty));
        let name = &self.model.items[&one.of].name;
        let mut out = format!("impl {of} for {ty} {{\n");
        if def.dynamic {
            let _ = writeln!(
                out,
                "    fn tag_{name}(&self) -> u32 {{\n        {}\n    }}\n    \
                 fn save_{name}(&self, o: &mut String) {{\n        sup::Plain::put(self, o)\n    }}\n    \
                 fn renew_{name}(&mut self, s: u64) {{\n        *self = sup::Plain::mk(s);\n    }}",
                one.ty
            );
        } else {
            let _ = writeln!(
                out,
                "    const K{name}: u64 = {};\n    type Out{name} = {};",
                one.constant,
                self.ty(&one.out)
            );
        }
        let _ = writeln!(
            out,
            "    fn mixed_{name}(&self) -> u64 {{\n        sup::Plain::mix(self)\n    }}"
        );
        for method in &def.methods {
            let Some(body) = one.bodies.get(&method.name) else {
                continue;
            };
            let receiver = if method.mutates { "&mut self" } else { "&self" };
            let renew = if method.mutates {
                "        *self = sup::Plain::mk(p0 ^ sup::Plain::mix(self));\n".to_owned()
            } else {
                String::new()
            };
            let hot = if one.hot { "    #[hot]\n" } else { "" };
            let _ = writeln!(
                out,
                "{hot}    fn {}({receiver}, p0: u64) -> u64 {{\n{renew}        {}\n    }}",
                method.name,
                self.expr(body)
            );
        }
        out + "}\n\n"
    }
}
