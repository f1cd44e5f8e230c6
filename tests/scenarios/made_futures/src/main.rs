//! Routes that keep functions by their items and call them for each request, as web frameworks do.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

type Reply = Pin<Box<dyn Future<Output = String>>>;

trait Handler: Clone + 'static {
    fn call(self, text: String) -> Reply;
}

impl<F, R> Handler for F
where
    F: Fn(String) -> R + Clone + 'static,
    R: Future<Output = String> + 'static,
{
    fn call(self, text: String) -> Reply {
        Box::pin(async move { self(text).await })
    }
}

/// What a route keeps, without a word of the function's type.
trait Service {
    fn serve(&self, text: String) -> Reply;
}

struct Kept<H>(H);

impl<H: Handler> Service for Kept<H> {
    fn serve(&self, text: String) -> Reply {
        let handler = self.0.clone();
        Handler::call(handler, text)
    }
}

async fn breath() {
    let mut taken = false;
    std::future::poll_fn(move |_| {
        if std::mem::replace(&mut taken, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

async fn short(text: String) -> String {
    format!("short {text}")
}

async fn long(text: String) -> String {
    breath().await;
    format!("long {text}")
}

fn routes() -> Vec<(&'static str, Box<dyn Service>)> {
    let pointer: fn(String) -> _ = long;
    vec![
        ("short", Box::new(Kept(short))),
        ("long", Box::new(Kept(long))),
        ("pointer", Box::new(Kept(pointer))),
    ]
}

fn finish(mut reply: Reply) -> String {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(text) = reply.as_mut().poll(&mut context) {
            return text;
        }
    }
}

fn main() {
    let routes = routes();
    let mut begun: Vec<Reply> = Vec::new();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (name, text) = line.split_once(' ').unwrap_or((&line, ""));
        let service = |name: &str| {
            let found = routes.iter().find(|(known, _)| *known == name);
            &found.expect("a route").1
        };
        let reply = match name {
            "begin" => {
                let mut reply = service("long").serve(text.to_owned());
                let mut context = Context::from_waker(Waker::noop());
                let _ = reply.as_mut().poll(&mut context);
                begun.push(reply);
                "begun".to_owned()
            }
            "end" => begun.pop().map_or_else(String::new, finish),
            name => finish(service(name).serve(text.to_owned())),
        };
        println!("{reply}");
    }
}
