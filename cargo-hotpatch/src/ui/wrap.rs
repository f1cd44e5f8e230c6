//! Texts broken into lines for a terminal's width.

use anstream::adapter::strip_str;

/// The text with line breaks before words that would not fit into `width` columns; each line but the first
/// begins with `indent` spaces, and the first is taken to begin there too.
#[must_use]
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    broken(text, width, indent, indent)
}

/// A message in lines that fit: what follows `= ` or a verb stays below it, and a source line is cut. Places and single long
/// words stay whole.
#[must_use]
pub fn fitted(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line
            .strip_suffix('\n')
            .map_or((line, ""), |line| (line, "\n"));
        if columns(line) <= width || line.starts_with("  --> ") {
            out += line;
        } else if let Some(excerpt) = line.strip_prefix("   | ") {
            let room = width.saturating_sub(5 + 1);
            out += "   | ";
            out.extend(excerpt.chars().take(room).chain(['…']));
        } else {
            let spaces = line.len() - line.trim_start_matches(' ').len();
            let indent = match line.strip_prefix("   = ") {
                Some(_) => 5,
                None if has_verb(line) => 13,
                None => spaces + 4,
            };
            out += &line[..spaces];
            out += &broken(&line[spaces..], width, spaces, indent);
        }
        out += end;
    }
    out
}

/// A word that ends in the twelfth column, as cargo writes them.
fn has_verb(line: &str) -> bool {
    let plain = strip_str(line).to_string();
    let verb = plain.get(..12).unwrap_or_default().trim_start();
    plain.get(12..13) == Some(" ") && !verb.is_empty() && verb.chars().all(char::is_alphabetic)
}

fn broken(text: &str, width: usize, first: usize, indent: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut used, mut start) = (0, first);
    for word in text.split(' ') {
        let length = columns(word);
        let room = width.saturating_sub(start).max(20);
        if used > 0 && used + 1 + length > room {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            (used, start) = (0, indent);
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out
}

fn columns(text: &str) -> usize {
    strip_str(text).to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use super::{fitted, wrapped};

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

    #[test]
    fn each_kind_of_line_is_broken_in_its_way() {
        let lines = [
            "\u{1b}[1;31mrefused HP0101\u{1b}[0m: layout of `Player` changed here",
            "  --> src/a/very/long/path/player.rs:12:5",
            "   |  12 | pub shield: Option<Shield>,",
            "   = alive in: static `WORLD` (src/main.rs:8)",
            "     Patched update and three others (gen 3)",
        ];
        let wanted = [
            "\u{1b}[1;31mrefused HP0101\u{1b}[0m: layout of\n    `Player` changed here",
            "  --> src/a/very/long/path/player.rs:12:5",
            "   |  12 | pub shield: Option<S…",
            "   = alive in: static `WORLD`\n     (src/main.rs:8)",
            "     Patched update and three\n             others (gen 3)",
        ];
        assert_eq!(fitted(&lines.join("\n"), 32), wanted.join("\n"));
        assert_eq!(fitted(&lines.join("\n"), 120), lines.join("\n"));
    }
}
