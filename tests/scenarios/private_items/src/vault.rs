//! A type whose fields and most methods are private.

use std::num::ParseIntError;

use hotpatch_rt::hot;

const SIZE: usize = 4;

pub struct Vault {
    gold: [u64; SIZE],
    opened: u64,
}

type Parsed = Result<u64, ParseIntError>;

mod key {
    pub(super) struct Key(pub(super) u64);

    impl Key {
        pub(super) fn turned(&self) -> u64 {
            self.0 * 3
        }
    }
}

impl Vault {
    pub fn new() -> Vault {
        Vault { gold: [1; SIZE], opened: 0 }
    }

    #[hot]
    pub fn open(&mut self, key: &str) -> String {
        self.opened += 1;
        let opened = self.opened;
        match Self::parse(key).map(key::Key) {
            Ok(key) => {
                self.gold[opened as usize % SIZE] += key.turned();
                join!(" ", opened, self.total(), Self::BONUS)
            }
            Err(error) => error.to_string(),
        }
    }

    const BONUS: u64 = 5;

    fn parse(key: &str) -> Parsed {
        Ok(key.trim().parse::<u64>()? + 1)
    }

    fn total(&self) -> u64 {
        self.gold.iter().sum()
    }

    pub fn dump(&self) -> String {
        format!("{} {:?}", self.opened, self.gold)
    }

    pub fn load(text: &str) -> Vault {
        let numbers = text.split([' ', ',', '[', ']']).filter_map(|word| word.parse().ok());
        let numbers: Vec<u64> = numbers.collect();
        Vault { opened: numbers[0], gold: numbers[1..].try_into().expect("all numbers") }
    }
}
