//! What became of a type: the first field or variant that is not as it was.

use super::file::{Member, OtherItem, Place};

/// What is different about a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In a few words: `added field`.
    pub label: String,
    /// The field or variant, or the type where that is gone.
    pub place: Place,
}

/// The first difference between two versions of a type that changed.
#[must_use]
pub fn difference(old: &OtherItem, new: &OtherItem) -> Difference {
    let was = |member: &Member| old.members.iter().find(|other| other.name == member.name);
    let stays = |member: &Member| new.members.iter().any(|other| other.name == member.name);
    let at = |label: &str, member: &Member| Difference {
        label: format!("{label} {}", what(member)),
        place: member.place,
    };
    if let Some(member) = new.members.iter().find(|member| was(member).is_none()) {
        return at("added", member);
    }
    if let Some(member) = old.members.iter().find(|member| !stays(member)) {
        let label = format!("removed {} `{}`", what(member), member.name);
        return Difference {
            label,
            place: new.place,
        };
    }
    let changed = |member: &&Member| was(member).is_some_and(|old| old.code != member.code);
    if let Some(member) = new.members.iter().find(changed) {
        return at("changed", member);
    }
    let mut order = old.members.iter().zip(&new.members);
    if let Some((_, member)) = order.find(|(old, new)| old.name != new.name) {
        return at("moved", member);
    }
    Difference {
        label: "other attributes, parameters or visibility".to_owned(),
        place: new.place,
    }
}

fn what(member: &Member) -> &'static str {
    if member.variant { "variant" } else { "field" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::items::fake::krate;

    fn between(old: &str, new: &str) -> (String, usize) {
        let item = |text| krate(&[("src/main.rs", text)]).files[0].parsed.items[0].clone();
        let found = difference(&item(old), &item(new));
        (found.label, found.place.line)
    }

    #[test]
    fn the_field_or_variant_is_named_with_its_line() {
        let label = |old, new| between(old, new).0;
        assert_eq!(
            between(
                "struct S {\n a: u8,\n}",
                "struct S {\n a: u8,\n #[x]\n pub b: u8,\n}"
            ),
            ("added field".to_owned(), 3)
        );
        assert_eq!(
            between("struct S {\n a: u8,\n b: u8,\n}", "struct S {\n b: u8,\n}"),
            ("removed field `a`".to_owned(), 1)
        );
        assert_eq!(
            between("struct S {\n a: u8,\n}", "struct S {\n a: f32,\n}"),
            ("changed field".to_owned(), 2)
        );
        assert_eq!(
            label("struct S { a: u8, b: u8 }", "struct S { b: u8, a: u8 }"),
            "moved field"
        );
        assert_eq!(label("struct S(u8);", "struct S(u8, u8);"), "added field");
        assert_eq!(
            label("union U { a: [u8; 2] }", "union U { a: [u8; 4] }"),
            "changed field"
        );
        assert_eq!(
            between(
                "enum E {\n A,\n B { x: u8 },\n}",
                "enum E {\n A,\n B { x: u16 },\n}"
            ),
            ("changed field".to_owned(), 3)
        );
        assert_eq!(
            between("enum E {\n A,\n}", "enum E {\n A,\n C,\n}"),
            ("added variant".to_owned(), 3)
        );
        assert_eq!(
            label("enum E { A, B }", "enum E { A }"),
            "removed variant `B`"
        );
        assert_eq!(
            label("enum E { A = 1 }", "enum E { A = 2 }"),
            "changed variant"
        );
        assert_eq!(
            label("struct S { a: u8 }", "#[repr(C)] struct S { a: u8 }"),
            "other attributes, parameters or visibility"
        );
    }
}
