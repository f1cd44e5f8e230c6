//! Conway's game of life in the terminal: edit the rule while the cells live.
//!
//! Start it with `cargo hotpatch run -p life`, and change `lives` or `draw`. The board is the same before and
//! after the edit; only what happens to it next is different.

use std::fmt::Write;
use std::thread;
use std::time::Duration;

const WIDTH: usize = 48;
const HEIGHT: usize = 16;

type Board = [[bool; WIDTH]; HEIGHT];

fn main() {
    // Any pattern will do; this one keeps going for a long while.
    let mut board: Board =
        std::array::from_fn(|y| std::array::from_fn(|x| (x * y + x / 3) % 5 == 0));
    for generation in 0_u64.. {
        draw(&board, generation);
        board = advance(&board);
        thread::sleep(Duration::from_millis(150));
    }
}

/// The board of the next generation.
fn advance(board: &Board) -> Board {
    std::array::from_fn(|y| std::array::from_fn(|x| lives(board[y][x], neighbours(board, x, y))))
}

/// The rule: a living cell stays with 2 or 3 neighbours, and 3 give birth to a new one.
///
/// Try `(_, 3 | 6)`: that is "HighLife", which has a pattern that copies itself.
fn lives(alive: bool, neighbours: usize) -> bool {
    matches!((alive, neighbours), (true, 2) | (_, 3))
}

/// Draws everything again at the same place. Try other characters.
fn draw(board: &Board, generation: u64) {
    // Escape sequences of the terminal: cursor to the top left, and later clear what is below.
    let mut picture = String::from("\x1b[H");
    for row in board {
        for cell in row {
            picture.push(if *cell { '#' } else { '.' });
        }
        picture.push_str("\x1b[K\n");
    }
    let alive = board.iter().flatten().filter(|cell| **cell).count();
    let _ = writeln!(
        picture,
        "generation {generation}, {alive} alive\x1b[K\n\x1b[J"
    );
    print!("{picture}");
}

/// How many of the eight cells around this one live. The board has no edge: left of the first column is the last.
fn neighbours(board: &Board, x: usize, y: usize) -> usize {
    let around = |at: usize, size: usize| [(at + size - 1) % size, at, (at + 1) % size];
    let rows = around(y, HEIGHT).into_iter();
    let cells = rows.flat_map(|row| around(x, WIDTH).map(|column| (column, row)));
    cells
        .filter(|&(column, row)| (column, row) != (x, y) && board[row][column])
        .count()
}
