//! Types of the program's own.

/// What a player has at hand.
pub enum Hand {
    Empty,
    Coin(u8),
    Card { suit: char, rank: Option<u32> },
}

pub struct Player {
    pub name: String,
    pub at: (i32, i32),
    pub hand: Hand,
}

pub fn add(players: &mut Vec<Player>, name: &str) -> String {
    let hand = match players.len() {
        0 => Hand::Empty,
        1 => Hand::Coin(2),
        n => Hand::Card {
            suit: 's',
            rank: u32::try_from(n).ok(),
        },
    };
    let at = (players.len() as i32, -1);
    players.push(Player {
        name: name.to_owned(),
        at,
        hand,
    });
    let of = |player: &Player| match player.hand {
        Hand::Empty => 0,
        Hand::Coin(value) => u32::from(value),
        Hand::Card { suit, rank } => u32::from(suit) + rank.unwrap_or_default(),
    };
    let sum: u32 = players.iter().map(of).sum();
    format!(
        "{name} {} {sum}",
        players
            .iter()
            .map(|player| player.at.0 + player.name.len() as i32)
            .sum::<i32>()
    )
}
