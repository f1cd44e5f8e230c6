//! The variable behind a thread-local: the standard library's macro makes it inside of a closure inside of a
//! constant, and by that it is recognised, whatever it is called.

use super::demangle::demangle;

/// The symbol of such a variable taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The module or function that the thread-local is declared in: `app::world`.
    pub owner: String,
    /// The thread-local's name.
    pub name: String,
    /// What follows: which of the closures it is in, and its own name.
    pub rest: String,
}

/// Takes a symbol apart, if it may be that of a thread-local's variable.
#[must_use]
pub fn variable(symbol: &str) -> Option<Variable> {
    let text = demangle(symbol)?.text;
    let mut at = text.rfind("::")?;
    let inside = at;
    while text[..at].ends_with('}') {
        at = text[..at].rfind("::{")?;
    }
    if at == inside {
        return None;
    }
    let (owner, name) = text[..at].rsplit_once("::")?;
    Some(Variable {
        owner: owner.to_owned(),
        name: name.to_owned(),
        rest: text[at..].to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::object_file::PatchObject;
    use crate::image::samples::Samples;
    use crate::image::symbols::Kind;

    #[test]
    fn modules_functions_and_closures_are_told_apart() {
        let source = "pub mod m { thread_local! { pub static OUTER: std::cell::Cell<u8> = const { std::cell::Cell::new(1) }; } }
            pub fn f() -> u8 { (|| { thread_local!(static INNER: Vec<u8> = vec![1]); INNER.with(|v| v[0]) + m::OUTER.get() })() }
            pub static PLAIN: u8 = 7;";
        let data = Samples::new().object(source, &["-Copt-level=1"]);
        let object = PatchObject::parse(&data).unwrap();
        let locals = object.defined.iter().filter(|d| d.kind == Kind::Tls);
        let mut found: Vec<_> = locals.filter_map(|d| variable(&d.name)).collect();
        found.sort_by(|a, b| a.owner.cmp(&b.owner));
        found.dedup_by(|a, b| a.owner == b.owner && a.name == b.name);
        let [inner, outer] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (&*inner.owner, &*inner.name),
            ("app::f::{closure#0}", "INNER")
        );
        assert_eq!((&*outer.owner, &*outer.name), ("app::m", "OUTER"));
        assert!(outer.rest.starts_with("::{") && outer.rest.contains("{closure#"));
        let others = object.defined.iter().filter(|d| d.kind == Kind::Data);
        assert!(others.into_iter().all(|d| variable(&d.name).is_none()));
    }
}
