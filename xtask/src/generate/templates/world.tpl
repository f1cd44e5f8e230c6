//! What lives as long as the program.

use std::collections::VecDeque;

/// The state that every step works on.
#[derive(Debug, Default)]
pub struct World {
    pub ticks: u64,
    pub drift: u64,
    pub history: VecDeque<u64>,
}

impl World {
    /// Remembers `value` and forgets the oldest beyond 64.
    pub fn remember(&mut self, value: u64) {
        self.history.push_back(value);
        if self.history.len() > 64 {
            self.history.pop_front();
        }
    }
}
