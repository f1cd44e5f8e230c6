//! rustc's diagnostics, read from its JSON.

use serde::Deserialize;

/// One diagnostic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostic {
    /// It is an error.
    pub error: bool,
    /// `E0364`, where it has a code.
    pub code: Option<String>,
    /// The first line of it.
    pub message: String,
    /// As rustc shows it.
    pub rendered: String,
    /// File and line of each primary span.
    pub places: Vec<(String, usize)>,
    /// The column in the first of them; 0 if there is none.
    pub column: usize,
    /// It was said already, as it came.
    pub is_said: bool,
    /// File and line of the other spans.
    pub others: Vec<(String, usize)>,
}

#[derive(Deserialize)]
struct Raw {
    message: String,
    level: String,
    code: Option<RawCode>,
    #[serde(default)]
    spans: Vec<RawSpan>,
    #[serde(default)]
    children: Vec<RawChild>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct RawChild {
    #[serde(default)]
    spans: Vec<RawSpan>,
}

#[derive(Deserialize)]
struct RawCode {
    code: String,
}

#[derive(Deserialize)]
struct RawSpan {
    file_name: String,
    line_start: usize,
    #[serde(default)]
    column_start: usize,
    is_primary: bool,
}

/// The diagnostics in rustc's standard error; what is no JSON is left out.
#[must_use]
pub fn parse(stderr: &str) -> Vec<Diagnostic> {
    stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .filter_map(|line| serde_json::from_str::<Raw>(line).ok())
        .map(|raw| Diagnostic {
            error: raw.level.starts_with("error"),
            code: raw.code.map(|code| code.code),
            message: raw.message,
            rendered: raw.rendered.unwrap_or_default(),
            is_said: false,
            column: raw
                .spans
                .iter()
                .find(|span| span.is_primary)
                .map_or(0, |span| span.column_start),
            places: places(&raw.spans, true),
            others: raw
                .children
                .iter()
                .flat_map(|child| places(&child.spans, true))
                .chain(places(&raw.spans, false))
                .collect(),
        })
        .collect()
}

fn places(spans: &[RawSpan], primary: bool) -> Vec<(String, usize)> {
    let spans = spans.iter().filter(|span| span.is_primary == primary);
    spans
        .map(|span| (span.file_name.clone(), span.line_start))
        .collect()
}

/// The first error in a few words, for a message about something else.
#[must_use]
pub fn summary(diagnostics: &[Diagnostic]) -> Option<String> {
    let first = diagnostics.iter().find(|diagnostic| diagnostic.error)?;
    let code = first
        .code
        .as_ref()
        .map(|code| format!("{code}: "))
        .unwrap_or_default();
    Some(format!("{code}{}", first.message))
}

/// What stopped rustc if that was not the code: errors without a place and without a code, as of a full disk.
#[must_use]
pub fn beside_the_code(diagnostics: &[Diagnostic]) -> Option<String> {
    let errors = || diagnostics.iter().filter(|diagnostic| diagnostic.error);
    let is_about_code = |found: &Diagnostic| found.code.is_some() || !found.places.is_empty();
    if errors().any(is_about_code) {
        return None;
    }
    let rendered: String = errors().map(|found| found.rendered.as_str()).collect();
    (!rendered.is_empty()).then_some(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_among_other_lines() {
        let text = "warning: x\n{\"message\":\"bad\",\"level\":\"error\",\"code\":{\"code\":\"E1\"},\
            \"spans\":[{\"file_name\":\"a.rs\",\"line_start\":3,\"is_primary\":true}],\"rendered\":\"r\"}\n";
        let found = parse(text);
        assert_eq!(found[0].places, [("a.rs".to_owned(), 3)]);
        assert_eq!(summary(&found).unwrap(), "E1: bad");
    }

    #[test]
    fn a_full_disk_is_told_from_bad_code() {
        let full = Diagnostic {
            error: true,
            message: "failed to write".to_owned(),
            rendered: "error: failed to write\n".to_owned(),
            ..Diagnostic::default()
        };
        let bad = Diagnostic {
            error: true,
            places: vec![("a.rs".to_owned(), 3)],
            ..Diagnostic::default()
        };
        let one = std::slice::from_ref(&full);
        assert_eq!(beside_the_code(one).unwrap(), "error: failed to write\n");
        assert_eq!(beside_the_code(&[full, bad]), None);
        assert_eq!(beside_the_code(&[]), None);
    }
}
