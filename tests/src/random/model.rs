//! An abstract program: what the generator edits and what is printed as source.
//!
//! All code computes `u64`s, so that any expression fits anywhere. What varies is what it goes through: types,
//! traits, closures, futures, statics, macros, modules and crates. Calls lead from higher to lower levels and
//! types hold only older types, so every program ends and every type has a size.

use std::collections::BTreeMap;

/// The number of an item, unique in its program and never used again.
pub type Id = u32;

/// The index of a module.
pub type ModuleId = usize;

/// The module of the binary crate that holds `main` and the entries.
pub const ROOT: ModuleId = 0;

/// A whole program: a binary crate and the library it uses.
#[derive(Clone, Debug)]
pub struct Model {
    /// The program's name; the library is called the same with `_lib`.
    pub name: String,
    /// The optimisation level of its `dev` profile.
    pub opt_level: u8,
    /// The modules; the first is the binary's root, the second the library's.
    pub modules: Vec<Module>,
    /// All items but impls by number.
    pub items: BTreeMap<Id, Item>,
    /// The trait impls.
    pub impls: Vec<Impl>,
    /// Types of the fields of the program's world.
    pub world: Vec<Ty>,
    /// The next free number.
    pub next: Id,
    /// Comments, which change nothing: the module and how many.
    pub comments: BTreeMap<ModuleId, u32>,
    /// What a deliberately broken edit appends to the binary's root.
    pub broken: Option<String>,
}

/// A module and how it names what is elsewhere.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name; the crate's root has none.
    pub name: String,
    /// The module around it.
    pub parent: Option<ModuleId>,
    /// Whether it belongs to the library.
    pub library: bool,
    /// Whether it stands in its parent's file.
    pub inline: bool,
    /// How it names items of other modules; by full path where nothing stands here.
    pub imports: BTreeMap<Id, Import>,
}

/// How a module names an item of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// `use path::name;`
    Use,
    /// `use path::name as other;`
    As(String),
    /// `use path::*;`
    Glob,
}

/// Who may name an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Its module and those inside.
    Private,
    /// Its crate.
    Crate,
    /// Everybody.
    Public,
}

/// A named item.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name, unique in the program.
    pub name: String,
    /// Where it stands.
    pub module: ModuleId,
    /// Who may name it.
    pub visibility: Visibility,
    /// What it is.
    pub kind: Kind,
}

/// What an item is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A function.
    Function(Function),
    /// `const X: u64`.
    Const(Expr),
    /// `const X: usize`, for array lengths.
    Length(u32),
    /// A static or a thread-local.
    Storage(Storage),
    /// A struct or an enum.
    Type(TypeDef),
    /// A trait.
    Trait(TraitDef),
    /// `type X = ...;`
    Alias(Ty),
    /// A `macro_rules!` with one argument.
    Macro(Expr),
}

/// What a function is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is called by others.
    Helper,
    /// A hot function that `main` calls for a command.
    Entry,
    /// A function that is not hot and that `main` calls for a command.
    Cold,
    /// A hot function that makes a closure for the world to keep.
    Closure,
    /// A hot function that makes a future for the world to keep.
    Future,
}

/// A function from `u64`s to `u64`.
#[derive(Clone, Debug)]
pub struct Function {
    /// What it is for.
    pub role: Role,
    /// How many parameters it has.
    pub params: usize,
    /// Whether it gets `&mut World`.
    pub world: bool,
    /// It calls functions of lower levels.
    pub level: u32,
    /// `#[hot]`.
    pub hot: bool,
    /// `async fn`.
    pub asynchronous: bool,
    /// `fn f<T: Plain>`.
    pub generic: bool,
    /// `const fn`.
    pub constant: bool,
    /// Such as `#[inline]`.
    pub attribute: Option<&'static str>,
    /// Whether it reads and writes nothing but its arguments.
    pub pure: bool,
    /// The first value of a static inside it.
    pub inner_static: Option<u64>,
    /// Whether pointers to it may be stored.
    pub pointed: bool,
    /// Whether a macro makes it.
    pub from_macro: bool,
    /// What a closure or future captures.
    pub captures: Vec<Ty>,
    /// Its body; a future has one for each step.
    pub body: Vec<Expr>,
}

/// What a static holds and how.
#[derive(Clone, Debug)]
pub struct Storage {
    /// How it is made.
    pub form: Form,
    /// Its first value, or the seed it is made from.
    pub initial: u64,
    /// Whether code that is not hot dumps it too.
    pub cold: bool,
}

/// The forms of statics.
#[derive(Clone, Debug)]
pub enum Form {
    /// `static X: AtomicU64`.
    Atomic,
    /// `static X: LazyLock<Mutex<T>>`.
    Lazy(Ty),
    /// `static X: Mutex<[u64; LEN]>`.
    Array(Length),
    /// `static X: [u64; 4]`, never written.
    Table,
    /// `thread_local! { static X: Cell<u64> = const { ... } }`.
    LocalConst,
    /// `thread_local! { static X: RefCell<T> }`.
    LocalLazy(Ty),
}

/// A struct or an enum with its methods.
#[derive(Clone, Debug)]
pub struct TypeDef {
    /// Whether it has a type parameter.
    pub generic: bool,
    /// What it consists of.
    pub shape: Shape,
    /// Such as `C` or `align(16)`.
    pub repr: Option<&'static str>,
    /// Whether it derives `Debug`.
    pub debug: bool,
    /// Whether its fields are visible in the crate.
    pub open: bool,
    /// Whether a macro makes it.
    pub from_macro: bool,
    /// What `drop` adds to the count, where there is a `Drop` impl.
    pub drops: Option<u64>,
    /// Goes into `mk`.
    pub made: u64,
    /// Goes into `mix`.
    pub mixed: u64,
    /// Its own methods: name and body.
    pub methods: Vec<Method>,
    /// Whether values may be kept as `dyn Any`.
    pub any: bool,
}

/// What a type consists of.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Named fields.
    Struct(Vec<Field>),
    /// Variants with unnamed fields.
    Enum(Vec<Variant>),
}

/// A field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Ty,
}

/// A variant.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// The types of its fields.
    pub fields: Vec<Ty>,
}

/// A method `fn name(&self, p0: u64) -> u64`.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its name, unique in the program.
    pub name: String,
    /// `#[hot]`.
    pub hot: bool,
    /// Its body.
    pub body: Expr,
}

/// A trait.
#[derive(Clone, Debug)]
pub struct TraitDef {
    /// Whether it is used as `dyn`; then it has no constant and no type.
    pub dynamic: bool,
    /// Its methods.
    pub methods: Vec<TraitMethod>,
    /// Whether the world has a list of its objects.
    pub listed: bool,
}

/// A method of a trait.
#[derive(Clone, Debug)]
pub struct TraitMethod {
    /// Its name, unique in the program.
    pub name: String,
    /// `&mut self`: the object is replaced first.
    pub mutates: bool,
    /// The default body.
    pub default: Option<Expr>,
}

/// An impl of a trait of the program.
#[derive(Clone, Debug)]
pub struct Impl {
    /// The trait.
    pub of: Id,
    /// The type.
    pub ty: Id,
    /// Bodies by the method's name.
    pub bodies: BTreeMap<String, Expr>,
    /// Which of them are hot.
    pub hot: bool,
    /// The associated constant.
    pub constant: u64,
    /// The associated type.
    pub out: Ty,
    /// Whether objects may be kept in the world.
    pub kept: bool,
}

/// A type in use.
#[derive(Clone, Debug, PartialEq)]
pub enum Ty {
    /// Such as `u32`: one whose name is its text.
    Plain(&'static str),
    /// `Option`, `Vec` or `Box`.
    Of(&'static str, Box<Ty>),
    /// A tuple of two.
    Pair(Box<Ty>, Box<Ty>),
    /// An array.
    Array(Box<Ty>, Length),
    /// A type of the program, with its argument where it is generic.
    User(Id, Option<Box<Ty>>),
    /// An alias of the program.
    Alias(Id),
    /// An associated type.
    Out(Id, Id),
    /// The parameter of a generic type.
    Parameter,
}

/// The length of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Length {
    /// A literal.
    Literal(u32),
    /// A constant of the program.
    Const(Id),
}

/// An expression of type `u64`.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A number.
    Literal(u64),
    /// A parameter of the function.
    Param(usize),
    /// The parameter of the closure or macro around.
    Inner,
    /// A captured value.
    Captured(usize),
    /// A constant.
    Const(Id),
    /// A length.
    Length(Id),
    /// Two operands.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `if a < b { c } else { d }`.
    If(Box<[Expr; 4]>),
    /// `match a % n`.
    Match(Box<Expr>, Vec<Expr>),
    /// A call, with the type argument of a generic function.
    Call(Id, Option<Ty>, Vec<Expr>),
    /// A macro.
    Macro(Id, Box<Expr>),
    /// The value of a static.
    Read(Id),
    /// A change to a static.
    Write(Id, Box<Expr>),
    /// Makes a value and mixes it.
    Value(Ty, Box<Expr>),
    /// Makes a value and mixes a clone of it.
    Clone(Ty, Box<Expr>),
    /// Makes a value and mixes one field.
    FieldOf(Id, String, Box<Expr>),
    /// Makes a value and calls a method of its type.
    Method(Id, String, Box<[Expr; 2]>),
    /// Calls a trait's method on a value, static dispatch or through a trait object.
    Via(Id, Id, String, bool, Box<[Expr; 2]>),
    /// The associated constant of a type and trait.
    AssocConst(Id, Id),
    /// A closure that is called at once.
    Closure(Box<[Expr; 2]>),
    /// An iterator chain over a few numbers.
    Iterate(u32, Box<Expr>),
    /// A loop.
    Loop(u32, Box<Expr>),
    /// An async block run to its end.
    Async(Box<Expr>),
    /// A function inside the function.
    InnerFn(Box<[Expr; 2]>),
    /// A local const of the name of another item.
    Shadow(Id, u64, Box<Expr>),
    /// `format!`.
    Format(Box<Expr>),
    /// Panics for some values.
    Panic(u32, Box<Expr>),
    /// `size_of`.
    SizeOf(Ty),
    /// `self` as a whole.
    This,
    /// A field of `self`.
    ThisField(String),
    /// A value of the function's type parameter.
    Parameter(Box<Expr>),
    /// Adds an object to the world.
    PushObject(Id, Id, Box<Expr>),
    /// Calls a method of an object of the world.
    CallObject(Id, String, Box<[Expr; 2]>),
    /// Drops an object of the world.
    PopObject(Id),
    /// Adds a value to the world.
    PushAny(Id, Box<Expr>),
    /// Looks for values of one type in the world.
    SumAny(Id),
    /// Drops a value of the world.
    PopAny,
    /// Stores a pointer to a function.
    PushPointer(Id),
    /// Calls a pointer to a function.
    CallPointer(Box<[Expr; 2]>),
    /// A field of the world.
    WorldRead(usize),
    /// A change to a field of the world.
    WorldWrite(usize, Box<Expr>),
    /// What does not compile.
    Wrong(&'static str),
}

impl Model {
    /// A free number.
    pub fn fresh(&mut self) -> Id {
        self.next += 1;
        self.next
    }

    /// Adds an item under a name of its own.
    pub fn add(
        &mut self,
        prefix: &str,
        module: ModuleId,
        visibility: Visibility,
        kind: Kind,
    ) -> Id {
        let id = self.fresh();
        let item = Item {
            name: format!("{prefix}{id}"),
            module,
            visibility,
            kind,
        };
        self.items.insert(id, item);
        id
    }

    /// The function of that number.
    pub fn function(&self, id: Id) -> &Function {
        match &self.items[&id].kind {
            Kind::Function(function) => function,
            other => unreachable!("invariant: {id} is a function, not {other:?}"),
        }
    }

    /// The type of that number.
    pub fn type_def(&self, id: Id) -> &TypeDef {
        match &self.items[&id].kind {
            Kind::Type(def) => def,
            other => unreachable!("invariant: {id} is a type, not {other:?}"),
        }
    }

    /// The trait of that number.
    pub fn trait_def(&self, id: Id) -> &TraitDef {
        match &self.items[&id].kind {
            Kind::Trait(def) => def,
            other => unreachable!("invariant: {id} is a trait, not {other:?}"),
        }
    }

    /// Whether code in `from` may name the item.
    pub fn is_visible(&self, id: Id, from: ModuleId) -> bool {
        let item = &self.items[&id];
        let library = self.modules[item.module].library;
        match item.visibility {
            Visibility::Public => library || !self.modules[from].library,
            Visibility::Crate => library == self.modules[from].library,
            Visibility::Private => self.is_inside(from, item.module),
        }
    }

    /// Whether a module is another one or inside it.
    pub fn is_inside(&self, inner: ModuleId, outer: ModuleId) -> bool {
        let mut at = Some(inner);
        while let Some(module) = at {
            if module == outer {
                return true;
            }
            at = self.modules[module].parent;
        }
        false
    }

    /// The items of which `wanted` says yes, as far as `from` may name them.
    pub fn visible(&self, from: ModuleId, wanted: impl Fn(&Item) -> bool) -> Vec<Id> {
        let items = self.items.iter().filter(|(_, item)| wanted(item));
        let items = items.map(|(id, _)| *id);
        items.filter(|id| self.is_visible(*id, from)).collect()
    }

    /// The numbers of items of which `wanted` says yes.
    pub fn select(&self, wanted: impl Fn(&Item) -> bool) -> Vec<Id> {
        let items = self.items.iter().filter(|(_, item)| wanted(item));
        items.map(|(id, _)| *id).collect()
    }

    /// The library's crate name.
    pub fn library(&self) -> String {
        format!("{}_lib", self.name)
    }

    /// Calls `change` on every expression tree of the program, with the module it stands in.
    pub fn each_body(&mut self, mut change: impl FnMut(&mut Expr)) {
        for item in self.items.values_mut() {
            match &mut item.kind {
                Kind::Function(function) => function.body.iter_mut().for_each(&mut change),
                Kind::Const(expr) | Kind::Macro(expr) => change(expr),
                Kind::Type(def) => def
                    .methods
                    .iter_mut()
                    .for_each(|method| change(&mut method.body)),
                Kind::Trait(def) => {
                    let bodies = def
                        .methods
                        .iter_mut()
                        .filter_map(|method| method.default.as_mut());
                    bodies.for_each(&mut change);
                }
                Kind::Length(_) | Kind::Storage(_) | Kind::Alias(_) => {}
            }
        }
        for one in &mut self.impls {
            one.bodies.values_mut().for_each(&mut change);
        }
    }
}

impl Expr {
    /// The expressions directly inside.
    pub fn children(&mut self) -> Vec<&mut Expr> {
        use Expr as E;
        match self {
            E::Literal(_)
            | E::Param(_)
            | E::Inner
            | E::Captured(_)
            | E::Const(_)
            | E::Length(_) => vec![],
            E::Wrong(_)
            | E::Read(_)
            | E::AssocConst(..)
            | E::SizeOf(_)
            | E::This
            | E::ThisField(_) => vec![],
            E::PopObject(_) | E::SumAny(_) | E::PopAny | E::PushPointer(_) | E::WorldRead(_) => {
                vec![]
            }
            E::Binary(_, a, b) => vec![a, b],
            E::If(four) => four.iter_mut().collect(),
            E::Match(on, arms) => std::iter::once(&mut **on).chain(arms).collect(),
            E::Call(_, _, args) => args.iter_mut().collect(),
            E::Macro(_, e) | E::Write(_, e) | E::Value(_, e) | E::Clone(_, e) => vec![e],
            E::FieldOf(_, _, e) | E::Iterate(_, e) | E::Loop(_, e) | E::Async(e) => vec![e],
            E::Shadow(_, _, e) | E::Format(e) | E::Panic(_, e) | E::Parameter(e) => vec![e],
            E::PushObject(_, _, e) | E::PushAny(_, e) | E::WorldWrite(_, e) => vec![e],
            E::Method(_, _, two) | E::Via(_, _, _, _, two) => two.iter_mut().collect(),
            E::Closure(two) | E::InnerFn(two) | E::CallPointer(two) => two.iter_mut().collect(),
            E::CallObject(_, _, two) => two.iter_mut().collect(),
        }
    }

    /// Calls `change` on this expression and all inside, the inner ones first.
    pub fn walk(&mut self, change: &mut impl FnMut(&mut Expr)) {
        for child in self.children() {
            child.walk(change);
        }
        change(self);
    }
}
