//! An enum, which a hot build shows to all, with a type in its interface that only the crate may name. Private
//! fields are within a patch's reach all the same.

use std::str::FromStr;

use hotpatch_rt::hot;

mod query {
    #[derive(Debug)]
    pub(crate) struct Wrong(u32);

    pub(crate) enum Query {
        Number(u32),
    }

    impl std::str::FromStr for Query {
        type Err = Wrong;

        fn from_str(text: &str) -> Result<Query, Wrong> {
            text.parse().map(Query::Number).map_err(|_| Wrong(7))
        }
    }

    impl Wrong {
        pub(crate) fn number(&self) -> u32 {
            self.0
        }
    }
}

#[hot]
fn answer(line: &str) -> u32 {
    match query::Query::from_str(line) {
        Ok(query::Query::Number(number)) => number,
        Err(wrong) => wrong.number(),
    }
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
