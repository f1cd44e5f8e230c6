//! Functions as a person would name them.

/// `app::world::World::report` as a person would say it: `World::report`; a free function by its last name. Instances are
/// called as what they are of: `<app::Table<app::Row>>::draw` is `Table::draw`, and of a trait `<Table as Draw>::draw`.
fn short_name(path: &str) -> String {
    if path.starts_with("<<") {
        return path.to_owned();
    }
    let path = without_arguments(path);
    let inner = path
        .strip_prefix('<')
        .and_then(|rest| rest.split_once(">::"));
    let Some((of, method)) = inner else {
        return short_path(&path).to_owned();
    };
    let last = |path: &str| path.rsplit("::").next().unwrap_or_default().to_owned();
    let is_plain = |path: &str| {
        path.chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '#' | '{' | '}'))
    };
    match of.split_once(" as ") {
        Some((ty, of)) if is_plain(ty) && is_plain(of) => {
            format!("<{} as {}>::{method}", last(ty), last(of))
        }
        None if is_plain(of) => format!("{}::{method}", last(of)),
        // Others have no short form that is still clear.
        _ => path,
    }
}

/// A path without what its types and functions are generic over. What stands in front is no argument: `<A as B>::c`.
fn without_arguments(path: &str) -> String {
    let mut short = String::new();
    let mut depth = 0_u32;
    let rest = path.strip_prefix('<').unwrap_or(path).chars();
    let mut is_open = path.starts_with('<');
    if is_open {
        short.push('<');
    }
    let mut before = ' ';
    for next in rest {
        match next {
            '<' => {
                if depth == 0 && short.ends_with("::") {
                    short.truncate(short.len() - 2);
                }
                depth += 1;
            }
            // The arrow of a function type.
            '>' if before == '-' && depth > 0 => {}
            '>' if depth > 0 => depth -= 1,
            '>' if is_open => {
                is_open = false;
                short.push('>');
            }
            _ if depth == 0 => short.push(next),
            _ => {}
        }
        before = next;
    }
    short
}

fn short_path(path: &str) -> &str {
    if path.contains(['<', ' ']) {
        return path;
    }
    let mut parts = path.rmatch_indices("::").map(|(at, _)| at);
    let Some(last) = parts.next() else {
        return path;
    };
    let owner = parts.next().map_or(0, |at| at + 2);
    let is_type = path[owner..].starts_with(char::is_uppercase);
    if is_type {
        &path[owner..]
    } else {
        &path[last + 2..]
    }
}

pub(super) fn list_of_names(paths: &[String]) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in paths.iter().map(|path| short_name(path)) {
        // Instances of one function.
        if !names.contains(&name) {
            names.push(name);
        }
    }
    enumerate(&names, 4)
}

/// `a, b and 3 more`; "nothing" for none.
pub(super) fn enumerate(names: &[String], limit: usize) -> String {
    match names.len() {
        0 => "nothing".to_owned(),
        count if count <= limit => names.join(", "),
        count => format!("{} and {} more", names[..limit].join(", "), count - limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_one_function_are_named_once() {
        let names = [
            "<app::Table<u8>>::draw",
            "<app::Table<u16>>::draw",
            "app::main",
        ];
        assert_eq!(
            list_of_names(&names.map(str::to_owned)),
            "Table::draw, main"
        );
    }

    #[test]
    fn names_are_short_where_they_stay_clear() {
        for (path, short) in [
            ("app::update", "update"),
            ("update", "update"),
            ("app::world::World::report", "World::report"),
            ("World::report", "World::report"),
            ("<app::A as app::B>::c", "<A as B>::c"),
            ("<app::world::World>::report", "World::report"),
            ("app::extra::<app::Limits>", "extra"),
            ("<app::Table<app::Row, [u8; 4]>>::draw", "Table::draw"),
            (
                "<app::Table<app::Row> as app::Draw<u8>>::draw",
                "<Table as Draw>::draw",
            ),
            ("<&app::A as app::B>::c", "<&app::A as app::B>::c"),
            (
                "<<app::A as app::B>::c as f::Fn<()>>::call",
                "<<app::A as app::B>::c as f::Fn<()>>::call",
            ),
        ] {
            assert_eq!(short_name(path), short);
        }
    }
}
