//! Methods that a trait of the program provides, and impls that come to override them or stop.

use hotpatch_rt::hot;

mod shapes {
    pub trait Shape {
        fn sides(&self) -> u32;

        fn name(&self) -> String {
            "shape".to_owned()
        }

        fn text(&self) -> String {
            format!("a {} with {}", self.name(), self.sides())
        }
    }
}

use shapes::Shape;

pub struct Square;
pub struct Round<'a>(&'a str);

impl Shape for Square {
    fn sides(&self) -> u32 {
        4
    }
}

impl Shape for Round<'_> {
    fn sides(&self) -> u32 {
        0
    }

    fn name(&self) -> String {
        self.0.to_owned()
    }
}

macro_rules! name_of {
    ($of:expr) => {
        $of.name()
    };
}

fn generic<T: Shape>(shape: &T) -> String {
    shape.name()
}

fn called(name: impl Fn(&Square) -> String) -> String {
    name(&Square)
}

fn made(number: u32) -> Box<dyn Shape> {
    if number == 0 {
        Box::new(Square)
    } else {
        Box::new(Round("ring"))
    }
}

#[hot]
fn direct() -> String {
    let round = Round("circle");
    format!("{} {}", Square.name(), round.name())
}

#[hot]
fn others() -> String {
    let names = [name_of!(Square), generic(&Square), called(Square::name)];
    let ring = Round("ring");
    format!("{} {}; {} {}", names.join(" "), Square.text(), generic(&ring), ring.text())
}

#[hot]
fn boxed() -> String {
    format!("{} {}", made(0).name(), made(1).text())
}

#[hot]
fn kept(shape: &dyn Shape) -> String {
    shape.name()
}

fn banner() -> String {
    Square.name()
}

fn main() {
    let old: Box<dyn Shape> = Box::new(Square);
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "direct" => println!("{}", direct()),
            "others" => println!("{}", others()),
            "boxed" => println!("{}", boxed()),
            "kept" => println!("{}", kept(&*old)),
            _ => println!("{}", banner()),
        }
    }
}
