//! What closures and `async` blocks captured, by the names that debug information gives to such types.

/// Whether a type is, or is made of, what a closure or an `async` block captured.
#[must_use]
pub fn is_environment(path: &str) -> bool {
    path.contains(MARK)
}

const MARK: &str = "_env#";

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

#[cfg(test)]
mod tests {
    use super::last;

    #[test]
    fn the_last_part_of_a_path_has_no_arguments() {
        assert_eq!(last("app::f"), "f");
        assert_eq!(last("app::f::<u8, fn() -> u8>"), "f");
        assert_eq!(last("app::f::<u8>::{closure#0}"), "{closure#0}");
        assert_eq!(last("<app::A as app::T<u8>>::f::<u8>"), "f");
        assert_eq!(last("core::ops::Fn<(app::A,)>"), "Fn");
        assert_eq!(last("<app::A>"), "<app::A>");
    }
}
