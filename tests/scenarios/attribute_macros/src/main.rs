//! Functions under attribute macros, and log lines, which keep a static each.

use std::fmt::Write;
use std::sync::Mutex;

use hotpatch_rt::hot;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, info, instrument, warn};

static LOG: Mutex<String> = Mutex::new(String::new());

struct Log;

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(LOG.lock().expect("a lock"), " {}={value:?}", field.name()).expect("memory");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        write!(LOG.lock().expect("a lock"), " [{}", span.metadata().name()).expect("memory");
        span.record(&mut Log);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        write!(LOG.lock().expect("a lock"), " {}", event.metadata().level()).expect("memory");
        event.record(&mut Log);
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {
        LOG.lock().expect("a lock").push(']');
    }
}

#[instrument]
fn helper(value: u32) -> u32 {
    info!("half of {value}");
    value / 2
}

struct Shop;

impl Shop {
    #[tracing::instrument(skip(self))]
    fn sell(&self, count: u32) -> u32 {
        count + 1
    }
}

#[hot]
#[instrument]
fn hot_one(value: u32) -> u32 {
    value
}

#[hot]
#[instrument(skip(factor), fields(next = value + 1))]
async fn hot_future(value: u32, factor: u32) -> u32 {
    value * factor
}

fn done<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits for something"),
    }
}

#[hot]
fn step(value: u32) -> u32 {
    helper(value) + Shop.sell(value) + hot_one(value) + done(hot_future(value, 0))
}

fn main() {
    tracing::subscriber::set_global_default(Log).expect("no other");
    for line in std::io::stdin().lines() {
        let value = step(line.expect("a line").parse().expect("a number"));
        println!("{value}{}", std::mem::take(&mut *LOG.lock().expect("a lock")));
    }
}

#[expect(dead_code, reason = "an edit uses it")]
fn unused() {
    warn!("nothing");
}
