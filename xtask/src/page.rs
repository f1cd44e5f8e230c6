//! The page of results. Each task owns one part of it, under a `##` heading, and leaves the others.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const TOP: &str = "# Performance\n\nWritten by `cargo xtask bench` and `cargo xtask bench-call`; \
                   each part names its command and machine.\n";

/// Puts `part`, which begins with `heading`, into the page at `path`.
pub fn write_part(path: &Path, heading: &str, part: &str) -> Result<()> {
    let page = fs::read_to_string(path).unwrap_or_else(|_| TOP.to_owned());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("failed to make `{}`", folder.display()))?;
    }
    let page = with_part(&page, heading, part);
    fs::write(path, page).with_context(|| format!("failed to write `{}`", path.display()))
}

fn with_part(page: &str, heading: &str, part: &str) -> String {
    let start = page.find(&format!("\n{heading}\n")).map(|start| start + 1);
    let (before, after) = match start {
        Some(start) => {
            let end = page[start..]
                .find("\n## ")
                .map_or(page.len(), |end| start + end + 1);
            (&page[..start], &page[end..])
        }
        None => (page, ""),
    };
    let parts = [before.trim_end(), part.trim_end(), after.trim_end()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::with_part;

    #[test]
    fn a_part_is_added_and_then_replaced() {
        let one = with_part("# P\n", "## A", "## A\n\n1\n");
        let two = with_part(&one, "## B", "## B\n\n2\n");
        assert_eq!(two, "# P\n\n## A\n\n1\n\n## B\n\n2\n");
        assert_eq!(
            with_part(&two, "## A", "## A\n\n3\n"),
            "# P\n\n## A\n\n3\n\n## B\n\n2\n"
        );
    }
}
