//! An optimised program whose `main` never returns: without a mark everything here would become a part of it.

use hotpatch_rt::hot;

struct Game {
    level: u64,
}

#[hot]
impl Game {
    const START: u64 = 2;

    fn speed(&self) -> u64 {
        self.level + 1
    }

    const fn start() -> u64 {
        Self::START
    }

    #[hot(skip)]
    fn inlined(&self) -> u64 {
        self.level + 10
    }
}

#[hot]
trait Moves {
    fn far(&self) -> u64;

    fn twice(&self) -> u64 {
        self.far() * 2
    }
}

#[hot]
impl Moves for Game {
    fn far(&self) -> u64 {
        7
    }
}

#[hot]
mod rules {
    pub fn bonus(of: u64) -> u64 {
        of * 100
    }
}

#[hot]
fn most<T: Ord + Copy>(of: &[T]) -> Option<T> {
    of.iter().copied().max()
}

fn main() {
    let game = Game { level: Game::start() };
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        match line.as_str() {
            "speed" => println!("{}", game.speed()),
            "inlined" => println!("{}", game.inlined()),
            "twice" => println!("{}", game.twice()),
            "bonus" => println!("{}", rules::bonus(game.level)),
            "most" => println!("{:?} {:?}", most(&[1, 3, 2]), most(&["b", "a"])),
            other => println!("unknown {other}"),
        }
    }
}
