//! The program: a hot function of its own and one in a library.

use hotpatch_rt::hot;
use workspace_lib_engine::Engine;

#[hot]
fn tick(engine: &mut Engine) -> String {
    engine.advance(1);
    format!("at {}", engine.position())
}

fn main() {
    let mut engine = Engine::new();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command {
            "tick" => tick(&mut engine),
            "jump" => engine.jump().to_string(),
            "dump" => engine.position().to_string(),
            "load" => {
                engine = Engine::at(rest.parse().expect("a number"));
                "ok".to_string()
            }
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
