//! Every sentence about a restart, and about what the program keeps through one.

use std::error::Error;
use std::net::SocketAddr;

use super::paint::{Hue, Paint};
use super::report::{Report, Verbosity, chain};

/// Asked at the terminal, answered with a key.
#[must_use]
pub fn key_prompt(about_loss: bool) -> &'static str {
    if about_loss {
        "restart all the same? [y]es [n]o "
    } else {
        "restart? [y]es [n]o [a]lways ne[v]er "
    }
}

/// Why values could not be saved, one sentence each.
#[must_use]
pub fn reasons(failed: &[(String, String)]) -> Vec<String> {
    let reason = |(name, why): &(String, String)| {
        if name.is_empty() {
            why.clone()
        } else {
            format!("`{name}`: {why}")
        }
    };
    failed.iter().map(reason).collect()
}

/// A restart that would lose what is kept.
#[must_use]
pub fn render_not_restarted(paint: Paint, failed: &[(String, String)]) -> String {
    let mut text = format!(
        "{}: not everything that the program keeps can be saved\n",
        paint.bold(Hue::Yellow, "not restarted")
    );
    for reason in reasons(failed) {
        text += &format!("   = {reason}\n");
    }
    text + "   = the old code runs on; the next restart tries again\n"
}

/// A value that came through a restart as another one, or not at all.
#[must_use]
pub fn render_lost(paint: Paint, names: &[String], message: &str) -> String {
    let what = if names.is_empty() {
        "what was kept".to_owned()
    } else {
        list(names)
    };
    format!("{} {what}: {message}\n", paint.bold(Hue::Yellow, "lost"))
}

/// What became of a value that does not fit.
#[must_use]
pub fn dropped(why: &str) -> String {
    format!("{why}; it begins anew")
}

/// What became of a value that was saved too early.
#[must_use]
pub fn stale(why: &str) -> String {
    format!("{why}; it is as it was when the program was asked to end")
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// A program that runs and cannot be patched.
#[must_use]
pub fn render_not_ready(paint: Paint, error: &(dyn Error + 'static)) -> String {
    let head = paint.bold(Hue::Red, "failed");
    format!(
        "{head} to make this run ready for edits: {}\n   = the program runs on; its edits are refused until it restarts\n",
        chain(error)
    )
}

impl Report {
    /// A program runs and cannot be patched.
    pub fn not_ready(&self, error: &(dyn Error + 'static)) {
        self.say(Verbosity::Quiet, &render_not_ready(self.paint(), error));
    }

    /// The tool listens for the program.
    pub fn listening(&self, addresses: &[SocketAddr]) {
        for address in addresses {
            let text = format!("on {address} for the program, also while it restarts");
            self.say(
                Verbosity::Normal,
                &self.paint().verb(Hue::Green, "Listening", &text),
            );
        }
    }

    /// Keys are read from now on.
    pub fn keys(&self) {
        let text = "r restarts the program, q ends the session, ? lists all";
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Green, "Keys", text),
        );
    }

    /// A question is taken back: the program reads the keyboard now.
    pub fn no_question(&self) {
        let text = "\n   = the program reads the keyboard now: `cargo hotpatch restart` in another terminal\n";
        self.say(Verbosity::Quiet, text);
    }

    /// A question, or the answer to it as it would stand there.
    pub fn prompt(&self, text: &str) {
        self.say(Verbosity::Quiet, text);
    }

    /// The program is about to be built and, if all goes well, ended and started anew.
    pub fn restarting(&self, runs: bool) {
        let text = if runs {
            "the program, which runs on until the new one is ready"
        } else {
            "the program"
        };
        let text = self.paint().verb(Hue::Cyan, "Restarting", text);
        self.headline(Some(&text));
        self.say(Verbosity::Normal, &text);
    }

    /// A program that has ended is run once more.
    pub fn runs_again(&self) {
        let text = "once more: the build has other functions than those that ran";
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Cyan, "Running", text),
        );
    }

    /// The program has to be built for a restart.
    pub fn builds_because(&self, why: &str) {
        let text = format!("the program, as {why}");
        self.say(
            Verbosity::Phases,
            &self.paint().verb(Hue::Cyan, "Building", &text),
        );
    }

    /// The program was started anew.
    pub fn restarted(&self, pid: u32, kept: &[String]) {
        let kept = if kept.is_empty() {
            "nothing of its state is kept".to_owned()
        } else {
            format!("{} kept", list(kept))
        };
        let text = format!("with the new source, {kept} (pid {pid})");
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Green, "Restarted", &text),
        );
    }

    /// cargo said why there is no new program.
    pub fn restart_does_not_build(&self, runs: bool) {
        let text = if runs {
            "the new source does not build; the old code runs on"
        } else {
            "the new source does not build; the next save tries again"
        };
        let text = self.paint().verb(Hue::Red, "Broken", text);
        self.headline(Some(&text));
        self.say(Verbosity::Quiet, &text);
    }

    /// A restart would lose what is kept.
    pub fn not_restarted(&self, failed: &[(String, String)]) {
        let text = render_not_restarted(self.paint(), failed);
        self.headline(text.lines().next());
        self.say(Verbosity::Quiet, &text);
    }

    /// A kept value did not come through a restart as it was.
    pub fn lost(&self, names: &[String], message: &str) {
        self.say(Verbosity::Quiet, &render_lost(self.paint(), names, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { color: false };

    #[test]
    fn a_restart_that_waits_says_for_what() {
        let failed = [
            (
                "world".to_owned(),
                "a guard taken at src/main.rs:9:21 is still held".to_owned(),
            ),
            (String::new(), "the agent is gone".to_owned()),
        ];
        assert_eq!(
            render_not_restarted(PLAIN, &failed),
            "\
not restarted: not everything that the program keeps can be saved
   = `world`: a guard taken at src/main.rs:9:21 is still held
   = the agent is gone
   = the old code runs on; the next restart tries again
"
        );
    }

    #[test]
    fn what_is_lost_is_named() {
        let names = ["world".to_owned(), "hits".to_owned()];
        assert_eq!(
            render_lost(PLAIN, &names, &dropped("missing field `x`")),
            "lost `world`, `hits`: missing field `x`; it begins anew\n"
        );
        assert_eq!(
            render_lost(PLAIN, &names[..1], &stale("it is in use")),
            "lost `world`: it is in use; it is as it was when the program was asked to end\n"
        );
        assert_eq!(render_lost(PLAIN, &[], "why"), "lost what was kept: why\n");
    }
}
