//! Where two files disagree about a type that both know.

use super::environment::is_environment;
use super::read::UNKNOWN;
use super::{Kind, Layout, Layouts, Member};

/// A type that two files know under one path, and that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The full path, with generic arguments.
    pub ty: String,
    /// The field or variant that differs, `Variant.field` for a field of a variant; none where the type as a
    /// whole does.
    pub member: Option<String>,
    /// What differs, as a fragment: ``field `x` was `u8` and is `u16` ``.
    pub what: String,
    /// How near it is to the cause: a type changes because one in it did.
    rank: Rank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A part came, went, or is of another type.
    Part,
    /// A part has another number or place.
    Place,
    /// All that is known is that it has another size.
    Whole,
}

/// The types about which `patch` does not say what `known` says, those nearest to the cause first.
pub(crate) fn differing(known: &Layouts, patch: &Layouts) -> Vec<Disagreement> {
    let differing = patch
        .types
        .iter()
        .filter_map(|(path, layout)| Some((path, against(known, patch, path, layout)?)));
    let mut found: Vec<Disagreement> = differing
        .map(|(path, difference)| {
            // The fields of a variant are a type of their own, which nobody knows by name.
            let variant = path
                .rsplit_once("::")
                .filter(|(of, name)| is_variant(patch, of, name));
            let (ty, member) = match (variant, difference.member) {
                (Some((of, variant)), Some(field)) => (of, Some(format!("{variant}.{field}"))),
                (Some((of, variant)), None) => (of, Some(variant.to_owned())),
                (None, member) => (path.as_str(), member),
            };
            Disagreement {
                ty: ty.to_owned(),
                member,
                what: difference.what,
                rank: difference.rank,
            }
        })
        .collect();
    found.sort_by_key(|found| {
        let is_plain = found
            .ty
            .chars()
            .all(|c| c.is_alphanumeric() || "_:".contains(c));
        (
            is_environment(&found.ty),
            found.rank,
            !is_plain,
            found.ty.len(),
        )
    });
    found
}

fn is_variant(patch: &Layouts, of: &str, name: &str) -> bool {
    let around = patch.types.get(of);
    around.is_some_and(|ty| ty.kind == Kind::Enum && ty.members.iter().any(|m| m.name == name))
}

struct Difference {
    member: Option<String>,
    what: String,
    rank: Rank,
}

fn against(known: &Layouts, patch: &Layouts, path: &str, layout: &Layout) -> Option<Difference> {
    let several = known.ambiguous.contains_key(path) || patch.ambiguous.contains_key(path);
    if several && is_environment(path) {
        return Some(Difference {
            member: None,
            what: "there are several versions of it".to_owned(),
            rank: Rank::Whole,
        });
    }
    let old = known.types.get(path).filter(|_| !several)?;
    if old == layout {
        return None;
    }
    difference(old, layout)
}

fn difference(old: &Layout, new: &Layout) -> Option<Difference> {
    let whole = |what: String| Difference {
        member: None,
        what,
        rank: Rank::Whole,
    };
    if old.kind != new.kind {
        let what = format!("it was {} and is {}", kind(old.kind), kind(new.kind));
        return Some(Difference {
            rank: Rank::Part,
            ..whole(what)
        });
    }
    let parts = parts(old, new);
    if parts.is_some() {
        return parts;
    }
    if old.size != new.size {
        let what = format!("it was {} and is {} bytes large", old.size, new.size);
        return Some(whole(what));
    }
    (old.align != new.align).then(|| {
        whole(format!(
            "it was aligned to {} and is to {}",
            old.align, new.align
        ))
    })
}

/// The difference nearest to the cause among the parts.
fn parts(old: &Layout, new: &Layout) -> Option<Difference> {
    let found = |member: &Member, rank, what: &str| {
        let noun = noun(new, member);
        let named = match member.name.as_str() {
            "" => noun.to_owned(),
            name => format!("{noun} `{}`", field(name)),
        };
        Some(Difference {
            member: Some(field(&member.name).to_owned()).filter(|name| !name.is_empty()),
            what: format!("{named} {what}"),
            rank,
        })
    };
    if old
        .members
        .iter()
        .map(|m| &m.name)
        .eq(new.members.iter().map(|m| &m.name))
    {
        let pairs = || old.members.iter().zip(&new.members);
        if let Some((was, is)) = pairs().find(|(was, is)| differ(&was.ty, &is.ty)) {
            let what = format!("was `{}` and is `{}`", was.ty, is.ty);
            return found(is, Rank::Part, &what);
        }
        if let Some((was, is)) = pairs().find(|(was, is)| was.value != is.value) {
            let what = format!("was {} and is {}", number(was), number(is));
            return found(is, Rank::Place, &what);
        }
        let (was, is) = pairs().find(|(was, is)| was.offset != is.offset)?;
        let what = format!("was {} and is {} bytes in", was.offset, is.offset);
        return found(is, Rank::Place, &what);
    }
    let has =
        |layout: &Layout, member: &Member| layout.members.iter().any(|m| m.name == member.name);
    if let Some(member) = new.members.iter().find(|member| !has(old, member)) {
        return found(member, Rank::Part, "is new");
    }
    if let Some(member) = old.members.iter().find(|member| !has(new, member)) {
        let mut difference = found(member, Rank::Part, "is gone")?;
        difference.member = None;
        return Some(difference);
    }
    let mut order = old.members.iter().zip(&new.members);
    let (_, moved) = order.find(|(was, is)| was.name != is.name)?;
    found(moved, Rank::Place, "is in another place")
}

fn differ(was: &str, is: &str) -> bool {
    was != is && !was.contains(UNKNOWN) && !is.contains(UNKNOWN)
}

fn noun(layout: &Layout, member: &Member) -> &'static str {
    match layout.kind {
        Kind::Enum if member.name.is_empty() => "what tells its variants apart",
        Kind::Enum => "variant",
        _ => "field",
    }
}

/// The name of a field as code spells it.
fn field(name: &str) -> &str {
    name.strip_prefix("__")
        .filter(|number| number.parse::<u32>().is_ok())
        .unwrap_or(name)
}

fn number(member: &Member) -> String {
    match member.value {
        Some(value) => format!("number {value}"),
        None => "every other number".to_owned(),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Struct => "a struct",
        Kind::Enum => "an enum",
        Kind::Union => "a union",
    }
}
