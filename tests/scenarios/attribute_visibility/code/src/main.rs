//! What a derive makes is as visible as an attribute says, which is not visible enough for a patch.

use hotpatch_rt::hot;

mod parts {
    #[derive(attribute_visibility_makes::Made)]
    #[made(visibility(pub(crate)))]
    #[allow(dead_code)]
    pub struct Part;
}

#[hot]
fn value() -> u32 {
    parts::Made { number: 1 }.number
}

fn main() {
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", value());
    }
}
