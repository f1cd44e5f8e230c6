//! Functions inside of functions that stay in their place or are compiled by those who use them.

use std::ops::Deref;

use hotpatch_rt::hot;

struct Behind {
    len: u32,
}

struct Front {
    len: u32,
    behind: Behind,
}

impl Deref for Front {
    type Target = Behind;
    fn deref(&self) -> &Behind {
        &self.behind
    }
}

fn generic<T: Into<u32>>(n: T) -> u32 {
    fn twice(n: u32) -> u32 {
        n * 2
    }
    twice(n.into())
}

const fn constant(n: u32) -> u32 {
    const fn more(n: u32) -> u32 {
        n + 1
    }
    more(n)
}

fn plain(front: &Front) -> u32 {
    struct Own(u32);
    impl Own {
        fn get(&self) -> u32 {
            self.0
        }
    }
    fn sum(front: &Front) -> u32 {
        front.len + front.behind.len
    }
    Own(sum(front)).get() + front.len
}

#[hot]
fn hot(front: &Front) -> u32 {
    fn product(front: &Front) -> u32 {
        front.len * front.behind.len
    }
    product(front) + front.len
}

#[hot]
fn all(n: u32) -> String {
    let front = Front { len: n, behind: Behind { len: 10 } };
    format!("{} {} {} {}", generic(n), constant(n), plain(&front), hot(&front))
}

fn main() {
    for line in std::io::stdin().lines() {
        let n = line.expect("a line").parse().expect("a number");
        println!("{}", all(n));
    }
}
