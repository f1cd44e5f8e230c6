//! A type with a `Deref` and a field that the whole crate may use, while what it leads to has one of that name.

use hotpatch_rt::hot;

mod name {
    use std::ops::Deref;

    pub struct Token {
        pub text: u32,
    }

    pub struct Name {
        pub(crate) text: u32,
        token: Token,
    }

    impl Name {
        pub fn new(text: u32) -> Self {
            let token = Token { text: text + 1 };
            Name { text, token }
        }
    }

    pub fn looked_at() -> Name {
        let token = Token { text: 4 };
        Name { text: 3, token }
    }

    impl Deref for Name {
        type Target = Token;

        fn deref(&self) -> &Token {
            &self.token
        }
    }
}

trait Looks {
    type Out;

    fn looks(&self, by: Self::Out) -> Self::Out;
}

impl Looks for name::Name {
    type Out = u32;

    #[hot]
    fn looks(&self, by: Self::Out) -> Self::Out {
        let by: Self::Out = by;
        if by > 10 {
            return self.looks(by - 10);
        }
        self.text * by
    }
}

fn own(name: &name::Name) -> u32 {
    name.text
}

fn pattern(name: &name::Name) -> u32 {
    let name::Name { text, .. } = name;
    *text * 100
}

#[hot]
fn value() -> u32 {
    let name = name::Name::new(3);
    own(&name) + pattern(&name)
}

fn main() {
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "looks" => println!("{}", name::looked_at().looks(12)),
            _ => println!("{}", value()),
        }
    }
}
