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

#[cfg(test)]
mod tests {
    use super::mentions;

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
