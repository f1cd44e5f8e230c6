//! Which code is on the stacks of another process's threads, read from outside while it runs.
//!
//! A thread that waits in the kernel is not touched: the kernel tells where it stands, and its memory can be read. To
//! stop it for that would make some of the calls it waits in fail. Only a thread that runs is stopped, for as long as
//! its stack is read.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::memory::{Maps, Memory};
pub use super::unwind::Coverage;
use super::unwind::{self, Registers, Tables, Walker};

/// How often a thread is given the time to come to rest by itself, and how long.
const RETRIES: usize = 4;
const PAUSE: Duration = Duration::from_millis(1);
/// How long a thread may take to stop. One that the kernel holds up does not stop at all.
const STOP_LIMIT: Duration = Duration::from_millis(200);
/// How often new threads are looked for.
const ROUNDS: usize = 4;

/// One thread of a process and the code addresses on its stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub id: u32,
    /// Its name, which the kernel cuts off after 15 bytes.
    pub name: String,
    /// Absolute addresses, innermost first: where it is, then return addresses.
    ///
    /// A return address is behind its call, and behind the end of the function if the call does not return.
    pub frames: Vec<u64>,
    /// How well they are known.
    pub coverage: Coverage,
}

/// Reads stacks, and keeps what it learns about the files in the process.
#[derive(Debug, Default)]
pub struct Stacks {
    tables: HashMap<String, Arc<Tables>>,
}

impl Stacks {
    /// All threads of a process, each at some moment during the call.
    ///
    /// # Errors
    /// When the process is gone or may not be read.
    pub fn read(&mut self, pid: u32) -> io::Result<Vec<Thread>> {
        self.read_those(pid, |_| true)
    }

    /// One of them; nothing if it has ended.
    ///
    /// # Errors
    /// As [`Stacks::read`].
    pub fn read_one(&mut self, pid: u32, id: u32) -> io::Result<Option<Thread>> {
        Ok(self.read_those(pid, |tid| tid == id)?.pop())
    }

    fn read_those(&mut self, pid: u32, is_meant: impl Fn(u32) -> bool) -> io::Result<Vec<Thread>> {
        let file = File::open(format!("/proc/{pid}/mem"))?;
        let mut seen = HashSet::new();
        let mut threads = Vec::new();
        for _ in 0..ROUNDS {
            let mut new = tids(pid)?;
            new.retain(|tid| is_meant(*tid) && seen.insert(*tid));
            if new.is_empty() {
                break;
            }
            // A thread that has just started may have brought its stack and code with it.
            let maps = Maps::read(pid)?;
            let memory = Memory::new(&file);
            let images = unwind::images(&memory, &maps, |file| self.tables.get(file));
            for image in &images {
                self.tables
                    .insert(image.file.clone(), Arc::clone(&image.tables));
            }
            let process = Process {
                pid,
                file: &file,
                maps,
                images,
            };
            for tid in new {
                threads.extend(process.thread(tid)?);
            }
        }
        if threads.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the process has ended",
            ));
        }
        Ok(threads)
    }
}

fn tids(pid: u32) -> io::Result<Vec<u32>> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task"))?;
    let tid = |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(tid).collect())
}

struct Process<'a> {
    pid: u32,
    file: &'a File,
    maps: Maps,
    images: Vec<unwind::Image>,
}

/// Whether a thread runs.
enum State {
    Running,
    /// It waits: its stack pointer, its place in the code, and a number that is another one when it waits again.
    Waiting {
        stack: u64,
        code: u64,
        turn: u64,
    },
}

impl Process<'_> {
    /// One thread, unless it has ended.
    fn thread(&self, tid: u32) -> io::Result<Option<Thread>> {
        let Some(name) = self.about(tid, "comm")? else {
            return Ok(None);
        };
        let name = name.trim_end().to_owned();
        let thread = |frames, coverage| Thread {
            id: tid,
            name,
            frames,
            coverage,
        };
        for _ in 0..RETRIES {
            match self.state(tid)? {
                None => return Ok(None),
                Some(State::Running) => thread::sleep(PAUSE),
                Some(State::Waiting { stack, code, turn }) => {
                    let (frames, coverage) = self.walk(unwind::registers(stack, code));
                    // If it has run meanwhile, this may be of two moments.
                    if let Some(State::Waiting { turn: after, .. }) = self.state(tid)?
                        && after == turn
                    {
                        return Ok(Some(thread(frames, coverage)));
                    }
                }
            }
        }
        let stopped = self.stopped(tid, |registers| self.walk(registers));
        let (frames, coverage) = stopped.unwrap_or((Vec::new(), Coverage::Partial));
        // It may have ended while it was being stopped.
        Ok(self.state(tid)?.map(|_| thread(frames, coverage)))
    }

    fn walk(&self, registers: Registers) -> (Vec<u64>, Coverage) {
        // What was read of another thread's stack, or before it ran, does not count.
        let memory = Memory::new(self.file);
        let walker = Walker {
            memory: &memory,
            maps: &self.maps,
            images: &self.images,
        };
        walker.walk(registers)
    }

    /// A file about a thread; `None` if the thread has ended.
    fn about(&self, tid: u32, what: &str) -> io::Result<Option<String>> {
        match std::fs::read(format!("/proc/{}/task/{tid}/{what}", self.pid)) {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn state(&self, tid: u32) -> io::Result<Option<State>> {
        let Some(before) = self.switches(tid)? else {
            return Ok(None);
        };
        let Some(call) = self.about(tid, "syscall")? else {
            return Ok(None);
        };
        let Some(after) = self.switches(tid)? else {
            return Ok(None);
        };
        let words: Vec<&str> = call.split_whitespace().collect();
        let number = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
        // `NUMBER ARGUMENTS STACK CODE`, or `-1 STACK CODE` outside of system calls, or `running`.
        let [_, .., stack, code] = words[..] else {
            return Ok(Some(State::Running));
        };
        Ok(Some(match (number(stack), number(code)) {
            (Some(stack), Some(code)) if before == after => State::Waiting {
                stack,
                code,
                turn: before,
            },
            _ => State::Running,
        }))
    }

    /// How often a thread has given up the processor, which it does each time it comes to rest; `None` if it has
    /// ended.
    fn switches(&self, tid: u32) -> io::Result<Option<u64>> {
        let Some(status) = self.about(tid, "status")? else {
            return Ok(None);
        };
        let field = |name: &str| {
            let mut lines = status.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
        };
        if field("State").is_some_and(|state| state.starts_with(['Z', 'X'])) {
            return Ok(None);
        }
        let count = field("voluntary_ctxt_switches").and_then(|count| count.parse().ok());
        let unknown = || io::Error::other("the kernel does not count a thread's switches");
        count.map(Some).ok_or_else(unknown)
    }

    /// Stops a thread for as long as `look` looks at it; `None` if it cannot be stopped.
    fn stopped<T: Send>(&self, tid: u32, look: impl FnOnce(Registers) -> T + Send) -> Option<T> {
        let tid = Pid::from_raw(i32::try_from(tid).ok()?);
        // The tracer is a thread and no process. When that thread ends, the kernel lets go of what it traces, in
        // whatever state that is.
        thread::scope(|scope| {
            let tracer = thread::Builder::new().name("tracer".to_owned());
            let tracer = tracer.spawn_scoped(scope, move || {
                ptrace::seize(tid, ptrace::Options::empty()).ok()?;
                ptrace::interrupt(tid).ok()?;
                let signal = stop(tid)?;
                let found = ptrace::getregs(tid)
                    .ok()
                    .map(|found| look(all_registers(&found)));
                let _ = ptrace::detach(tid, signal);
                found
            });
            tracer
                .ok()?
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// Waits until a traced thread has stopped. Gives the signal that it was about to get then.
///
/// Nothing is taken from the queue of what is to be waited for: an exit belongs to whoever started the program, and a
/// signal that cannot be handed on here, one of the real-time ones, goes on its way when the tracer ends.
fn stop(tid: Pid) -> Option<Option<Signal>> {
    let flags =
        WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
    let limit = Instant::now() + STOP_LIMIT;
    while Instant::now() < limit {
        match waitid(Id::Pid(tid), flags) {
            Ok(WaitStatus::PtraceEvent(_, signal, 0)) => return Some(Some(signal)),
            Ok(WaitStatus::PtraceEvent(..) | WaitStatus::PtraceSyscall(_)) => return Some(None),
            Ok(WaitStatus::Stopped(_, signal)) => return Some(Some(signal)),
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_micros(50)),
            Ok(_) => return None,
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
    None
}

/// The registers of a stopped thread by their DWARF numbers.
fn all_registers(found: &nix::libc::user_regs_struct) -> Registers {
    [
        found.rax, found.rdx, found.rcx, found.rbx, found.rsi, found.rdi, found.rbp, found.rsp,
        found.r8, found.r9, found.r10, found.r11, found.r12, found.r13, found.r14, found.r15,
        found.rip,
    ]
    .map(Some)
}

fn is_gone(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

#[cfg(test)]
mod tests {
    use super::{Coverage, Stacks, Thread};
    use crate::image::samples::Samples;
    use crate::image::symbols::BaseImage;
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    /// Threads of every kind; each has called something that has returned.
    const PROGRAM: &str = r#"
        use std::hint::black_box;
        use std::io::Read;
        use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
        static SPUN: AtomicU64 = AtomicU64::new(0);
        #[inline(never)] #[unsafe(no_mangle)] fn has_returned(n: u64) -> u64 {
            let mut room = [n; 64];
            black_box(&mut room);
            std::thread::sleep(std::time::Duration::from_millis(1));
            room[(n % 64) as usize]
        }
        #[inline(never)] #[unsafe(no_mangle)] fn outer(n: u64) -> u64 { has_returned(n) + middle(n + 1) }
        #[inline(never)] #[unsafe(no_mangle)] fn middle(n: u64) -> u64 {
            let room = [n; 3000];
            has_returned(n) + black_box(&room)[1] + inner(n)
        }
        #[inline(never)] #[unsafe(no_mangle)] fn inner(n: u64) -> u64 {
            has_returned(n);
            loop { std::thread::sleep(std::time::Duration::from_secs(1000)); black_box(n); }
        }
        #[inline(never)] #[unsafe(no_mangle)] fn reads(n: u64) -> u64 {
            has_returned(n);
            println!("reads");
            std::io::stdin().read(&mut [0]).unwrap() as u64 + black_box(n)
        }
        #[inline(never)] #[unsafe(no_mangle)] fn calls_dyn(f: &dyn Fn() -> u64) -> u64 { f() + black_box(1) }
        #[inline(never)] #[unsafe(no_mangle)] fn spins(n: u64) -> u64 {
            has_returned(n);
            println!("spins");
            loop { SPUN.fetch_add(black_box(n), SeqCst); }
        }
        #[inline(never)] #[unsafe(no_mangle)] fn waits(receiver: &std::sync::mpsc::Receiver<u8>) -> u64 {
            has_returned(4);
            println!("waits");
            receiver.recv().unwrap() as u64 + black_box(1)
        }
        fn start(name: &str, f: impl FnOnce() -> u64 + Send + 'static) {
            std::thread::Builder::new().name(name.into()).spawn(f).unwrap();
        }
        fn main() {
            let (sender, receiver) = std::sync::mpsc::channel::<u8>();
            start("reader", || calls_dyn(&|| reads(2)));
            start("spinner", || calls_dyn(&|| spins(3)));
            start("waiter", move || waits(&receiver));
            start("main2", || outer(5));
            println!("{}", black_box(outer(1)));
            drop(sender);
        }
    "#;

    /// A program that is ended with the test.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Starts a program with a pipe as its input and waits until it has printed so many lines.
    fn start(program: &Path, lines: usize) -> Running {
        let mut command = Command::new(program);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut running = Running(child.unwrap());
        let mut output = BufReader::new(running.0.stdout.take().unwrap());
        for _ in 0..lines {
            assert!(output.read_line(&mut String::new()).unwrap() > 0);
        }
        // Kept open: the program may print more.
        running.0.stdout = Some(output.into_inner());
        running
    }

    /// The program's own functions on each stack, innermost first.
    fn named(program: &Path, pid: u32, threads: &[Thread]) -> Vec<(String, Vec<String>)> {
        let image = BaseImage::parse(&std::fs::read(program).unwrap()).unwrap();
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        // A program is mapped before its libraries.
        let first = maps.lines().next().unwrap();
        let bias = u64::from_str_radix(first.split_once('-').unwrap().0, 16).unwrap();
        let functions = [
            "outer",
            "middle",
            "inner",
            "reads",
            "spins",
            "waits",
            "calls_dyn",
            "has_returned",
            "main",
        ];
        let name = |(index, code): (usize, &u64)| {
            let code = code.wrapping_sub(bias) - u64::from(index > 0);
            let found = functions.iter().find(|name| {
                image.symbols.get(name).is_some_and(|symbol| {
                    (symbol.address..symbol.address + symbol.size).contains(&code)
                })
            });
            found.map(|name| (*name).to_owned())
        };
        let mut all: Vec<_> = threads
            .iter()
            .map(|thread| {
                let frames = thread.frames.iter().enumerate().filter_map(name);
                (thread.name.clone(), frames.collect())
            })
            .collect();
        all.sort();
        all
    }

    /// Reads until no thread is on its way any more to where it stays.
    fn settled(
        stacks: &mut Stacks,
        program: &Path,
        pid: u32,
        expected: &[(&str, &[&str])],
    ) -> Vec<Thread> {
        let mut expected: Vec<(String, Vec<String>)> = expected
            .iter()
            .map(|(name, frames)| {
                (
                    (*name).to_owned(),
                    frames.iter().map(|f| (*f).to_owned()).collect(),
                )
            })
            .collect();
        expected.sort();
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let threads = stacks.read(pid).unwrap();
            let found = named(program, pid, &threads);
            if found == expected {
                return threads;
            }
            assert!(
                std::time::Instant::now() < limit,
                "{found:#?}\n{threads:#x?}"
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn are_exact(threads: &[Thread]) -> bool {
        let mut coverages = threads.iter().map(|thread| thread.coverage);
        coverages.all(|coverage| coverage == Coverage::Exact)
    }

    const EXPECTED: &[(&str, &[&str])] = &[
        ("main2", &["inner", "middle", "outer"]),
        ("app", &["inner", "middle", "outer", "main"]),
        ("reader", &["reads", "calls_dyn"]),
        ("spinner", &["spins", "calls_dyn"]),
        ("waiter", &["waits"]),
    ];

    fn every_thread(arguments: &[&str]) {
        let samples = Samples::new();
        let program = samples.rustc(PROGRAM, "app", arguments);
        let mut running = start(&program, 3);
        let pid = running.0.id();
        let mut stacks = Stacks::default();
        // The tables are those of what runs, not of the file that the next build puts in its place.
        let kept = samples.path("kept");
        std::fs::copy(&program, &kept).unwrap();
        std::fs::remove_file(&program).unwrap();
        std::fs::write(&program, "other").unwrap();
        let threads = settled(&mut stacks, &kept, pid, EXPECTED);
        for thread in &threads {
            assert_eq!(
                thread.coverage,
                Coverage::Exact,
                "{arguments:?} {thread:#x?}"
            );
        }
        // The program was not changed by that: it goes on, and ends when it is told to.
        for _ in 0..20 {
            let again = stacks.read(pid).unwrap();
            assert!(are_exact(&again), "{again:#x?}");
            assert_eq!(named(&kept, pid, &again), named(&kept, pid, &threads));
        }
        assert!(running.0.try_wait().unwrap().is_none());
        running.0.kill().unwrap();
        assert!(running.0.wait().unwrap().code().is_none());
        assert!(stacks.read(pid).is_err());
    }

    /// Threads in handlers of signals, far behind code without tables, and in calls that must not be disturbed.
    const ODD: &str = r#"
        use std::hint::black_box;
        unsafe extern "C" {
            fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
            fn raise(number: i32) -> i32;
            fn epoll_create1(flags: i32) -> i32;
            fn epoll_wait(epoll: i32, events: *mut u64, room: i32, timeout: i32) -> i32;
            fn without_tables(f: extern "C" fn()) -> u64;
        }
        std::arch::global_asm!("without_tables:", "sub rsp, 0x600000", "call rdi", "ud2");
        #[inline(never)] #[unsafe(no_mangle)] fn inner(n: u64) -> u64 {
            println!("inner");
            loop { std::thread::sleep(std::time::Duration::from_secs(1000)); black_box(n); }
        }
        extern "C" fn handler(_: i32) { black_box(inner(1)); }
        extern "C" fn forever() { black_box(inner(2)); }
        #[inline(never)] #[unsafe(no_mangle)] fn middle(n: u64) -> u64 {
            unsafe { raise(10) as u64 + black_box(n) }
        }
        #[inline(never)] #[unsafe(no_mangle)] fn outer(n: u64) -> u64 {
            unsafe { without_tables(forever) + black_box(n) }
        }
        #[inline(never)] #[unsafe(no_mangle)] fn waits(n: u64) -> u64 {
            let epoll = unsafe { epoll_create1(0) };
            println!("waits");
            let ready = unsafe { epoll_wait(epoll, [0_u64; 2].as_mut_ptr(), 1, -1) };
            println!("disturbed {ready}");
            std::process::abort()
        }
        fn main() {
            unsafe { signal(10, handler) };
            for (name, f) in [("handler", middle as fn(u64) -> u64), ("untabled", outer), ("epoll", waits)] {
                let thread = std::thread::Builder::new().name(name.into()).stack_size(8 << 20);
                thread.spawn(move || f(1)).unwrap();
            }
            loop { std::thread::park(); }
        }
    "#;

    /// The system calls that a process's threads are in.
    fn calls_of(pid: u32) -> impl Iterator<Item = String> {
        let tids = super::tids(pid).unwrap();
        tids.into_iter().map(move |tid| {
            std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).unwrap()
        })
    }

    #[test]
    fn handlers_code_without_tables_and_calls_that_must_not_be_disturbed() {
        for level in ["-Copt-level=0", "-Copt-level=3"] {
            let samples = Samples::new();
            let program = samples.rustc(ODD, "app", &[level]);
            let mut running = start(&program, 3);
            let expected: &[(&str, &[&str])] = &[
                ("app", &["main"]),
                ("handler", &["inner", "middle"]),
                ("untabled", &["inner", "outer"]),
                ("epoll", &["waits"]),
            ];
            // On its way into the call it could still be disturbed.
            while !calls_of(running.0.id()).any(|call| call.starts_with("232 ")) {
                std::thread::yield_now();
            }
            let mut stacks = Stacks::default();
            for _ in 0..20 {
                let threads = settled(&mut stacks, &program, running.0.id(), expected);
                for thread in threads {
                    let expected = match thread.name.as_str() {
                        "untabled" => Coverage::Searched,
                        _ => Coverage::Exact,
                    };
                    assert_eq!(thread.coverage, expected, "{thread:#x?}");
                }
            }
            assert!(running.0.try_wait().unwrap().is_none());
        }
    }

    #[test]
    fn threads_that_come_to_rest_and_go_on_all_the_time() {
        const BUSY: &str = r#"
            use std::hint::black_box;
            use std::sync::mpsc::{Receiver, Sender, channel};
            #[inline(never)] #[unsafe(no_mangle)] fn inner(n: u64, from: &Receiver<u64>) -> u64 {
                let mut room = [n; 100];
                black_box(&mut room);
                from.recv().unwrap() + room[7]
            }
            #[inline(never)] #[unsafe(no_mangle)] fn middle(n: u64, from: &Receiver<u64>) -> u64 { black_box(inner(n, from)) + 1 }
            #[inline(never)] #[unsafe(no_mangle)] fn waits(n: u64, from: &Receiver<u64>) -> u64 { black_box(middle(n, from)) + 1 }
            #[inline(never)] #[unsafe(no_mangle)] fn outer(to: Sender<u64>, from: Receiver<u64>) -> u64 {
                for turn in 0.. {
                    to.send(turn).unwrap();
                    if turn % 2 == 0 { middle(turn, &from); } else { waits(turn, &from); }
                }
                0
            }
            fn main() {
                let ((there, here), (back, home)) = (channel(), channel());
                std::thread::spawn(move || outer(there, home));
                println!("ready");
                black_box(outer(back, here));
            }
        "#;
        let samples = Samples::new();
        let program = samples.rustc(BUSY, "app", &["-Copt-level=1"]);
        let running = start(&program, 1);
        let mut stacks = Stacks::default();
        settled_count(&mut stacks, running.0.id(), 2);
        let image = BaseImage::parse(&std::fs::read(&program).unwrap()).unwrap();
        assert!(image.symbols.get("outer").is_some());
        for _ in 0..200 {
            let threads = stacks.read(running.0.id()).unwrap();
            assert!(are_exact(&threads), "{threads:#x?}");
            for (_, frames) in named(&program, running.0.id(), &threads) {
                let frames: Vec<&str> = frames
                    .iter()
                    .map(String::as_str)
                    .filter(|name| *name != "main")
                    .collect();
                assert!(
                    matches!(
                        frames[..],
                        ["outer"]
                            | ["middle", "outer"]
                            | ["waits", "outer"]
                            | ["inner", "middle", "outer"]
                            | ["middle", "waits", "outer"]
                            | ["inner", "middle", "waits", "outer"]
                    ),
                    "{frames:?}"
                );
            }
        }
    }

    /// Reads until there are so many threads, each of them in the program's loop.
    fn settled_count(stacks: &mut Stacks, pid: u32, count: usize) {
        let program = std::path::PathBuf::from(format!("/proc/{pid}/exe"));
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let found = named(&program, pid, &stacks.read(pid).unwrap());
            let ready =
                |(_, frames): &(String, Vec<String>)| frames.iter().any(|name| name == "outer");
            if found.len() == count && found.iter().all(ready) {
                return;
            }
            assert!(std::time::Instant::now() < limit, "{found:#?}");
        }
    }

    #[test]
    fn a_child_that_is_stopped_for_a_look_has_not_ended() {
        let samples = Samples::new();
        let source = "fn main() { println!(\"spins\"); loop { std::hint::black_box(1); } }";
        let path = samples.rustc(source, "app", &[]);
        let program = super::super::child::Program {
            path,
            ..Default::default()
        };
        let child = super::super::child::Child::start(&program, |_| ()).unwrap();
        let mut stacks = Stacks::default();
        for _ in 0..100 {
            // Before its loader has run there is no stack to speak of.
            let _ = stacks.read(child.pid()).unwrap();
            assert!(child.is_running());
        }
        child.signal(rustix::process::Signal::KILL);
        assert_eq!(child.wait(), super::super::child::ExitHow::Signal(9));
        assert!(stacks.read(child.pid()).is_err());
    }

    #[test]
    fn every_thread_of_an_unoptimised_program() {
        every_thread(&["-Copt-level=0"]);
    }

    #[test]
    fn every_thread_of_an_optimised_program() {
        every_thread(&["-Copt-level=3"]);
    }

    #[test]
    fn every_thread_of_a_program_with_frame_pointers() {
        every_thread(&["-Copt-level=3", "-Cforce-frame-pointers=yes"]);
        every_thread(&["-Copt-level=0", "-Cforce-frame-pointers=yes"]);
    }
}
