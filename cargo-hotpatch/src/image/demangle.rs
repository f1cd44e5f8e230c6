//! From a mangled symbol to the function of the source it stands for.
//!
//! The text is the alternate form of `rustc-demangle` (no hashes). Two different functions can have one key
//! (impls for types of one name, an inner item of a generic function): a key selects candidates, it proves
//! nothing.

/// The function a symbol belongs to, as a reader of the source would name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FunctionKey {
    /// A function, static or other item that is reached by modules only: `app::world::report`.
    Free {
        /// Crate, modules and name; generic arguments and everything from the first `{…}` on cut off.
        path: String,
    },
    /// An item of an impl or trait.
    Method {
        /// Last path segment of the type without generics, references and `mut`; for types without a
        /// path `[]`, `()`, `*`, `fn`, `!` or `dyn Name`.
        self_type: String,
        /// Last path segment of the trait, if it is a trait's method.
        trait_name: Option<String>,
        /// The method.
        name: String,
    },
}

/// A demangled symbol taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Demangled {
    /// The whole text.
    pub text: String,
    /// The function.
    pub key: FunctionKey,
    /// What follows the function: `::{closure#0}`, `::inner`, `::{shim:vtable#0}`; empty for the function itself.
    pub rest: String,
    /// Whether the function or its self type has generic arguments (those of a trait do not count).
    /// An impl for a slice or tuple of anything is not recognised.
    pub has_generic_args: bool,
    /// For a method: the crate of its self type, unless that is built in.
    pub self_crate: Option<String>,
    /// For a method: all crates that its self type and trait name.
    pub crates: Vec<String>,
}

/// Demangles and parses one symbol; `None` if it is not a Rust symbol.
#[must_use]
pub fn demangle(symbol: &str) -> Option<Demangled> {
    // LLVM appends suffixes such as `.llvm.123` and `.cold`; mangled names themselves have no dot.
    let mangled = symbol
        .split('.')
        .next()
        .filter(|mangled| !mangled.is_empty())?;
    let demangled = rustc_demangle::try_demangle(mangled).ok()?;
    parse(&format!("{demangled:#}"))
}

/// Parses a text that is demangled already.
#[must_use]
pub fn parse(text: &str) -> Option<Demangled> {
    if text.starts_with('<') {
        parse_impl(text, 0)
    } else {
        parse_path(text)
    }
}

/// `<Type>::name…`, `<Type as Trait>::name…` and the older `path::<impl Trait for Type>::name…`,
/// where the angle bracket is at `open`.
fn parse_impl(text: &str, open: usize) -> Option<Demangled> {
    let close = open + matching_angle(&text[open..])?;
    let inner = &text[open + 1..close];
    let (self_text, trait_text) = match inner.strip_prefix("impl ") {
        Some(header) => split_top(header, " for ").map_or((header, None), |(t, s)| (s, Some(t))),
        None => split_top(inner, " as ").map_or((inner, None), |(s, t)| (s, Some(t))),
    };
    let tail = text[close + 1..].strip_prefix("::")?;
    let (name, mut rest) =
        split_top(tail, "::").map_or((tail, ""), |(name, _)| (name, &tail[name.len()..]));
    let has_args = skip_generic_args(&mut rest);
    Some(Demangled {
        text: text.to_owned(),
        key: FunctionKey::Method {
            self_type: self_type(self_text),
            trait_name: trait_text.map(|path| last_name(path).to_owned()),
            name: name.to_owned(),
        },
        rest: rest.to_owned(),
        has_generic_args: has_args || has_angle(self_text),
        self_crate: self_crate(self_text),
        crates: crates(inner),
    })
}

fn parse_path(text: &str) -> Option<Demangled> {
    let mut end = 0;
    loop {
        let segment = split_top(&text[end..], "::").map_or(&text[end..], |(segment, _)| segment);
        if segment.starts_with("<impl ") {
            return parse_impl(text, end);
        }
        if segment.is_empty() {
            return None;
        }
        if segment.starts_with(['<', '{']) {
            end -= 2;
            break;
        }
        end += segment.len();
        if end == text.len() {
            break;
        }
        end += 2;
    }
    let mut rest = &text[end..];
    let has_generic_args = skip_generic_args(&mut rest);
    Some(Demangled {
        text: text.to_owned(),
        key: FunctionKey::Free {
            path: text[..end].to_owned(),
        },
        rest: rest.to_owned(),
        has_generic_args,
        self_crate: None,
        crates: Vec::new(),
    })
}

fn skip_generic_args(rest: &mut &str) -> bool {
    let Some(close) = rest.strip_prefix("::").and_then(matching_angle) else {
        return false;
    };
    *rest = &rest[2 + close + 1..];
    true
}

fn self_type(text: &str) -> String {
    let mut text = text.trim();
    loop {
        if let Some(rest) = text.strip_prefix('&').or_else(|| text.strip_prefix("mut ")) {
            text = rest;
        } else if text.starts_with('\'') {
            text = text.split_once(' ').map_or("", |(_, rest)| rest);
        } else if text.starts_with("for<") {
            text =
                matching_angle(&text[3..]).map_or("", |close| text[3 + close + 1..].trim_start());
        } else {
            break;
        }
    }
    if let Some(bounds) = text.strip_prefix("dyn ") {
        let bound = split_top(bounds, " + ").map_or(bounds, |(first, _)| first);
        return format!("dyn {}", last_name(bound));
    }
    let kind = match text.as_bytes() {
        [b'[', ..] => "[]",
        [b'(', ..] => "()",
        [b'*', ..] => "*",
        _ if ["fn(", "unsafe ", "extern "]
            .iter()
            .any(|start| text.starts_with(start)) =>
        {
            "fn"
        }
        _ => last_name(text),
    };
    kind.to_owned()
}

/// The first segments of all paths in a text.
fn crates(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("::").map(|at| at + from) {
        let start = text[..at]
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |before| before + 1);
        let name = &text[start..at];
        if !name.is_empty()
            && !text[..start].ends_with("::")
            && !out.iter().any(|known| known == name)
        {
            out.push(name.to_owned());
        }
        from = at + 2;
    }
    out
}

/// The crate of a type with a path.
fn self_crate(text: &str) -> Option<String> {
    let bare = text
        .trim_start_matches(['&', ' '])
        .trim_start_matches("mut ");
    let end = bare.find("::")?;
    let name = &bare[..end];
    name.chars()
        .all(|c| c.is_alphanumeric() || c == '_')
        .then(|| name.to_owned())
}

/// The last segment of a path without its generic arguments.
fn last_name(path: &str) -> &str {
    let mut path = path;
    if let Some(bound) = path
        .strip_prefix("for<")
        .and_then(|_| matching_angle(&path[3..]))
    {
        path = path[3 + bound + 1..].trim_start();
    }
    let mut last = path;
    while let Some((segment, rest)) = split_top(path, "::") {
        last = if segment.starts_with('<') {
            last
        } else {
            segment
        };
        path = rest;
    }
    if !path.starts_with('<') {
        last = path;
    }
    last.split('<').next().unwrap_or(last)
}

/// The index of the `>` that closes the `<` a text starts with.
fn matching_angle(text: &str) -> Option<usize> {
    if !text.starts_with('<') {
        return None;
    }
    scan_top(&text[1..], |rest| rest.starts_with('>')).map(|at| at + 1)
}

/// Splits at the first separator that is outside all brackets.
fn split_top<'text>(text: &'text str, separator: &str) -> Option<(&'text str, &'text str)> {
    let at = scan_top(text, |rest| rest.starts_with(separator))?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// The first place outside all brackets where `found` holds.
fn scan_top(text: &str, found: impl Fn(&str) -> bool) -> Option<usize> {
    let mut depth = 0_usize;
    let mut after_dash = false;
    for (at, character) in text.char_indices() {
        let arrow = after_dash && character == '>';
        after_dash = character == '-';
        if depth == 0 && !arrow && found(&text[at..]) {
            return Some(at);
        }
        match character {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' if arrow => {}
            '>' | ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

fn has_angle(text: &str) -> bool {
    text.contains('<')
}

#[cfg(test)]
mod tests;
