//! Colours, and the shape of a line as cargo writes it.

#[derive(Debug, Clone, Copy)]
pub(super) enum Hue {
    Green,
    Cyan,
    Yellow,
    Red,
}

impl Hue {
    fn number(self) -> u8 {
        match self {
            Self::Green => 32,
            Self::Cyan => 36,
            Self::Yellow => 33,
            Self::Red => 31,
        }
    }
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Paint {
    /// Whether to write escape sequences.
    pub color: bool,
}

impl Paint {
    pub(super) fn bold(self, hue: Hue, text: &str) -> String {
        self.escape(&format!("1;{}", hue.number()), text)
    }

    pub(super) fn colored(self, hue: Hue, text: &str) -> String {
        self.escape(&hue.number().to_string(), text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.escape("2", text)
    }

    fn escape(self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// A line as cargo writes them: the verb right-aligned in twelve columns.
    pub(super) fn verb(self, hue: Hue, verb: &str, rest: &str) -> String {
        format!("{} {rest}\n", self.bold(hue, &format!("{verb:>12}")))
    }
}
