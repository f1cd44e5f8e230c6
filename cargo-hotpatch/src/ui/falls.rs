//! Every sentence about threads that panic or crash: under `--guard`, and in `#[hot(retry)]` functions.

use super::events::{Fallen, Waits};
use super::paint::Hue;
use super::report::{Report, Verbosity};
use crate::command::signal_name;
use crate::run::child::ExitHow;

/// Where a thread fell: `game::helper, called by game::step of the newest patch (gen 4), in thread main`.
#[must_use]
pub fn words(fallen: &Fallen) -> String {
    let Fallen {
        function,
        newest,
        generation,
        thread,
        ..
    } = fallen;
    let code = match function == newest {
        true => function.clone(),
        false => format!("{function}, called by {newest}"),
    };
    let signal = fallen.signal.map(signal_name);
    let signal = signal.map_or_else(String::new, |name| format!(", {name}"));
    format!("{code} of the newest patch (gen {generation}), in thread {thread}{signal}")
}

impl Report {
    /// A thread panicked or crashed in code of the newest patch, or in what that called.
    pub fn fallen(&self, fallen: &Fallen) {
        let (verb, words) = match fallen.signal {
            Some(_) => ("Crashed", words(fallen)),
            None => ("Panicked", words(fallen)),
        };
        let text = self.paint().verb(Hue::Red, verb, &words);
        self.headline(text.lines().next());
        self.say(Verbosity::Quiet, &text);
    }

    /// A call has panicked, and waits.
    pub fn waits_for_code(&self, waits: &Waits) {
        let words = format!(
            "{} panicked in thread {}; it is called again with the next patch, key `g` or `cargo hotpatch give-up` ends that",
            waits.function, waits.thread
        );
        let text = self.paint().verb(Hue::Yellow, "Waits", &words);
        self.headline(text.lines().next());
        self.say(Verbosity::Quiet, &text);
    }

    /// Somebody gave so many of these up.
    pub fn gave_up(&self, count: usize) {
        let calls = if count == 1 { "call" } else { "calls" };
        let words = format!("{count} {calls}: the panic goes on");
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Yellow, "Gave up", &words),
        );
    }

    /// The program ended by such a fall.
    pub fn ended_by_fall(&self, how: ExitHow) {
        let next = "it is started again with what ran before";
        let text = match how {
            ExitHow::Code(code) => {
                let words = format!("with status {code}; {next}");
                self.paint().verb(Hue::Yellow, "Exited", &words)
            }
            ExitHow::Signal(signal) => {
                let words = format!("by {}; {next}", signal_name(signal));
                self.paint().verb(Hue::Red, "Killed", &words)
            }
        };
        self.headline(text.lines().next());
        self.say(Verbosity::Normal, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::words;
    use crate::ui::events::Fallen;

    #[test]
    fn what_fell_and_who_called_it() {
        let mut fallen = Fallen {
            signal: None,
            thread: "main".to_owned(),
            function: "game::step".to_owned(),
            newest: "game::step".to_owned(),
            generation: 4,
        };
        assert_eq!(
            words(&fallen),
            "game::step of the newest patch (gen 4), in thread main"
        );
        fallen.function = "game::helper".to_owned();
        fallen.signal = Some(11);
        assert_eq!(
            words(&fallen),
            "game::helper, called by game::step of the newest patch (gen 4), in thread main, SIGSEGV"
        );
    }
}
