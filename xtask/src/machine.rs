//! What the figures were measured on.

use std::fs;

use crate::command;

/// One sentence: processor, cores, memory, kernel and compiler.
pub fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = field(&cpu, "model name").unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kilobytes =
        field(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
    let gigabytes = kilobytes.unwrap_or(0.0) / 1024.0 / 1024.0;
    format!(
        "{model}, {cores} cores, {gigabytes:.0} GiB of memory, Linux {}, {}",
        version(&kernel),
        command::rustc_version()
    )
}

/// The kernel's version without what its builder added to it.
fn version(release: &str) -> &str {
    release.trim().split(['-', '+']).next().unwrap_or_default()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}
