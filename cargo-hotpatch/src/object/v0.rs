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
    let starts_like_a_number = krate.starts_with(|c: char| c == '_' || c.is_ascii_digit());
    let separator = if starts_like_a_number { "_" } else { "" };
    let spelled = format!("{}{separator}{krate}", krate.len());
    symbol.match_indices(&spelled).any(|(at, _)| {
        let is_root = symbol[..at].ends_with(['_', 'C']);
        // The crate that an instance was made for stands at the end.
        is_root && at + spelled.len() < symbol.len()
    })
}

/// The first mention of a crate's root in a symbol, in full: `Cs4YUYtxHDUIo_3app`.
#[must_use]
pub fn root<'a>(symbol: &'a str, krate: &str) -> Option<&'a str> {
    let spelled = format!("_{}{krate}", krate.len());
    let end = symbol.find(&spelled)?;
    // Nothing but single letters and disambiguators of impls stand in front of the first root.
    let start = symbol[..end].find("Cs")?;
    Some(&symbol[start..end + spelled.len()])
}

#[cfg(test)]
mod tests {
    use super::{mentions, root};

    #[test]
    fn a_root_is_told_in_full() {
        let of = |symbol| root(symbol, "app");
        assert_eq!(
            of("_RNvXs_NvNtCs4YUYtxHDUIo_3app5worldNtB4_5World6report"),
            Some("Cs4YUYtxHDUIo_3app")
        );
        assert_eq!(of("_RNvCs1234_3app4main"), Some("Cs1234_3app"));
        assert_eq!(of("_RNvCs1234_5other4main"), None);
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
