//! The options of the commands that look into a program: `list`, `get`, `set`.

use clap::Args;

use super::{SessionArgs, StatusArgs};

/// The options of `cargo hotpatch list`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = LIST_EXIT)]
pub struct ListArgs {
    /// Only functions whose paths contain this, whatever code they run
    pub filter: Option<String>,

    /// All functions; without it and without a filter, those that run newer code
    #[arg(long)]
    pub all: bool,

    /// Where the session is, and how to answer.
    #[command(flatten)]
    pub status: StatusArgs,
}

const LIST_EXIT: &str = "\
Examples:
  cargo hotpatch list                the functions that run newer code, with their generation
  cargo hotpatch list game::         all of a module, with place and signature

Exit status: 0, or 6 if there is no such session.";

/// The options of `cargo hotpatch get`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = GET_EXIT)]
pub struct GetArgs {
    /// Only variables whose paths contain this
    pub name: Option<String>,

    /// Where the session is, and how to answer.
    #[command(flatten)]
    pub status: StatusArgs,
}

const GET_EXIT: &str = "\
Values are read from the running program by its debug information, those of locks of plain types through the lock. What
cannot be told is `_`.

Examples:
  cargo hotpatch get                 all statics of the workspace with their values
  cargo hotpatch get LIMIT --json    those whose paths contain LIMIT: name, type, place, value, why it cannot be set

Exit status: 0, 3 if there is no such variable, 6 if there is no such session.";

/// The options of `cargo hotpatch set`.
#[derive(Debug, Clone, Args)]
#[command(after_help = SET_EXIT)]
pub struct SetArgs {
    /// The variable: its path, or an end of it that only one has
    pub name: String,

    /// The value, as Rust writes it
    #[arg(allow_hyphen_values = true)]
    pub value: String,

    /// Which session.
    #[command(flatten)]
    pub session: SessionArgs,
}

const SET_EXIT: &str = "\
What can be set: atomics; `Mutex`, `RwLock` and an empty `OnceLock` of a number, a `bool`, a `char`, a `&'static str` or a
`String`, through their own lock; and a `static mut` of a number, a `bool` or a `char`.

Examples:
  cargo hotpatch set game::LIMIT 12
  cargo hotpatch set GREETING 'good day'

Exit status: 0, 3 if it was not set, 6 if there is no such session.";
