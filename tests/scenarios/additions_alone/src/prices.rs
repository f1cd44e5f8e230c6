use std::fmt;

pub struct Price {
    cents: u64,
}

const TAX: u64 = 7;

impl Price {
    pub fn parse(text: &str) -> Self {
        Self {
            cents: text.parse().unwrap_or(0),
        }
    }

    pub fn cents(&self) -> u64 {
        self.cents
    }
}

impl fmt::Display for Price {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.cents)
    }
}

macro_rules! joined {
    ($prices:expr) => {
        $prices.iter().map(|price| price.to_string()).collect::<Vec<_>>().join("-")
    };
}

fn taxed(price: &Price) -> u64 {
    price.cents() * TAX / 100
}

fn total(prices: &[Price]) -> u64 {
    prices.iter().map(taxed).sum()
}

fn dearest(prices: &[Price]) -> u64 {
    let mut all: Vec<u64> = Vec::new();
    for price in prices {
        all.push(taxed(price));
    }
    all.into_iter().max().unwrap_or(0)
}

pub fn added(prices: &mut Vec<Price>, text: &str) -> String {
    prices.clear();
    prices.push(Price::parse(text));
    format!("{} of which {} {}", joined!(prices), total(prices), dearest(prices))
}
