//! What follows a patch: the exact lane's word on one of the fast lane, and whether its functions are called.

use super::events::{Confirmed, Live, Milliseconds};
use super::names::list_of_names;
use super::paint::{Hue, Paint};
use super::report::{Note, Report, Verbosity, render_note, time};
use super::short::Problem;

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

/// `Live step, World::report (gen 3)`, and what has not been called.
#[must_use]
pub fn render_live(paint: Paint, live: &Live) -> String {
    let generation = live.generation;
    let mut text = String::new();
    if !live.called.is_empty() {
        let called = list_of_names(&live.called);
        text += &paint.verb(Hue::Green, "Live", &format!("{called} (gen {generation})"));
    }
    if !live.not_called.is_empty() {
        let not_called = list_of_names(&live.not_called);
        let said = format!("since it is live: {not_called} (gen {generation})");
        text += &paint.verb(Hue::Yellow, "Not called", &said);
    }
    text
}

impl Report {
    /// Functions of a patch have been called, or not.
    pub fn live(&self, live: &Live) {
        self.say(Verbosity::Normal, &render_live(self.paint(), live));
    }

    /// The exact lane agrees with a patch.
    pub fn confirmed(&self, confirmed: &Confirmed, notes: &[Note]) {
        let text = render_confirmed(self.paint(), confirmed, notes);
        self.headline(text.lines().next());
        self.problems(notes.iter().map(Problem::of_note));
        self.say(Verbosity::Normal, &text);
    }

    /// The exact lane does not agree with a patch.
    pub fn taken_back(&self, generation: u32) {
        let text = render_taken_back(self.paint(), generation);
        self.headline(text.lines().next());
        self.say(Verbosity::Normal, &text);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        Confirmed, Live, Milliseconds, Paint, render_confirmed, render_live, render_taken_back,
    };

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

    #[test]
    fn what_was_called_and_what_was_not() {
        let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let live = |called: &[&str], not_called: &[&str]| {
            let (called, not_called) = (strings(called), strings(not_called));
            let generation = 3;
            render_live(
                PLAIN,
                &Live {
                    generation,
                    called,
                    not_called,
                },
            )
        };
        assert_eq!(
            live(&["app::step", "app::world::World::report"], &[]),
            "        Live step, World::report (gen 3)\n"
        );
        assert_eq!(
            live(&["app::step"], &["app::router"]),
            "        Live step (gen 3)\n  Not called since it is live: router (gen 3)\n"
        );
        assert_eq!(
            live(&[], &["app::router"]),
            "  Not called since it is live: router (gen 3)\n"
        );
    }
}
