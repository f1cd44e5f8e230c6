/// What a thread keeps.
pub struct World {
@FIELDS@    pub ptrs: Vec<(u64, fn(u64) -> u64)>,
    pub closures: Vec<Box<dyn FnMut(u64) -> u64>>,
    pub futures: Vec<std::pin::Pin<Box<dyn std::future::Future<Output = u64>>>>,
}

impl World {
    fn new() -> World {
        World {
            anys: Vec::new(),
@NEW@            ptrs: Vec::new(),
            closures: Vec::new(),
            futures: Vec::new(),
        }
    }
}

#[hot]
fn dump(w: &World, o: &mut String) {
    o.push_str("anys=");
    sup::put(o, w.anys.len() as u64);
    for v in &w.anys {
@ANY_PUT@    }
    o.push(';');
    o.push_str("ptrs=");
    sup::put(o, w.ptrs.len() as u64);
    w.ptrs.iter().for_each(|v| sup::put(o, v.0));
    o.push(';');
@DUMP@    o.push_str("drops=");
    sup::put(o, sup::DROPS.load(std::sync::atomic::Ordering::Relaxed));
}

fn cold_dump(w: &World, o: &mut String) {
@COLD@}

#[hot]
fn load(w: &mut World, text: &str) {
    for entry in text.split(';') {
        let (name, tokens) = entry.split_once('=').expect("an entry");
        let i = &mut tokens.split_ascii_whitespace();
        match name {
            "anys" => w.anys = (0..sup::next(i)).map(|_| -> Box<dyn std::any::Any> { match sup::next(i) {
@ANY_GET@                _ => panic!("no such type"),
            } }).collect(),
            "ptrs" => w.ptrs = (0..sup::next(i)).map(|_| { let id = sup::next(i); (id, match id {
@POINTERS@                _ => panic!("no such function"),
            }) }).collect(),
            "drops" => sup::DROPS.store(sup::next(i), std::sync::atomic::Ordering::Relaxed),
@LOAD@            _ => {}
        }
    }
}

#[hot]
fn make(w: &mut World, name: &str, s: u64) -> u64 {
    match name {
@MAKERS@        _ => panic!("no such maker"),
    }
}

fn guarded(f: impl FnOnce() -> u64) -> String {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)) {
        Ok(value) => format!("{value:x}"),
        Err(cause) => match (cause.downcast_ref::<String>(), cause.downcast_ref::<&str>()) {
            (Some(text), _) => format!("panic: {text}"),
            (None, Some(text)) => format!("panic: {text}"),
            _ => "panic".to_string(),
        },
    }
}

fn handle(w: &mut World, line: &str) -> String {
    let mut out = String::new();
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let i = &mut rest.split_ascii_whitespace();
    let mut word = || i.next().unwrap_or("0");
    match name {
        "dump" => {
            dump(w, &mut out);
            return out;
        }
        "cold" => {
            cold_dump(w, &mut out);
            return out;
        }
        "load" => return guarded(|| { load(w, rest); 0 }),
        "make" => {
            let (name, s) = (word(), word().parse().expect("a seed"));
            return guarded(|| make(w, name, s));
        }
        "forget" => {
            w.closures.clear();
            w.futures.clear();
            return "ok".to_string();
        }
        _ => {}
    }
    let mut number = || word().parse::<u64>().expect("a number");
    let (a, b) = (number(), number());
    match name {
        "call" => guarded(|| (w.closures[a as usize])(b)),
        "poll" => guarded(|| {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            match w.futures[a as usize].as_mut().poll(&mut cx) {
                std::task::Poll::Ready(value) => value,
                std::task::Poll::Pending => 0,
            }
        }),
@COMMANDS@        _ => "unknown".to_string(),
    }
}

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let (to_worker, lines) = std::sync::mpsc::channel::<String>();
    let (reply, replies) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut w = World::new();
        for line in lines {
            let _ = reply.send(handle(&mut w, &line));
        }
    });
    let mut w = World::new();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let out = match line.strip_prefix('@') {
            Some(line) => {
                to_worker.send(line.to_string()).expect("the worker");
                replies.recv().expect("the worker")
            }
            None => handle(&mut w, &line),
        };
        println!("{out}");
    }
}
