//! Hot methods: inherent ones, those of trait impls, without `self`, with lifetimes.

use std::fmt;

use hotpatch_rt::hot;

struct World<'n> {
    name: &'n str,
    cells: Vec<u32>,
}

impl<'n> World<'n> {
    #[hot]
    fn new(name: &'n str) -> Self {
        World { name, cells: Self::seed(3) }
    }

    fn seed(count: u32) -> Vec<u32> {
        (0..count).collect()
    }

    #[hot]
    fn grow(&mut self) -> usize {
        self.cells.push(1);
        self.cells.len()
    }

    #[hot]
    fn longest<'a>(&'a self, other: &'a str) -> &'a str {
        if other.len() > self.name.len() { other } else { self.name }
    }

    fn sum(&self) -> u32 {
        self.cells.iter().sum()
    }
}

trait Report {
    fn report(&self) -> String;

    fn kind() -> &'static str
    where
        Self: Sized;
}

impl Report for World<'_> {
    #[hot]
    fn report(&self) -> String {
        format!("{} {}", self.name, self.sum())
    }

    #[hot]
    fn kind() -> &'static str {
        "world"
    }
}

impl Report for Vec<u32> {
    #[hot]
    fn report(&self) -> String {
        format!("{} numbers", self.len())
    }

    fn kind() -> &'static str {
        "vector"
    }
}

impl fmt::Display for World<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "<{}>", self.name)
    }
}

#[hot]
fn display(world: &World<'_>) -> String {
    world.to_string()
}

fn main() {
    let mut world = World::new("earth");
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command {
            "new" => World::new("moon").cells.len().to_string(),
            "grow" => world.grow().to_string(),
            "longest" => world.longest(rest).to_string(),
            "report" => world.report(),
            "numbers" => world.cells.report(),
            "kinds" => format!("{} {}", World::kind(), <Vec<u32> as Report>::kind()),
            "display" => display(&world),
            "dump" => format!("{:?}", world.cells),
            "load" => {
                world.cells.clear();
                let cells = rest.trim_matches(|c| c == '[' || c == ']').split(", ");
                world.cells.extend(cells.map(|cell| cell.parse::<u32>().expect("a number")));
                "ok".to_string()
            }
            _ => "unknown".to_string(),
        };
        println!("{}", reply);
    }
}
