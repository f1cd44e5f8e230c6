//! Names of symbols by number: a program's references name a few thousand symbols many times each.

use std::collections::HashMap;
use std::sync::Arc;

use super::v0;
use crate::image::hash::NameHashBuilder;

/// The number of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(u32);

/// All names met so far.
#[derive(Debug, Default)]
pub struct Names {
    texts: Vec<Arc<str>>,
    /// For each its length without the crate that it was compiled for, see [`Names::without_instantiating_crate`].
    lengths: Vec<usize>,
    /// For each whether an edit can change what it is of.
    replaceable: Vec<bool>,
    /// The crates that edits can change.
    crates: Vec<String>,
    ids: HashMap<Arc<str>, NameId, NameHashBuilder>,
}

impl Names {
    /// The number of a name, which gets one now if it has none.
    pub fn id(&mut self, text: &str) -> NameId {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = NameId(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        let can_be_replaced = self.is_of_an_edit(text);
        self.replaceable.push(can_be_replaced);
        self.lengths.push(match can_be_replaced {
            true => text.len(),
            false => v0::without_crate(text).unwrap_or(text).len(),
        });
        let text: Arc<str> = Arc::from(text);
        self.texts.push(text.clone());
        self.ids.insert(text, id);
        id
    }

    /// From now on these are the crates that edits can change.
    pub fn set_crates(&mut self, crates: &[String]) {
        if self.crates != crates {
            self.crates = crates.to_vec();
            let texts = self.texts.iter();
            self.replaceable = texts.map(|text| self.is_of_an_edit(text)).collect();
        }
    }

    /// Whether an edit can change what a name is of: what mentions one of these crates, and what is no name of Rust's.
    #[must_use]
    pub fn can_be_replaced(&self, id: NameId) -> bool {
        let known = self.replaceable.get(id.0 as usize);
        known.copied().unwrap_or_default()
    }

    fn is_of_an_edit(&self, text: &str) -> bool {
        let crates: Vec<&str> = self.crates.iter().map(String::as_str).collect();
        !v0::is_mangled(text) || v0::mentions(text, &crates)
    }

    /// The name without the crate that it was compiled for, if it is an instance of generic code that no edit can change:
    /// it is the same code whoever compiles it, and an edit elsewhere may have another crate do it.
    #[must_use]
    pub fn without_instantiating_crate(&self, id: NameId) -> &str {
        let text = self.text(id);
        let end = self.lengths.get(id.0 as usize);
        end.map_or(text, |end| &text[..*end])
    }

    /// The number of a name, if it was met.
    #[must_use]
    pub fn get(&self, text: &str) -> Option<NameId> {
        self.ids.get(text).copied()
    }

    /// The name.
    #[must_use]
    pub fn text(&self, id: NameId) -> &str {
        self.texts.get(id.0 as usize).map_or("", |text| text)
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn an_instance_that_no_edit_can_change_means_the_same_whoever_compiled_it() {
        let mut names = Names::default();
        names.set_crates(&["app".to_owned(), "lib".to_owned()]);
        let mut means = |text: &str| {
            let id = names.id(text);
            names.without_instantiating_crate(id).to_owned()
        };
        let push = "_RNvMs_NtCsab_5alloc3vecINtB4_3VechE4push";
        assert_eq!(means(&format!("{push}Cs12_3app")), push);
        assert_eq!(means(&format!("{push}Cs34_3lib")), push);
        assert_eq!(means(&format!("{push}Cs34_5other")), push);
        let own = "_RINvNtCsab_4core3ptr13drop_in_placeNtCs12_3app5TokenECs34_3lib";
        assert_eq!(means(own), own);
        assert_eq!(means("_RNvCs12_3app4main"), "_RNvCs12_3app4main");
        assert_eq!(means("memcpy"), "memcpy");
    }

    #[test]
    fn what_an_edit_can_change_is_known_also_of_crates_that_come_later() {
        let mut names = Names::default();
        names.set_crates(&["app".to_owned()]);
        let ids = ["_RNvCs12_3app4main", "_RNvCs34_3lib4help", "memcpy"].map(|text| names.id(text));
        let can = |names: &Names| ids.map(|id| names.can_be_replaced(id));
        assert_eq!(can(&names), [true, false, true]);
        names.set_crates(&["app".to_owned(), "lib".to_owned()]);
        assert_eq!(can(&names), [true, true, true]);
    }
}
