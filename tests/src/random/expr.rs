//! Random expressions: whatever may be named at a place is used there.

use fastrand::Rng;

use super::model::{Expr, Form, Id, Item, Kind, Length, Model, ModuleId, Role, Shape, Ty};

/// Where an expression stands and what it may use there.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The module.
    pub module: ModuleId,
    /// Calls lead to functions below this level.
    pub level: u32,
    /// How many parameters there are.
    pub params: usize,
    /// How many captured values there are.
    pub captured: usize,
    /// Whether a closure or macro is around.
    pub inner: bool,
    /// Whether `w: &mut World` is there.
    pub world: bool,
    /// Nothing but arguments is read or written.
    pub pure: bool,
    /// Only what a `const` may hold.
    pub constant: bool,
    /// The type of `self`, or for a default method `Some(None)`.
    pub this: Option<Option<Id>>,
    /// Whether there is a type parameter `T`.
    pub parameter: bool,
    /// Constants must have lower numbers than this.
    pub older_than: Option<Id>,
}

/// The deepest nesting of an expression.
pub const DEPTH: u32 = 4;

const OPERATORS: [&str; 5] = [
    "wrapping_add",
    "wrapping_sub",
    "wrapping_mul",
    "rotate_left",
    "^",
];

/// A random number that is small or large.
pub fn number(rng: &mut Rng) -> u64 {
    match rng.u8(..4) {
        0 => rng.u64(..10),
        1 => rng.u64(..100_000),
        _ => rng.u64(1..1 << 40),
    }
}

/// Items of a kind that `place` may use.
fn pick(model: &Model, rng: &mut Rng, place: &Place, wanted: impl Fn(&Item) -> bool) -> Option<Id> {
    let all = model.visible(place.module, wanted);
    rng.choice(all)
}

/// A random expression for a place.
pub fn expr(model: &Model, rng: &mut Rng, place: &Place, depth: u32) -> Expr {
    if depth == 0 {
        return leaf(model, rng, place);
    }
    for _ in 0..8 {
        if let Some(found) = compound(model, rng, place, depth) {
            return found;
        }
    }
    leaf(model, rng, place)
}

fn boxed(model: &Model, rng: &mut Rng, place: &Place, depth: u32) -> Box<Expr> {
    Box::new(expr(model, rng, place, depth - 1))
}

fn two(model: &Model, rng: &mut Rng, place: &Place, depth: u32) -> Box<[Expr; 2]> {
    Box::new(std::array::from_fn(|_| expr(model, rng, place, depth - 1)))
}

fn leaf(model: &Model, rng: &mut Rng, place: &Place) -> Expr {
    for _ in 0..6 {
        let found = match rng.u8(..12) {
            0..=3 if place.params > 0 => Some(Expr::Param(rng.usize(..place.params))),
            4..=5 if place.inner => Some(Expr::Inner),
            6 if place.captured > 0 => Some(Expr::Captured(rng.usize(..place.captured))),
            7..=8 => {
                let older = place.older_than.unwrap_or(Id::MAX);
                let all = model.visible(place.module, |item| {
                    matches!(item.kind, Kind::Const(_) | Kind::Length(_))
                });
                let all: Vec<Id> = all.into_iter().filter(|id| *id < older).collect();
                rng.choice(all).map(|id| match model.items[&id].kind {
                    Kind::Length(_) => Expr::Length(id),
                    _ => Expr::Const(id),
                })
            }
            9 if place.this.is_some() => Some(this(model, rng, place)),
            10 if place.world && !model.world.is_empty() => {
                Some(Expr::WorldRead(rng.usize(..model.world.len())))
            }
            11 if !place.pure && !place.constant => {
                storage(model, rng, place, false).map(Expr::Read)
            }
            _ => None,
        };
        if let Some(found) = found {
            return found;
        }
    }
    Expr::Literal(number(rng))
}

fn this(model: &Model, rng: &mut Rng, place: &Place) -> Expr {
    if let Some(Some(ty)) = place.this
        && let Shape::Struct(fields) = &model.type_def(ty).shape
        && let Some(field) = rng.choice(fields)
    {
        return Expr::ThisField(field.name.clone());
    }
    Expr::This
}

fn storage(model: &Model, rng: &mut Rng, place: &Place, write: bool) -> Option<Id> {
    pick(model, rng, place, |item| match &item.kind {
        Kind::Storage(storage) => !write || !matches!(storage.form, Form::Table),
        _ => false,
    })
}

/// An expression with others inside; `None` where the place or the program has nothing of the kind drawn.
fn compound(model: &Model, rng: &mut Rng, place: &Place, depth: u32) -> Option<Expr> {
    let inside = |rng: &mut Rng| boxed(model, rng, place, depth);
    // Code that runs more than once calls nobody, or a program would take too long.
    let quiet = Place {
        inner: true,
        level: 0,
        world: false,
        ..place.clone()
    };
    let drawn = if place.constant {
        rng.u8(..8)
    } else {
        rng.u8(..64)
    };
    Some(match drawn {
        0..=4 => {
            let operator = rng.choice(OPERATORS)?;
            Expr::Binary(operator, inside(rng), inside(rng))
        }
        5..=6 => Expr::If(Box::new(std::array::from_fn(|_| {
            expr(model, rng, place, depth - 1)
        }))),
        7 => Expr::Match(
            inside(rng),
            (0..rng.u8(2..4))
                .map(|_| expr(model, rng, place, depth - 1))
                .collect(),
        ),
        8..=17 => {
            let callee = pick(model, rng, place, |item| callable(item, place))?;
            let function = model.function(callee);
            let of = if function.generic {
                Some(ty(model, rng, place, 1))
            } else {
                None
            };
            let args = (0..function.params)
                .map(|_| expr(model, rng, place, depth - 1))
                .collect();
            Expr::Call(callee, of, args)
        }
        18..=19 => {
            let of = pick(model, rng, place, |item| {
                matches!(item.kind, Kind::Macro(_))
            })?;
            Expr::Macro(of, inside(rng))
        }
        20..=22 if !place.pure => Expr::Write(storage(model, rng, place, true)?, inside(rng)),
        23..=26 => Expr::Value(ty(model, rng, place, 2), inside(rng)),
        27 => Expr::Clone(ty(model, rng, place, 2), inside(rng)),
        28 => {
            let of = pick(model, rng, place, |item| match &item.kind {
                Kind::Type(def) => {
                    let near = model.is_inside(place.module, item.module)
                        || def.open
                            && model.modules[item.module].library
                                == model.modules[place.module].library;
                    near && !def.generic
                }
                _ => false,
            })?;
            let Shape::Struct(fields) = &model.type_def(of).shape else {
                return None;
            };
            let field = rng.choice(fields)?;
            if !may_name(model, &field.ty, place.module) {
                return None;
            }
            Expr::FieldOf(of, field.name.clone(), inside(rng))
        }
        29..=31 if place.level > 1 => {
            let of = pick(
                model,
                rng,
                place,
                |item| matches!(&item.kind, Kind::Type(def) if !def.methods.is_empty()),
            )?;
            let method = rng.choice(&model.type_def(of).methods)?.name.clone();
            Expr::Method(of, method, two(model, rng, place, depth))
        }
        32..=35 if place.level > 1 => {
            let (of, ty) = implemented(model, rng, place, |_| true)?;
            let def = model.trait_def(of);
            let method = rng.choice(&def.methods)?.name.clone();
            let through = def.dynamic && rng.bool();
            Expr::Via(of, ty, method, through, two(model, rng, place, depth))
        }
        36 => {
            let (of, ty) = implemented(model, rng, place, |def| !def)?;
            Expr::AssocConst(of, ty)
        }
        37..=39 => {
            let body = expr(
                model,
                rng,
                &Place {
                    inner: true,
                    ..place.clone()
                },
                depth - 1,
            );
            Expr::Closure(Box::new([body, expr(model, rng, place, depth - 1)]))
        }
        40 => Expr::Iterate(rng.u32(2..6), Box::new(expr(model, rng, &quiet, depth - 1))),
        41 => Expr::Loop(rng.u32(2..5), Box::new(expr(model, rng, &quiet, depth - 1))),
        42..=43 => Expr::Async(inside(rng)),
        44 => {
            let alone = Place {
                module: place.module,
                inner: true,
                pure: place.pure,
                ..Place::default()
            };
            let body = expr(model, rng, &alone, depth - 1);
            Expr::InnerFn(Box::new([body, expr(model, rng, place, depth - 1)]))
        }
        45 => {
            let of = pick(model, rng, place, |item| {
                matches!(item.kind, Kind::Const(_))
            })?;
            Expr::Shadow(of, number(rng), inside(rng))
        }
        46 => Expr::Format(inside(rng)),
        47 if !place.pure => Expr::Panic(rng.u32(5..40), inside(rng)),
        48..=49 => Expr::SizeOf(ty(model, rng, place, 2)),
        50..=51 if place.this.is_some() => this(model, rng, place),
        50..=52 if place.parameter => Expr::Parameter(inside(rng)),
        53..=63 if place.world => world(model, rng, place, depth)?,
        _ => return None,
    })
}

fn callable(item: &Item, place: &Place) -> bool {
    match &item.kind {
        Kind::Function(function) => {
            function.role == Role::Helper
                && function.level < place.level
                && (place.world || !function.world)
                && (!place.pure || function.pure)
        }
        _ => false,
    }
}

/// A trait and a type that has it, both to be named here; `dynamic` says which traits.
fn implemented(
    model: &Model,
    rng: &mut Rng,
    place: &Place,
    wanted: impl Fn(bool) -> bool,
) -> Option<(Id, Id)> {
    let here = |id: Id| model.is_visible(id, place.module);
    let fits = model
        .impls
        .iter()
        .filter(|one| here(one.of) && here(one.ty));
    let fits = fits.filter(|one| wanted(model.trait_def(one.of).dynamic));
    let fits: Vec<_> = fits.map(|one| (one.of, one.ty)).collect();
    rng.choice(fits)
}

/// What only code with the world does.
fn world(model: &Model, rng: &mut Rng, place: &Place, depth: u32) -> Option<Expr> {
    let inside = |rng: &mut Rng| boxed(model, rng, place, depth);
    let listed = |item: &Item| matches!(&item.kind, Kind::Trait(def) if def.listed);
    Some(match rng.u8(..11) {
        0..=1 => {
            let kept = model
                .impls
                .iter()
                .filter(|one| one.kept && model.is_visible(one.ty, place.module));
            let kept: Vec<_> = kept
                .filter(|one| model.is_visible(one.of, place.module))
                .collect();
            let one = rng.choice(kept)?;
            Expr::PushObject(one.of, one.ty, inside(rng))
        }
        2..=3 => {
            let of = pick(model, rng, place, listed)?;
            let method = rng.choice(&model.trait_def(of).methods)?.name.clone();
            Expr::CallObject(of, method, two(model, rng, place, depth))
        }
        4 if rng.u8(..3) == 0 => Expr::PopObject(pick(model, rng, place, listed)?),
        5 => {
            let any = |item: &Item| matches!(&item.kind, Kind::Type(def) if def.any);
            Expr::PushAny(pick(model, rng, place, any)?, inside(rng))
        }
        6 => {
            let any = |item: &Item| matches!(&item.kind, Kind::Type(def) if def.any);
            Expr::SumAny(pick(model, rng, place, any)?)
        }
        7 if rng.u8(..3) == 0 => Expr::PopAny,
        8 => {
            let pointed =
                |item: &Item| matches!(&item.kind, Kind::Function(function) if function.pointed);
            Expr::PushPointer(pick(model, rng, place, pointed)?)
        }
        // What a pointer leads to may call others, so only the highest level may.
        9 if place.level > 5 => Expr::CallPointer(two(model, rng, place, depth)),
        10 if !model.world.is_empty() => {
            Expr::WorldWrite(rng.usize(..model.world.len()), inside(rng))
        }
        _ => return None,
    })
}

const PLAIN: [&str; 9] = [
    "u64", "u32", "u16", "u8", "i16", "i64", "bool", "f64", "String",
];

/// A random type that may be named at a place.
pub fn ty(model: &Model, rng: &mut Rng, place: &Place, depth: u32) -> Ty {
    let older = place.older_than.unwrap_or(Id::MAX);
    let plain = Ty::Plain(PLAIN[rng.usize(..PLAIN.len())]);
    if depth == 0 {
        return plain;
    }
    let inner = |rng: &mut Rng| Box::new(ty(model, rng, place, depth - 1));
    match rng.u8(..12) {
        0 => Ty::Of(["Option", "Vec", "Box"][rng.usize(..3)], inner(rng)),
        1 => Ty::Pair(inner(rng), inner(rng)),
        2..=3 => Ty::Array(inner(rng), length(model, rng, place)),
        4..=8 => {
            let all = model.visible(place.module, |item| matches!(item.kind, Kind::Type(_)));
            let all: Vec<Id> = all.into_iter().filter(|id| *id < older).collect();
            match rng.choice(all) {
                Some(id) if model.type_def(id).generic => Ty::User(id, Some(inner(rng))),
                Some(id) => Ty::User(id, None),
                None => plain,
            }
        }
        9 => {
            let all = model.visible(place.module, |item| matches!(item.kind, Kind::Alias(_)));
            let all: Vec<Id> = all.into_iter().filter(|id| *id < older).collect();
            rng.choice(all).map_or(plain, Ty::Alias)
        }
        10 => {
            let older = |one: &(Id, Id)| one.0 < older && one.1 < older;
            let found = implemented(model, rng, place, |dynamic| !dynamic).filter(older);
            found.map_or(plain, |(of, ty)| Ty::Out(of, ty))
        }
        _ => plain,
    }
}

/// Whether all that a type consists of by name may be named in a module.
pub fn may_name(model: &Model, ty: &Ty, module: ModuleId) -> bool {
    match ty {
        Ty::Plain(_) | Ty::Parameter => true,
        Ty::Of(_, inner) => may_name(model, inner, module),
        Ty::Pair(a, b) => may_name(model, a, module) && may_name(model, b, module),
        Ty::Array(of, _) => may_name(model, of, module),
        Ty::User(id, of) => {
            model.is_visible(*id, module)
                && of.as_ref().is_none_or(|of| may_name(model, of, module))
        }
        Ty::Alias(id) => model.is_visible(*id, module),
        Ty::Out(of, ty) => model.is_visible(*of, module) && model.is_visible(*ty, module),
    }
}

/// A random array length.
pub fn length(model: &Model, rng: &mut Rng, place: &Place) -> Length {
    let older = place.older_than.unwrap_or(Id::MAX);
    let all = model.visible(place.module, |item| matches!(item.kind, Kind::Length(_)));
    let all: Vec<Id> = all.into_iter().filter(|id| *id < older).collect();
    match rng.choice(all) {
        Some(id) if rng.bool() => Length::Const(id),
        _ => Length::Literal(rng.u32(1..5)),
    }
}

/// A type without anything of the program in it, for associated types.
pub fn plain(rng: &mut Rng) -> Ty {
    let one = Ty::Plain(PLAIN[rng.usize(..PLAIN.len())]);
    match rng.u8(..3) {
        0 => Ty::Of("Option", Box::new(one)),
        1 => Ty::Pair(Box::new(one), Box::new(Ty::Plain("u16"))),
        _ => one,
    }
}

/// The place of the body of an item, with everything its role allows.
pub fn place_of(model: &Model, id: Id) -> Place {
    let item = &model.items[&id];
    let at = Place {
        module: item.module,
        ..Place::default()
    };
    match &item.kind {
        Kind::Function(function) => Place {
            level: function.level,
            params: function.params,
            captured: function.captures.len(),
            inner: function.role == Role::Closure,
            world: function.world,
            pure: function.pure,
            constant: function.constant,
            parameter: function.generic,
            ..at
        },
        Kind::Const(_) => Place {
            constant: true,
            pure: true,
            older_than: Some(id),
            ..at
        },
        // A macro is expanded anywhere, so it names only what everybody may.
        Kind::Macro(_) => Place {
            inner: true,
            constant: true,
            pure: true,
            older_than: Some(0),
            ..at
        },
        Kind::Type(_) => Place {
            params: 1,
            pure: true,
            level: 1,
            this: Some(Some(id)),
            ..at
        },
        Kind::Trait(_) => Place {
            params: 1,
            pure: true,
            level: 1,
            this: Some(None),
            ..at
        },
        _ => at,
    }
}
