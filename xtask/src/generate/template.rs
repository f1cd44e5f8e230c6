//! Fills the templates of the generated crate. It knows two things: `$name$` is replaced, and the
//! lines between `//@each list` and `//@end` are repeated for each item of a list.
//!
//! `$num$`, `$small$`, `$word$` and `$letter$` are drawn anew at every place.

use std::collections::HashMap;

use super::names::WORDS;
use super::rng::Rng;

/// The values of one item of a list.
pub type Item = Vec<(&'static str, String)>;

/// What the names in a template stand for; a value may itself hold names.
#[derive(Debug, Default)]
pub struct Scope {
    values: HashMap<&'static str, String>,
    lists: HashMap<&'static str, Vec<Item>>,
}

impl Scope {
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) -> &mut Self {
        self.values.insert(name, value.into());
        self
    }

    pub fn list(&mut self, name: &'static str, items: Vec<Item>) -> &mut Self {
        self.lists.insert(name, items);
        self
    }

    /// A list whose items have one value each, called `value`.
    pub fn column<S: Into<String>>(
        &mut self,
        name: &'static str,
        value: &'static str,
        items: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        let rows = items.into_iter().map(|item| vec![(value, item.into())]);
        self.list(name, rows.collect())
    }

    pub fn render(&self, template: &str, rng: &mut Rng) -> String {
        let mut out = String::new();
        let mut lines = template.lines();
        while let Some(line) = lines.next() {
            let Some(list) = line.strip_prefix("//@each ") else {
                out.push_str(&self.fill(line, &Item::new(), rng));
                out.push('\n');
                continue;
            };
            let body: Vec<&str> = lines
                .by_ref()
                .take_while(|line| *line != "//@end")
                .collect();
            let items = self.lists.get(list);
            let items = items.unwrap_or_else(|| panic!("a template repeats unknown `{list}`"));
            for item in items {
                for line in &body {
                    out.push_str(&self.fill(line, item, rng));
                    out.push('\n');
                }
            }
        }
        out
    }

    fn fill(&self, text: &str, item: &Item, rng: &mut Rng) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let name = after.split_once('$').map(|(name, _)| name);
            match name.filter(|name| name.chars().all(char::is_alphabetic) && !name.is_empty()) {
                Some(name) => {
                    out.push_str(&self.value(name, item, rng));
                    rest = &after[name.len() + 1..];
                }
                None => {
                    out.push('$');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn value(&self, name: &str, item: &Item, rng: &mut Rng) -> String {
        let own = item.iter().find(|(key, _)| *key == name);
        if let Some(value) = own.map(|(_, value)| value).or(self.values.get(name)) {
            return self.fill(value, item, rng);
        }
        match name {
            "num" => rng.between(11, 97).to_string(),
            "small" => rng.between(2, 9).to_string(),
            "word" => (*rng.pick(WORDS)).to_owned(),
            "letter" => rng.pick(WORDS)[..1].to_owned(),
            _ => panic!("a template uses unknown `${name}$`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_lists_are_replaced() {
        let mut scope = Scope::default();
        scope
            .set("a", "<$b$>")
            .set("b", "x")
            .column("all", "one", ["1", "2"]);
        let text = scope.render(
            "$a$ {w$} $b$_c\n//@each all\nn$one$$b$\n//@end\nend",
            &mut Rng::new(1),
        );
        assert_eq!(text, "<x> {w$} x_c\nn1x\nn2x\nend\n");
    }
}
