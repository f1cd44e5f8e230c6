//! A line server that looks at itself, and says when it may be patched.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hotpatch_rt::{checkpoint, functions_in, generation, on_patch, set, variables_in};

static LIMIT: AtomicU32 = AtomicU32::new(3);
static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// What is made anew when code has changed.
static ROUTES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
static HAS_CHECKPOINTS: AtomicBool = AtomicBool::new(false);

fn routes() -> Vec<&'static str> {
    vec!["base"]
}

fn first() -> u32 {
    1
}

fn second() -> u32 {
    1
}

fn answer(line: &str) -> String {
    match line {
        "generation" => generation().to_string(),
        "functions" => functions_in("::routes")
            .iter()
            .map(|of| format!("{} {} {:?}", of.path, of.patches, of.signature))
            .collect(),
        "variables" => variables_in("LIMIT")
            .iter()
            .map(|of| format!("{} {:?}", of.path, of.value))
            .collect(),
        "limit" => LIMIT.load(Ordering::Relaxed).to_string(),
        "reports" => REPORTS.lock().unwrap().join(","),
        "routes" => ROUTES.lock().unwrap().join(","),
        "both" => format!("{} {}", first(), second()),
        // From now on there are checkpoints, and only here.
        "checkpoint" => {
            HAS_CHECKPOINTS.store(true, Ordering::Relaxed);
            checkpoint();
            "done".to_owned()
        }
        other => match other.split_once(' ') {
            Some(("set", value)) => match set("LIMIT", value) {
                Ok(()) => "set".to_owned(),
                Err(why) => why.to_string(),
            },
            _ => "what?".to_owned(),
        },
    }
}

fn main() {
    *ROUTES.lock().unwrap() = routes();
    let _hook = on_patch(|report| {
        *ROUTES.lock().unwrap() = routes();
        let names = report
            .functions
            .iter()
            .map(|path| path.rsplit("::").next().unwrap_or(""));
        let names: Vec<&str> = names.collect();
        let restarted = if report.restarted { "again " } else { "" };
        let text = format!("{restarted}{}:{}", report.generation, names.join("+"));
        REPORTS.lock().unwrap().push(text);
    });
    let _panics = on_patch(|_| panic!("a hook that panics harms nothing"));
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
