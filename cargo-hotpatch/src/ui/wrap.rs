//! Texts broken into lines for a terminal's width.

/// The text with line breaks before words that would not fit into `width` columns; each line but the first
/// begins with `indent` spaces, and the first is taken to begin there too.
#[must_use]
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let room = width.saturating_sub(indent).max(20);
    let mut out = String::with_capacity(text.len());
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn words_go_to_the_next_line() {
        assert_eq!(wrapped("one two three", 24, 4), "one two three");
        assert_eq!(
            wrapped("one two three four five six", 24, 4),
            "one two three four\n    five six"
        );
        // A word that fits nowhere stands alone; a narrow terminal does not make a column of letters.
        assert_eq!(
            wrapped("a 123456789012345678901234567890 b", 10, 8),
            "a\n        123456789012345678901234567890\n        b"
        );
    }
}
