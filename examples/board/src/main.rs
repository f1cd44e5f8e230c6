//! A board in the terminal, drawn with ratatui, that is drawn anew as soon as it was edited.
//!
//! Start it with `cargo hotpatch run -p board`; the arrows count up and down, `q` ends it. Every edit is live with the next frame.
//! A program that draws only when a key comes would show it with the next key, so a hook asks for a frame after each
//! patch, through the channel by which keys come.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use ratatui::crossterm::event::{self, Event, KeyCode};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style};
use ratatui::widgets::{Block, Gauge, Paragraph};
use ratatui::{DefaultTerminal, Frame};

/// Why a frame is drawn.
enum Cause {
    Key(KeyCode),
    Patch,
}

struct Board {
    count: u16,
    frames: u64,
}

impl Board {
    /// Edit me.
    fn draw(&self, frame: &mut Frame) {
        let rows = Layout::vertical([Constraint::Length(3), Constraint::Min(3)]);
        let [top, rest] = rows.areas(frame.area());
        let gauge = Gauge::default()
            .block(Block::bordered().title("count"))
            .gauge_style(Style::new().fg(Color::Green))
            .percent(self.count.min(100));
        frame.render_widget(gauge, top);
        let text = format!("frame {}: {}", self.frames, self.advice());
        frame.render_widget(Paragraph::new(text).block(Block::bordered()), rest);
    }

    fn advice(&self) -> &str {
        if self.count < 50 { "little" } else { "much" }
    }

    fn press(&mut self, key: KeyCode) {
        match key {
            KeyCode::Up => self.count = self.count.saturating_add(10),
            KeyCode::Down => self.count = self.count.saturating_sub(10),
            _ => {}
        }
    }
}

fn read_keys(causes: &Sender<Cause>) {
    while let Ok(event) = event::read() {
        if let Event::Key(key) = event
            && causes.send(Cause::Key(key.code)).is_err()
        {
            return;
        }
    }
}

fn run(terminal: &mut DefaultTerminal, causes: &Receiver<Cause>) -> io::Result<()> {
    let mut board = Board {
        count: 0,
        frames: 0,
    };
    loop {
        board.frames += 1;
        terminal.draw(|frame| board.draw(frame))?;
        match causes.recv() {
            Ok(Cause::Key(KeyCode::Char('q'))) | Err(_) => return Ok(()),
            Ok(Cause::Key(key)) => board.press(key),
            Ok(Cause::Patch) => {}
        }
    }
}

fn main() -> io::Result<()> {
    let (causes, inbox) = channel();
    let keys = causes.clone();
    thread::spawn(move || read_keys(&keys));
    let _hook = hotpatch_rt::on_patch(move |_| drop(causes.send(Cause::Patch)));
    let result = run(&mut ratatui::init(), &inbox);
    ratatui::restore();
    result
}
