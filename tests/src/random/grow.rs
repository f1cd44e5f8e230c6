//! A first program: some of everything, of random size.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::expr::{self, DEPTH, Place, expr, number, place_of, ty};
use super::model::{
    Expr, Field, Form, Function, Id, Impl, Import, Kind, Length, Method, Model, Module, ModuleId,
    ROOT, Role, Shape, Storage, TraitDef, TraitMethod, Ty, TypeDef, Variant, Visibility,
};

/// The library's root module.
pub const LIBRARY: ModuleId = 1;

/// A random program.
pub fn program(name: &str, rng: &mut Rng) -> Model {
    let mut model = Model {
        name: name.to_owned(),
        opt_level: [0, 0, 0, 0, 1, 3][rng.usize(..6)],
        modules: modules(rng),
        items: BTreeMap::new(),
        impls: Vec::new(),
        world: Vec::new(),
        next: 0,
        comments: BTreeMap::new(),
        broken: None,
    };
    for _ in 0..rng.u8(3..7) {
        add_const(&mut model, rng);
        add_length(&mut model, rng);
    }
    for _ in 0..rng.u8(2..4) {
        add_macro(&mut model, rng);
    }
    for _ in 0..rng.u8(5..10) {
        add_type(&mut model, rng);
        if rng.u8(..4) == 0 {
            add_alias(&mut model, rng);
        }
    }
    for dynamic in [true, true, false, false] {
        add_trait(&mut model, rng, dynamic);
    }
    for _ in 0..rng.u8(6..12) {
        add_impl(&mut model, rng);
    }
    for _ in 0..rng.u8(3..8) {
        let id = add_storage(&mut model, rng);
        if let Some(Kind::Storage(storage)) = model.items.get_mut(&id).map(|item| &mut item.kind) {
            storage.cold = rng.bool();
        }
    }
    let root = Place::default();
    model.world = (0..rng.u8(1..4))
        .map(|_| ty(&model, rng, &root, 2))
        .collect();
    for level in 0..5 {
        for _ in 0..rng.u8(2..5) {
            add_helper(&mut model, rng, level);
        }
    }
    for _ in 0..2 {
        add_maker(&mut model, rng, Role::Closure);
        add_maker(&mut model, rng, Role::Future);
    }
    for _ in 0..rng.u8(3..6) {
        add_command(&mut model, rng, Role::Entry);
    }
    for _ in 0..rng.u8(..2) {
        add_command(&mut model, rng, Role::Cold);
    }
    for module in 0..model.modules.len() {
        for _ in 0..rng.u8(..4) {
            import(&mut model, rng, module);
        }
    }
    model
}

fn modules(rng: &mut Rng) -> Vec<Module> {
    let module = |name: &str, parent, library, inline| Module {
        name: name.to_owned(),
        parent,
        library,
        inline,
        imports: BTreeMap::new(),
    };
    let mut all = vec![
        module("", None, false, false),
        module("", None, true, false),
        module("game", Some(ROOT), false, false),
        module("deep", Some(2), false, rng.bool()),
        module("parts", Some(ROOT), false, rng.bool()),
        module("base", Some(LIBRARY), true, rng.bool()),
    ];
    if rng.bool() {
        all.push(module("deeper", Some(3), false, true));
    }
    all
}

fn module(model: &Model, rng: &mut Rng) -> ModuleId {
    rng.usize(..model.modules.len())
}

/// A module of the binary.
fn own_module(model: &Model, rng: &mut Rng) -> ModuleId {
    let all = (0..model.modules.len()).filter(|id| !model.modules[*id].library);
    rng.choice(all.collect::<Vec<_>>()).unwrap_or(ROOT)
}

/// A random visibility for something in a module.
pub fn visibility(model: &Model, rng: &mut Rng, module: ModuleId) -> Visibility {
    match rng.u8(..4) {
        0 => Visibility::Private,
        1 => Visibility::Crate,
        _ if model.modules[module].library => Visibility::Public,
        _ => Visibility::Crate,
    }
}

/// Adds a constant.
pub fn add_const(model: &mut Model, rng: &mut Rng) -> Id {
    let module = module(model, rng);
    let visibility = visibility(model, rng, module);
    let id = model.add("C", module, visibility, Kind::Const(Expr::Literal(0)));
    let value = expr(model, rng, &place_of(model, id), 2);
    set_body(model, id, value);
    id
}

/// Adds a constant for array lengths.
pub fn add_length(model: &mut Model, rng: &mut Rng) -> Id {
    let module = module(model, rng);
    let visibility = visibility(model, rng, module);
    model.add("LEN", module, visibility, Kind::Length(rng.u32(1..6)))
}

/// Adds a macro.
pub fn add_macro(model: &mut Model, rng: &mut Rng) -> Id {
    let (module, visibility) = if rng.bool() {
        (ROOT, Visibility::Crate)
    } else {
        (LIBRARY, Visibility::Public)
    };
    let id = model.add("m", module, visibility, Kind::Macro(Expr::Inner));
    let body = expr(model, rng, &place_of(model, id), 2);
    set_body(
        model,
        id,
        Expr::Binary("wrapping_add", Box::new(Expr::Inner), Box::new(body)),
    );
    id
}

/// Adds an alias.
pub fn add_alias(model: &mut Model, rng: &mut Rng) -> Id {
    let module = module(model, rng);
    let visibility = visibility(model, rng, module);
    let of = alias_of(model, rng, module);
    model.add("A", module, visibility, Kind::Alias(of))
}

/// What an alias in a module may stand for, so that everybody who sees it may use it.
pub fn alias_of(model: &Model, rng: &mut Rng, module: ModuleId) -> Ty {
    let lowest = model.next + 1;
    if model.modules[module].library {
        return expr::plain(rng);
    }
    let place = Place {
        module: ROOT,
        older_than: Some(lowest),
        ..Place::default()
    };
    ty(model, rng, &place, 2)
}

/// Adds a struct or an enum.
pub fn add_type(model: &mut Model, rng: &mut Rng) -> Id {
    let module = module(model, rng);
    let visibility = visibility(model, rng, module);
    let generic = rng.u8(..5) == 0;
    let place = Place {
        module,
        older_than: Some(model.next + 1),
        ..Place::default()
    };
    let one = |rng: &mut Rng| {
        if generic && rng.u8(..3) == 0 {
            Ty::Parameter
        } else {
            ty(model, rng, &place, 2)
        }
    };
    let shape = if rng.u8(..3) > 0 {
        let count = rng.usize(1..5);
        let mut fields: Vec<_> = (0..count).map(|number| field(number, one(rng))).collect();
        if generic {
            fields.push(field(count, Ty::Parameter));
        }
        Shape::Struct(fields)
    } else {
        let count = rng.usize(2..5);
        let variant = |number, fields| Variant {
            name: format!("V{number}"),
            fields,
        };
        let mut variants: Vec<_> = (0..count)
            .map(|number| variant(number, (0..rng.u8(..3)).map(|_| one(rng)).collect()))
            .collect();
        if generic {
            variants.push(variant(count, vec![Ty::Parameter]));
        }
        Shape::Enum(variants)
    };
    let repr = match (&shape, rng.u8(..6)) {
        (Shape::Struct(_), 0) => Some("C"),
        (Shape::Struct(_), 1) => Some("align(16)"),
        (Shape::Enum(_), 0) => Some("u8"),
        _ => None,
    };
    let def = TypeDef {
        generic,
        shape,
        repr,
        debug: false,
        open: rng.bool(),
        from_macro: rng.u8(..120) == 0 && !generic,
        drops: (rng.u8(..5) == 0).then(|| rng.u64(1..100)),
        made: number(rng),
        mixed: number(rng),
        methods: Vec::new(),
        any: !generic && visibility != Visibility::Private && rng.bool(),
    };
    let id = model.add("T", module, visibility, Kind::Type(def));
    // State of a type that only the library sees could not be dumped.
    if !model.is_visible(id, ROOT)
        && let Kind::Type(def) = &mut model
            .items
            .get_mut(&id)
            .expect("invariant: just added")
            .kind
    {
        def.any = false;
    }
    if !generic {
        for _ in 0..rng.u8(..3) {
            add_method(model, rng, id);
        }
    }
    id
}

/// A field.
pub fn field(number: usize, ty: Ty) -> Field {
    Field {
        name: format!("x{number}"),
        ty,
    }
}

/// Adds a method to a type.
pub fn add_method(model: &mut Model, rng: &mut Rng, id: Id) {
    let name = format!("q{}", model.fresh());
    let body = expr(model, rng, &place_of(model, id), 3);
    let hot = rng.u8(..6) == 0;
    if let Some(Kind::Type(def)) = model.items.get_mut(&id).map(|item| &mut item.kind) {
        def.methods.push(Method { name, hot, body });
    }
}

/// Adds a trait.
pub fn add_trait(model: &mut Model, rng: &mut Rng, dynamic: bool) -> Id {
    let module = if dynamic {
        own_module(model, rng)
    } else {
        module(model, rng)
    };
    let visibility = visibility(model, rng, module);
    let listed = dynamic && (visibility != Visibility::Private || module == ROOT);
    let def = TraitDef {
        dynamic,
        methods: Vec::new(),
        listed,
    };
    let id = model.add("R", module, visibility, Kind::Trait(def));
    for _ in 0..rng.u8(1..4) {
        let method = trait_method(model, rng, id);
        if let Some(Kind::Trait(def)) = model.items.get_mut(&id).map(|item| &mut item.kind) {
            def.methods.push(method);
        }
    }
    id
}

/// A new method for a trait.
pub fn trait_method(model: &mut Model, rng: &mut Rng, id: Id) -> TraitMethod {
    let name = format!("r{}", model.fresh());
    let dynamic = model.trait_def(id).dynamic;
    TraitMethod {
        name,
        mutates: dynamic && rng.u8(..3) == 0,
        default: rng
            .bool()
            .then(|| expr(model, rng, &place_of(model, id), 3)),
    }
}

/// Adds an impl of some trait for some type, if there is a pair left.
pub fn add_impl(model: &mut Model, rng: &mut Rng) -> Option<usize> {
    let traits = model.select(|item| matches!(item.kind, Kind::Trait(_)));
    let types = model.select(|item| matches!(&item.kind, Kind::Type(def) if !def.generic));
    let pairs = traits
        .iter()
        .flat_map(|of| types.iter().map(move |ty| (*of, *ty)));
    let free = pairs.filter(|(of, ty)| {
        let known = model.impls.iter().any(|one| (one.of, one.ty) == (*of, *ty));
        !known && model.is_visible(*of, model.items[ty].module)
    });
    let (of, ty) = rng.choice(free.collect::<Vec<_>>())?;
    let def = model.trait_def(of).clone();
    let mut bodies = BTreeMap::new();
    for method in &def.methods {
        if method.default.is_none() || rng.u8(..3) == 0 {
            bodies.insert(
                method.name.clone(),
                expr(model, rng, &place_of(model, ty), 3),
            );
        }
    }
    // The state is written down in the binary's root.
    let kept = def.listed && model.is_visible(ty, ROOT) && model.is_visible(of, ROOT);
    model.impls.push(Impl {
        of,
        ty,
        bodies,
        hot: rng.u8(..6) == 0,
        constant: number(rng),
        out: expr::plain(rng),
        kept,
    });
    Some(model.impls.len() - 1)
}

/// Adds a static or a thread-local.
pub fn add_storage(model: &mut Model, rng: &mut Rng) -> Id {
    let module = module(model, rng);
    let visibility = visibility(model, rng, module);
    let place = Place {
        module,
        ..Place::default()
    };
    let stored = shown_type(model, rng, module, visibility);
    let form = match rng.u8(..10) {
        0..=1 => Form::Atomic,
        2..=4 => Form::Lazy(stored),
        5 => Form::Array(expr::length(model, rng, &place)),
        6 => Form::Table,
        7 => Form::LocalConst,
        _ => Form::LocalLazy(stored),
    };
    let storage = Storage {
        form,
        initial: number(rng),
        cold: false,
    };
    model.add("S", module, visibility, Kind::Storage(storage))
}

/// A type for something in a module that everybody who sees it may use.
fn shown_type(model: &Model, rng: &mut Rng, module: ModuleId, visibility: Visibility) -> Ty {
    let place = Place {
        module,
        ..Place::default()
    };
    let from = match visibility {
        Visibility::Private => module,
        Visibility::Crate if model.modules[module].library => LIBRARY,
        Visibility::Crate | Visibility::Public => ROOT,
    };
    let fits = |found: &Ty| expr::may_name(model, found, from);
    let mut tries = (0..20).map(|_| ty(model, rng, &place, 2));
    tries.find(fits).unwrap_or(Ty::Plain("u32"))
}

/// A type for a static of the same form.
pub fn stored_type(model: &Model, rng: &mut Rng, id: Id) -> Ty {
    let item = &model.items[&id];
    shown_type(model, rng, item.module, item.visibility)
}

/// Another array length.
pub fn stored_length(model: &Model, rng: &mut Rng, id: Id) -> Length {
    let place = Place {
        module: model.items[&id].module,
        ..Place::default()
    };
    expr::length(model, rng, &place)
}

/// A function of which nothing is special.
pub fn plain_function(role: Role, level: u32) -> Function {
    Function {
        role,
        params: 2,
        world: false,
        level,
        hot: false,
        asynchronous: false,
        generic: false,
        constant: false,
        attribute: None,
        pure: false,
        inner_static: None,
        pointed: false,
        from_macro: false,
        captures: Vec::new(),
        body: vec![Expr::Literal(0)],
    }
}

/// Adds a function that others call.
pub fn add_helper(model: &mut Model, rng: &mut Rng, level: u32) -> Id {
    let module = module(model, rng);
    let library = model.modules[module].library;
    let visibility = visibility(model, rng, module);
    let mut function = plain_function(Role::Helper, level);
    function.params = rng.usize(1..4);
    match rng.u8(..9) {
        0 => function.asynchronous = true,
        1..=2 => function.generic = true,
        3 if level == 0 => {
            function.constant = true;
            function.pure = true;
        }
        4 if level < 2 => function.attribute = Some("#[inline]"),
        5 if level < 2 => function.attribute = Some("#[inline(always)]"),
        6 if level < 2 && rng.u8(..8) == 0 => function.from_macro = true,
        7 => {
            function.params = 2;
            function.inner_static = Some(number(rng));
        }
        _ => {}
    }
    let simple = !function.asynchronous && !function.generic && !function.constant;
    function.pure |= function.inner_static.is_none() && (level < 2 || rng.u8(..3) == 0);
    function.world =
        simple && !function.pure && !library && function.inner_static.is_none() && rng.bool();
    let hot = match function.asynchronous {
        true => rng.bool(),
        false => simple && function.attribute.is_none() && rng.u8(..8) == 0,
    };
    function.hot = hot && !function.from_macro;
    let open = visibility != Visibility::Private || module == ROOT;
    let reachable = open && (!library || visibility == Visibility::Public);
    function.pointed = simple && function.params == 1 && !function.world && level < 4 && reachable;
    let id = model.add("f", module, visibility, Kind::Function(function));
    fill(model, rng, id);
    id
}

/// Adds a function that makes what the world keeps.
pub fn add_maker(model: &mut Model, rng: &mut Rng, role: Role) -> Id {
    let module = own_module(model, rng);
    let mut function = plain_function(role, 4);
    function.params = 1;
    function.hot = true;
    function.pure = true;
    let place = Place {
        module,
        ..Place::default()
    };
    function.captures = (0..rng.u8(1..3))
        .map(|_| ty(model, rng, &place, 2))
        .collect();
    let steps = if role == Role::Future { 3 } else { 1 };
    function.body = vec![Expr::Literal(0); steps];
    let id = model.add("k", module, Visibility::Crate, Kind::Function(function));
    fill(model, rng, id);
    id
}

fn add_command(model: &mut Model, rng: &mut Rng, role: Role) {
    let module = if role == Role::Entry {
        own_module(model, rng)
    } else {
        ROOT
    };
    let mut function = plain_function(role, if role == Role::Entry { 6 } else { 3 });
    function.hot = role == Role::Entry;
    function.world = true;
    let prefix = if role == Role::Entry { "e" } else { "c" };
    let id = model.add(prefix, module, Visibility::Crate, Kind::Function(function));
    fill(model, rng, id);
}

/// Gives a function a random body.
pub fn fill(model: &mut Model, rng: &mut Rng, id: Id) {
    let place = place_of(model, id);
    let depth = if model.function(id).role == Role::Entry {
        DEPTH + 1
    } else {
        DEPTH - 1
    };
    let body: Vec<Expr> = (0..model.function(id).body.len())
        .map(|_| expr(model, rng, &place, depth))
        .collect();
    if let Some(Kind::Function(function)) = model.items.get_mut(&id).map(|item| &mut item.kind) {
        function.body = body;
    }
}

/// Sets the value of a constant or the body of a macro.
pub fn set_body(model: &mut Model, id: Id, body: Expr) {
    match model.items.get_mut(&id).map(|item| &mut item.kind) {
        Some(Kind::Const(old) | Kind::Macro(old)) => *old = body,
        _ => unreachable!("invariant: {id} is a constant or a macro"),
    }
}

/// Makes a module name some item of another module differently.
pub fn import(model: &mut Model, rng: &mut Rng, module: ModuleId) -> Option<Id> {
    let all = model.visible(module, |item| {
        item.module != module && !matches!(item.kind, Kind::Macro(_))
    });
    let id = rng.choice(all)?;
    let name = model.items[&id].name.clone();
    let imports = &mut model.modules[module].imports;
    match rng.u8(..4) {
        0 => imports.remove(&id),
        1 => imports.insert(id, Import::As(format!("{name}_too"))),
        2 => imports.insert(id, Import::Glob),
        _ => imports.insert(id, Import::Use),
    };
    Some(id)
}
