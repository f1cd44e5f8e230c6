//! Shapes.

pub struct Square {
    pub side: u32,
}

impl Square {
    #[allow(dead_code)]
    fn never_called(&self) -> u32 {
        self.side * 4
    }
}

#[allow(dead_code)]
fn also_never_called(side: u32) -> u32 {
    side + 1
}
