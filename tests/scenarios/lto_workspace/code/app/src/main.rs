//! The program: what a build with LTO would make one piece with its library.

use hotpatch_rt::hot;
use lto_workspace_engine::{Engine, commas, set_steps, steps, twice};

#[hot]
#[inline(never)]
fn tick(engine: &mut Engine) -> String {
    engine.advance(1);
    format!("at {} after {}", engine.position, steps())
}

#[hot]
#[inline(never)]
fn count(text: &str) -> String {
    let (one, two) = twice(&commas(text));
    format!("{one} {two}")
}

fn main() {
    let mut engine = Engine { position: 0 };
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command {
            "tick" => tick(&mut engine),
            "jump" => engine.jump().to_string(),
            "count" => count(rest),
            "dump" => format!("{} {}", engine.position, steps()),
            "load" => {
                let (position, steps) = rest.split_once(' ').expect("two numbers");
                engine.position = position.parse().expect("a number");
                set_steps(steps.parse().expect("a number"));
                "ok".to_string()
            }
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
