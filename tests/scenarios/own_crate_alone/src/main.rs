use own_crate_alone as own;

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let reply = match line.as_str() {
            "spots" => format!("{:?}", own::spots(3)),
            "options" => format!("{:?}", own::options()),
            "shapes" => format!("{:?} {}", own::shapes(), own::shapes().iter().map(own::length).sum::<u32>()),
            "grouped" => own::grouped("grouped"),
            text => own::called(text),
        };
        println!("{reply}");
    }
}
