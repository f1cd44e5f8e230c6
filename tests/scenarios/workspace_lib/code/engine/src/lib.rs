//! A library between the program and another library.

use hotpatch_rt::hot;

pub struct Engine {
    position: i64,
}

impl Engine {
    pub fn new() -> Engine {
        Engine::at(0)
    }

    pub fn at(position: i64) -> Engine {
        Engine { position }
    }

    pub fn position(&self) -> i64 {
        self.position
    }

    pub fn advance(&mut self, ticks: i64) {
        self.position += shared::scale::scaled(ticks);
    }

    #[hot]
    pub fn jump(&mut self) -> i64 {
        self.position += far();
        self.position
    }
}

fn far() -> i64 {
    100
}
