//! What the exact lane says of a patch that the fast lane has made.

use super::events::{Confirmed, Milliseconds};
use super::paint::{Hue, Paint};
use super::report::{Note, Report, Verbosity, list_of_names, render_note, time};

/// `Confirmed gen 3 in 1.3 s`, with what the exact lane has beside it.
#[must_use]
pub fn render_confirmed(paint: Paint, confirmed: &Confirmed, notes: &[Note]) -> String {
    let Milliseconds(total) = confirmed.ms;
    let mut said = format!("gen {} in {}", confirmed.generation, time(total));
    if !confirmed.functions.is_empty() {
        said += &format!(", with {}", list_of_names(&confirmed.functions));
    }
    let mut text = paint.verb(Hue::Green, "Confirmed", &said);
    for note in notes {
        text += &render_note(paint, note);
    }
    text
}

/// `Taken back gen 3`, and what that means.
#[must_use]
pub fn render_taken_back(paint: Paint, generation: u32) -> String {
    let said = format!("gen {generation}: its functions run again what they ran before");
    paint.verb(Hue::Yellow, "Taken back", &said)
}

impl Report {
    /// The exact lane agrees with a patch.
    pub fn confirmed(&self, confirmed: &Confirmed, notes: &[Note]) {
        let text = render_confirmed(self.paint(), confirmed, notes);
        self.say(Verbosity::Normal, &text);
    }

    /// The exact lane does not agree with a patch.
    pub fn taken_back(&self, generation: u32) {
        let text = render_taken_back(self.paint(), generation);
        self.say(Verbosity::Normal, &text);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Confirmed, Milliseconds, Paint, render_confirmed, render_taken_back};

    const PLAIN: Paint = Paint { color: false };

    #[test]
    fn what_follows_a_patch_is_one_line() {
        let mut confirmed = Confirmed {
            generation: 3,
            ms: Milliseconds(Duration::from_millis(840)),
            ..Confirmed::default()
        };
        let said = render_confirmed(PLAIN, &confirmed, &[]);
        assert_eq!(said, "   Confirmed gen 3 in 840 ms\n");
        confirmed.functions = vec!["app::world::World::report".to_owned()];
        let said = render_confirmed(PLAIN, &confirmed, &[]);
        assert_eq!(said, "   Confirmed gen 3 in 840 ms, with World::report\n");
        let said = render_taken_back(PLAIN, 3);
        assert!(said.starts_with("  Taken back gen 3: "), "{said}");
    }
}
