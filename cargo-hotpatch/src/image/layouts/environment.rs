//! What closures and `async` blocks captured: whether code of a patch can come before a value of an older version.
//!
//! Such a type has no name that code could spell, so that no static, field or argument of a hot function is of it:
//! a value goes to whoever is given it by the function it stands in, directly or through generic code. New code
//! meets one of an older version only where it is bound to older code of that kind: the function itself, the
//! closure's body, or an instance of generic code for it. Behind `dyn` a value runs its own code.

/// Whether a type is, or is made of, what a closure or an `async` block captured.
#[must_use]
pub fn is_environment(path: &str) -> bool {
    path.contains(MARK)
}

const MARK: &str = "_env#";

/// Functions outside a patch that it is bound to, by what of them matters here.
pub(super) struct Bound {
    /// Their names as people read them.
    texts: Vec<String>,
}

impl Bound {
    pub(super) fn new(symbols: &[&str]) -> Self {
        let text = |symbol: &&str| format!("{:#}", rustc_demangle::demangle(symbol));
        Self {
            texts: symbols.iter().map(text).collect(),
        }
    }

    /// Whether one of them takes, makes or is code of an environment that this type's path names.
    pub(super) fn meets(&self, path: &str) -> bool {
        path.match_indices(MARK).any(|(at, _)| {
            let start = path[..at].rfind('{').unwrap_or_default();
            let number = path[at + MARK.len()..]
                .split('}')
                .next()
                .unwrap_or_default();
            let around = path[..start].strip_suffix("::").unwrap_or_default();
            let owner = closure(last(around));
            let body = format!("{{closure#{number}}}");
            let function = function(around);
            self.texts.iter().any(|text| {
                let is_body = text
                    .match_indices(&body)
                    .any(|(at, _)| last(text[..at].trim_end_matches("::")) == owner);
                is_body || last(text) == function
            })
        })
    }
}

/// The last part of a path, without generic arguments.
pub(crate) fn last(path: &str) -> &str {
    let mut path = path;
    while path.ends_with('>') {
        let mut depth = 0_usize;
        let start = path.char_indices().rev().find(|(at, char)| {
            match char {
                // Of `->`.
                '>' if path[..*at].ends_with('-') => {}
                '>' => depth += 1,
                '<' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let Some((start, _)) = start else { break };
        let rest = path[..start].trim_end_matches("::");
        if rest.is_empty() {
            return path;
        }
        path = rest;
    }
    let start = path
        .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '{' | '}' | '#')))
        .map_or(0, |at| at + 1);
    &path[start..]
}

/// Debug information tells closures and `async` blocks apart, symbols do not.
pub(crate) fn closure(part: &str) -> String {
    match part.rsplit_once('#') {
        Some((kind, number)) if !kind.starts_with("{impl") => format!("{{closure#{number}"),
        _ => part.to_owned(),
    }
}

/// The named function around a closure, or one in another.
fn function(around: &str) -> &str {
    let mut around = around;
    loop {
        let name = last(around);
        match around.strip_suffix(name).and_then(|a| a.strip_suffix("::")) {
            Some(outer) if name.starts_with('{') => around = outer,
            _ => return name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{function, last};

    #[test]
    fn the_last_part_of_a_path_has_no_arguments() {
        assert_eq!(last("app::f"), "f");
        assert_eq!(last("app::f::<u8, fn() -> u8>"), "f");
        assert_eq!(last("app::f::<u8>::{closure#0}"), "{closure#0}");
        assert_eq!(last("<app::A as app::T<u8>>::f::<u8>"), "f");
        assert_eq!(last("core::ops::Fn<(app::A,)>"), "Fn");
        assert_eq!(last("<app::A>"), "<app::A>");
    }

    #[test]
    fn a_closure_in_a_closure_is_of_the_function_around_both() {
        assert_eq!(function("app::f::{closure#1}::{async_block#0}"), "f");
        assert_eq!(function("app::{impl#0}::f"), "f");
    }
}
