//! Whose the keyboard is right now: whether a process at our terminal waits for what is typed.
//!
//! Read from `/proc`: which system call each thread of our process group is in, and on which files. Whatever cannot be
//! known counts as waiting, so that a key is never taken from a program that may want it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{major, minor};

/// Whether a process at our terminal, beside ourselves, may be waiting for somebody to type.
#[must_use]
pub fn is_awaited() -> bool {
    let Some((terminal, others)) = others() else {
        return true;
    };
    let mut others = others.into_iter();
    others.any(|pid| reads(pid, terminal).unwrap_or_else(|_| exists(pid)))
}

/// Whether a process at our terminal, beside ourselves, may be writing to it right now, or be about to.
#[must_use]
pub fn is_busy() -> bool {
    let Some((_, others)) = others() else {
        return true;
    };
    let mut others = others.into_iter();
    others.any(|pid| works(pid).unwrap_or_else(|_| exists(pid)))
}

/// Our terminal, and the other processes of our group there.
fn others() -> Option<(i32, Vec<u32>)> {
    let own = std::process::id();
    let (group, terminal) = stat(own).ok()?;
    let processes = fs::read_dir("/proc").ok()?;
    let numbers = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let others = numbers
        .filter(|pid| *pid != own)
        .filter(|pid| stat(*pid).is_ok_and(|known| known == (group, terminal)));
    Some((terminal, others.collect()))
}

/// Whether a thread of a process runs, or waits until it has written something.
fn works(pid: u32) -> io::Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        match fs::read_to_string(thread?.path().join("syscall")) {
            Ok(call) => {
                let number = call.split_ascii_whitespace().next();
                // write, pwrite64, writev, sendfile, splice, pwritev, pwritev2, and whatever has no number.
                let number = number.and_then(|word| word.parse::<i64>().ok());
                if matches!(number, None | Some(-1 | 1 | 18 | 20 | 40 | 275 | 296 | 328)) {
                    return Ok(true);
                }
            }
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// A process's group and terminal, as `proc_pid_stat(5)` has them: `pid (name) state ppid pgrp session tty_nr`.
fn stat(pid: u32) -> io::Result<(i32, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold anything.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = rest.split_ascii_whitespace().skip(2);
    let mut number = || fields.next()?.parse().ok();
    match (number(), fields.nth(1).and_then(|tty| tty.parse().ok())) {
        (Some(group), Some(terminal)) => Ok((group, terminal)),
        _ => Err(io::Error::other("not the text of a process's state")),
    }
}

fn reads(pid: u32, terminal: i32) -> io::Result<bool> {
    let process = Path::new("/proc").join(pid.to_string());
    let mut typed = BTreeSet::new();
    for entry in fs::read_dir(process.join("fd"))? {
        let entry = entry?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let device = fs::metadata(entry.path()).map(|meta| meta.rdev());
        if let (Some(number), Ok(device)) = (number, device)
            && is_terminal(device, terminal)
        {
            typed.insert(number);
        }
    }
    if typed.is_empty() {
        return Ok(false);
    }
    for thread in fs::read_dir(process.join("task"))? {
        let call = fs::read_to_string(thread?.path().join("syscall"));
        match call {
            Ok(call) => {
                if Call::of(&call).awaits(&typed, &process) {
                    return Ok(true);
                }
            }
            // A thread that ended meanwhile reads nothing.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether a thread, or its process, has ended meanwhile.
fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ESRCH) || error.kind() == io::ErrorKind::NotFound
}

const ESRCH: i32 = 3;

/// `/dev/tty`, or the terminal itself.
fn is_terminal(device: u64, terminal: i32) -> bool {
    let (high, low) = (major(device), minor(device));
    // `tty_nr`: the major number in bits 15 to 8, the minor one in bits 31 to 20 and 7 to 0.
    let number = terminal.cast_unsigned();
    (high, low) == (5, 0)
        || (high, low) == (number >> 8 & 0xff, number >> 12 & 0xf_ff00 | number & 0xff)
}

/// What a thread does, from the line of `/proc/PID/task/TID/syscall`: `running`, or a number and its arguments.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    /// It waits for nothing of ours.
    Other,
    /// It reads from this file.
    Read(u64),
    /// It waits for so many files, listed there in its memory.
    Poll(u64, u64),
    /// It waits for files below this number.
    Select(u64),
    /// It waits for what this file watches.
    Epoll(u64),
    /// It may wait for anything.
    Unclear,
}

impl Call {
    /// Numbers of x86-64, from the kernel's `arch/x86/entry/syscalls/syscall_64.tbl`.
    fn of(line: &str) -> Self {
        let mut words = line.split_ascii_whitespace();
        let number = words.next().and_then(|word| word.parse::<i64>().ok());
        let mut argument = || {
            let word = words.next()?;
            u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
        };
        let known = match number {
            // `running`, and interrupted outside of a call.
            None | Some(-1) => return Self::Other,
            // read, pread64, readv, preadv, preadv2
            Some(0 | 17 | 19 | 295 | 327) => argument().map(Self::Read),
            // poll, ppoll
            Some(7 | 271) => argument()
                .zip(argument())
                .map(|(at, count)| Self::Poll(at, count)),
            // select, pselect6
            Some(23 | 270) => argument().map(Self::Select),
            // epoll_wait, epoll_pwait, epoll_pwait2
            Some(232 | 281 | 441) => argument().map(Self::Epoll),
            // restart_syscall, splice, io_uring_enter
            Some(219 | 275 | 426) => None,
            Some(_) => return Self::Other,
        };
        known.unwrap_or(Self::Unclear)
    }

    /// Whether it ends when something is typed, given which files are the terminal.
    fn awaits(&self, typed: &BTreeSet<u64>, process: &Path) -> bool {
        match self {
            Self::Other => false,
            Self::Read(file) => typed.contains(file),
            Self::Poll(at, count) => polled(process, *at, *count)
                .map_or(true, |files| files.iter().any(|file| typed.contains(file))),
            Self::Select(below) => typed.iter().any(|file| file < below),
            Self::Epoll(file) => watched(process, *file)
                .map_or(true, |files| files.iter().any(|file| typed.contains(file))),
            Self::Unclear => true,
        }
    }
}

/// The files of an array of `struct pollfd`: a file, what is asked of it, and what came.
fn polled(process: &Path, at: u64, count: u64) -> io::Result<Vec<u64>> {
    const SIZE: usize = 8;
    const MOST: u64 = 4096;
    if count > MOST {
        return Err(io::Error::other("too many files"));
    }
    let mut data = vec![0; usize::try_from(count).map_or(0, |count| count * SIZE)];
    File::open(process.join("mem"))?.read_exact_at(&mut data, at)?;
    let files = data
        .chunks_exact(SIZE)
        .filter_map(|entry| entry.first_chunk());
    // A negative one is to be passed over.
    Ok(files
        .filter_map(|file| u64::try_from(i32::from_le_bytes(*file)).ok())
        .collect())
}

/// What an epoll file watches: lines `tfd: 5 events: 19 ...` in `fdinfo`.
fn watched(process: &Path, file: u64) -> io::Result<Vec<u64>> {
    let text = fs::read_to_string(process.join(format!("fdinfo/{file}")))?;
    let files = text.lines().filter_map(|line| line.strip_prefix("tfd:"));
    Ok(files
        .filter_map(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_take_keys_are_told_from_others() {
        let cases = [
            ("running\n", Call::Other),
            ("-1 0x7ffe 0x7f92\n", Call::Other),
            (
                "0 0x3 0x7f920e3f5000 0x20000 0x0 0x0 0x0 0x7ffe 0x7f92\n",
                Call::Read(3),
            ),
            (
                "7 0x7ffe5f8a 0x2 0xffffffff 0x0 0x0 0x0 0x1 0x2",
                Call::Poll(0x7ffe_5f8a, 2),
            ),
            ("270 0x1 0x7ffe 0x0 0x0 0x0 0x0 0x1 0x2", Call::Select(1)),
            ("281 0x5 0x7ffe 0x400 0x0 0x0 0x8 0x1 0x2", Call::Epoll(5)),
            // futex, nanosleep
            ("202 0x7ffe 0x80 0x0 0x0 0x0 0x0 0x1 0x2", Call::Other),
            ("230 0x1 0x0 0x7ffe 0x7ffe 0x0 0x0 0x1 0x2", Call::Other),
            ("426 0x4 0x1 0x1 0x1 0x0 0x0 0x1 0x2", Call::Unclear),
            ("0", Call::Unclear),
        ];
        for (line, call) in cases {
            assert_eq!(Call::of(line), call, "{line}");
        }
    }

    #[test]
    fn only_files_that_are_the_terminal_count() {
        let typed = BTreeSet::from([0, 2]);
        let nowhere = Path::new("/nowhere");
        let awaits = |call: Call| call.awaits(&typed, nowhere);
        assert!(awaits(Call::Read(0)) && !awaits(Call::Read(3)));
        assert!(awaits(Call::Select(1)) && !awaits(Call::Select(0)));
        // What cannot be looked at may be anything.
        assert!(awaits(Call::Poll(1, 1)) && awaits(Call::Epoll(4)) && awaits(Call::Unclear));
        assert!(!awaits(Call::Other));
    }

    #[test]
    fn devices_are_known_by_their_numbers() {
        use rustix::fs::makedev;
        // `tty_nr` of /dev/pts/3, and of one with a large number.
        assert!(is_terminal(makedev(136, 3), 136 << 8 | 3));
        assert!(is_terminal(
            makedev(136, 0x1_2345),
            0x123 << 20 | 136 << 8 | 0x45
        ));
        assert!(is_terminal(makedev(5, 0), 136 << 8 | 3));
        assert!(!is_terminal(makedev(136, 4), 136 << 8 | 3));
        assert!(!is_terminal(0, 136 << 8 | 3));
    }

    #[test]
    fn lists_of_files_are_read_from_a_process() {
        use rustix::event::{PollFd, PollFlags, epoll};
        use std::os::fd::AsRawFd;
        let own = Path::new("/proc/self");
        let (reader, _writer) = io::pipe().unwrap();
        let number = u64::try_from(reader.as_raw_fd()).unwrap();
        let fds = [PollFd::new(&reader, PollFlags::IN)];
        let at = fds.as_ptr().addr() as u64;
        assert_eq!(polled(own, at, 1).unwrap(), [number]);
        assert!(polled(own, at, u64::MAX).is_err());

        let file = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let data = epoll::EventData::new_u64(0);
        epoll::add(&file, &reader, data, epoll::EventFlags::IN).unwrap();
        let epoll = u64::try_from(file.as_raw_fd()).unwrap();
        assert_eq!(watched(own, epoll).unwrap(), [number]);
    }
}
