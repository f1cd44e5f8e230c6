//! An actor on tokio that loops for ever in one `async fn`, as they do.
//!
//! Start it with `cargo hotpatch run -p actor` and type lines. The loop of `Actor::run` is one future that never ends, and goes on
//! in the code that it began in. So it awaits one turn after the other, and `turn` is marked: the next turn is the new
//! one, whatever it keeps across its own `await`s. What is called from there needs no mark.

use hotpatch_rt::hot;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::{mpsc, oneshot};

/// A question, and where the answer goes.
struct Message {
    text: String,
    answer: oneshot::Sender<String>,
}

struct Actor {
    inbox: mpsc::Receiver<Message>,
    turns: u64,
}

impl Actor {
    async fn run(mut self) {
        while self.turn().await {}
    }

    /// Edit me.
    #[hot]
    async fn turn(&mut self) -> bool {
        let Some(message) = self.inbox.recv().await else {
            return false;
        };
        self.turns += 1;
        let answer = self.answer(&message.text).await;
        // Who asked may be gone.
        let _ = message.answer.send(answer);
        true
    }

    async fn answer(&self, text: &str) -> String {
        tokio::task::yield_now().await;
        format!("{} said {text}", self.count())
    }

    fn count(&self) -> String {
        format!("turn {}", self.turns)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (outbox, inbox) = mpsc::channel(8);
    tokio::spawn(Actor { inbox, turns: 0 }.run());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(text) = lines.next_line().await? {
        let (answer, answered) = oneshot::channel();
        outbox.send(Message { text, answer }).await?;
        println!("{}", answered.await?);
    }
    Ok(())
}
