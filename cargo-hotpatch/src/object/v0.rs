//! What a v0-mangled symbol says without being taken apart: which crates it mentions.
//!
//! The grammar is in RFC 2603: a crate's root is `C`, perhaps a disambiguator `s..._`, then the length of its name and
//! the name. Later mentions may be references back, but the first of each crate is in full.

/// Whether a symbol is mangled in Rust's own way.
#[must_use]
pub fn is_mangled(symbol: &str) -> bool {
    symbol.starts_with("_R")
}

/// Whether a symbol mentions one of these crates, other than as the one that an instance was made for.
#[must_use]
pub fn mentions(symbol: &str, crates: &[&str]) -> bool {
    // LLVM adds suffixes of its own.
    let symbol = symbol.split('.').next().unwrap_or(symbol);
    crates.iter().any(|krate| mentions_one(symbol, krate))
}

fn mentions_one(symbol: &str, krate: &str) -> bool {
    if !krate.is_ascii() {
        // Such names are encoded; taking one mention too many costs a slot.
        return true;
    }
    let spelled = spelled(krate);
    symbol.match_indices(&spelled).any(|(at, _)| {
        let is_root = symbol[..at].ends_with(['_', 'C']);
        // The crate that an instance was made for stands at the end.
        is_root && at + spelled.len() < symbol.len()
    })
}

/// A name as symbols have it, with its length; only if it is ASCII.
#[must_use]
pub fn spelled(krate: &str) -> String {
    let starts_like_a_number = krate.starts_with(|c: char| c == '_' || c.is_ascii_digit());
    let separator = if starts_like_a_number { "_" } else { "" };
    format!("{}{separator}{krate}", krate.len())
}

/// The part of a symbol before the crate that it was compiled for, if that stands at its end in full.
#[must_use]
pub fn without_crate(symbol: &str) -> Option<&str> {
    let mut roots = symbol.rmatch_indices("Cs");
    let (at, _) = roots.find(|(at, _)| *at > PREFIX.len() && is_root(&symbol[*at..]))?;
    Some(&symbol[..at])
}

/// Whether a text is a crate's root and nothing more: `Cs4YUYtxHDUIo_3app`.
fn is_root(text: &str) -> bool {
    let name = text.strip_prefix("Cs").and_then(|rest| {
        let (disambiguator, name) = rest.split_once('_')?;
        let is_number = disambiguator
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric());
        is_number.then_some(name)
    });
    name.is_some_and(|name| {
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let (length, name) = name.split_at(digits);
        let name = name.strip_prefix('_').unwrap_or(name);
        length.parse() == Ok(name.len())
    })
}

/// A symbol that ends with the root of the crate that it was compiled for, as rustc writes it: a root that stands in it
/// before is referred to by its place.
#[must_use]
pub fn compiled_for(symbol: &str, root: &str) -> String {
    match symbol.find(root) {
        Some(at) if at >= PREFIX.len() => {
            format!("{symbol}B{}", base_62((at - PREFIX.len()) as u64))
        }
        _ => format!("{symbol}{root}"),
    }
}

const PREFIX: &str = "_R";

/// A number as symbols have it: one less in digits and letters, and `_` at the end; nothing before that for none.
fn base_62(number: u64) -> String {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut digits = Vec::new();
    let mut rest = number.checked_sub(1);
    while let Some(number) = rest {
        digits.push(char::from(DIGITS[(number % 62) as usize]));
        rest = (number >= 62).then_some(number / 62);
    }
    digits.into_iter().rev().chain(['_']).collect()
}

/// The first mention of a crate's root in a symbol, in full: `Cs4YUYtxHDUIo_3app`.
#[must_use]
pub fn root<'a>(symbol: &'a str, krate: &str) -> Option<&'a str> {
    let spelled = format!("_{}", spelled(krate));
    let end = symbol.find(&spelled)?;
    // Nothing but single letters and disambiguators of impls stand in front of the first root.
    let start = symbol[..end].find("Cs")?;
    Some(&symbol[start..end + spelled.len()])
}

/// Whether a symbol is of what a trait has: a type's own of an `impl` of it, or what the trait provides.
#[must_use]
pub fn is_of_a_trait(symbol: &str) -> bool {
    ["_RNvX", "_RNvY"]
        .iter()
        .any(|start| symbol.starts_with(start))
}

/// Whether this is the symbol of a crate's own `main`.
#[must_use]
pub fn is_main_of(symbol: &str, krate: &str) -> bool {
    let root = symbol
        .strip_prefix("_RNv")
        .and_then(|path| path.strip_suffix("4main"));
    root.is_some_and(|root| root.starts_with('C') && root.ends_with(&spelled(krate)))
}

#[cfg(test)]
mod tests {
    use super::{base_62, compiled_for, is_main_of, is_of_a_trait, mentions, root, without_crate};

    #[test]
    fn what_a_symbol_was_compiled_for_is_written_as_rustc_does() {
        let numbers = [0, 1, 10, 11, 36, 62, 63, 64];
        let told = ["_", "0_", "9_", "a_", "z_", "Z_", "10_", "11_"];
        assert_eq!(numbers.map(base_62), told);
        // As in a program: `<alloc::vec::Vec<app::Item>>::push`.
        let push = "_RNvMs_NtCsab_5alloc3vecINtB4_3VecNtCs12_3app4ItemE4push";
        assert_eq!(compiled_for(push, "Cs12_3app"), format!("{push}Bx_"));
        let bytes = "_RNvMs_NtCsab_5alloc3vecINtB4_3VechE4push";
        assert_eq!(
            compiled_for(bytes, "Cs12_3app"),
            format!("{bytes}Cs12_3app")
        );
        for root in ["Cs12_3app", "Csab_4core", "Cs1_5_2bits"] {
            assert_eq!(without_crate(&format!("{bytes}{root}")), Some(bytes));
        }
        assert_eq!(without_crate(bytes), None);
        assert_eq!(without_crate("_RNvCs12_3app4main"), None);
        assert_eq!(without_crate("_RCs12_3app"), None);
    }

    #[test]
    fn a_root_is_told_in_full() {
        let of = |symbol| root(symbol, "app");
        assert_eq!(
            of("_RNvXs_NvNtCs4YUYtxHDUIo_3app5worldNtB4_5World6report"),
            Some("Cs4YUYtxHDUIo_3app")
        );
        assert_eq!(of("_RNvCs1234_3app4main"), Some("Cs1234_3app"));
        assert_eq!(of("_RNvCs1234_5other4main"), None);
        assert!(is_of_a_trait(
            "_RNvXs_NvNtCs4YUYtxHDUIo_3app5worldNtB4_5World6report"
        ));
        assert!(!is_of_a_trait(
            "_RNvMs_NtNtCs1234_3app5worldNtB4_5World6report"
        ));
        assert!(is_main_of("_RNvCs1234_3app4main", "app"));
        assert!(!is_main_of("_RNvNtCs1234_3app1m4main", "app"));
        assert!(!is_main_of("_RNvCs1234_5other4main", "app"));
    }

    #[test]
    fn crates_are_mentioned_by_their_roots() {
        let app = |symbol| mentions(symbol, &["app"]);
        assert!(app("_RNvCs1234_3app4main"));
        assert!(app("_RNvNtC3app1m1f"));
        assert!(app(
            "_RINvNtCsab_4core3ptr13drop_in_placeNtCs12_3app5TokenECs12_3app"
        ));
        assert!(!app("_RNvMs_NtCsab_5alloc3vecINtB4_3VechE4pushCs12_3app"));
        assert!(!app("_RNvCs1234_5other3app"));
        assert!(app("_RNvCs1234_3app4main.llvm.123"));
    }
}
