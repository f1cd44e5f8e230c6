//! How agent and tool are met: the one finds this by a section of the program, the other listens beside the agent's socket.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::{Report, checkpoint, report};
use crate::ask;
use crate::watch::{Entry, VERSION, Watch};

/// How long the tool may take over an answer: a compile has to end first.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a checkpoint is waited for.
const LIMIT: Duration = Duration::from_secs(5);

static WATCH: Watch = Watch {
    version: VERSION,
    begin,
    patched,
    publish,
};

// In the program's own section, where the agent finds it: see watch.rs. It is there only if something of this is used.
#[unsafe(link_section = "hotpatch_watch")]
static ENTRY: Entry = Entry(&WATCH);

/// Where tool and program meet, if the program runs under the tool.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Sees that the linker takes in what the agent looks for.
pub(super) fn link() {
    std::hint::black_box(&ENTRY);
}

fn begin(folder: &Path) {
    let _ = FOLDER.set(folder.to_owned());
}

fn patched(generation: u32, functions: &[String], restarted: bool) {
    report(Report {
        generation,
        functions: functions.to_vec(),
        restarted,
    });
}

fn publish(patch: &mut dyn FnMut()) -> bool {
    checkpoint::publish(patch, LIMIT)
}

/// Asks the tool.
pub(super) fn ask(words: &[&str]) -> Result<Vec<Vec<String>>, String> {
    link();
    let folder = FOLDER
        .get()
        .ok_or("the program does not run under `cargo hotpatch`")?;
    let asked = || {
        let mut stream = UnixStream::connect(folder.join(ask::SOCKET))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        ask::write(&mut stream, &[words])?;
        ask::read(&mut stream)
    };
    asked().map_err(|error: std::io::Error| format!("the tool does not answer: {error}"))
}
