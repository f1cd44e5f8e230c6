use generic_library::{Kept, down, shown};

#[derive(Debug, Clone)]
struct Own;

fn answer(text: &str) -> String {
    match text {
        "shown" => format!("{} {}", shown(1u8), shown("a")),
        "down" => down(1.5f32, 2),
        "kept" => Kept(vec!['a', 'b']).all(),
        _ => Kept(vec![Own]).all(),
    }
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.unwrap()));
    }
}
