//! What the program asks of itself: passed on to the session, as if somebody asked from outside.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

use super::Message;
use super::exact::Fall;
use super::retries::Panicked;
use crate::control::{FunctionOf, Reply, Request, VariableOf};
use crate::run::asked::Lists;

/// Answers questions by asking the session.
pub(super) fn answers(messages: Sender<Message>) -> impl Fn(Lists) -> Lists + Send + Sync {
    let messages = Mutex::new(messages);
    move |question| {
        let words = question.into_iter().next().unwrap_or_default();
        let mut words = words.into_iter();
        let kind = words.next().unwrap_or_default();
        let mut word = || words.next().unwrap_or_default();
        if kind == "fallen" {
            let (thread, signal) = (word(), word());
            let fall = Fall {
                thread: thread.parse().unwrap_or_default(),
                signal: signal.parse().ok().filter(|signal| *signal != 0),
            };
            wait_with(fall, &messages);
            return Vec::new();
        }
        if kind == "retry" {
            let call = Panicked {
                function: word(),
                thread: word(),
                generation: word().parse().unwrap_or_default(),
            };
            return wait_for_code(call, &messages);
        }
        let request = match kind.as_str() {
            "functions" => Request::Functions { filter: word() },
            "variables" => Request::Variables { filter: word() },
            "set" => Request::Set {
                name: word(),
                value: word(),
            },
            _ => return Vec::new(),
        };
        let (reply, answer) = channel();
        let messages = messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // A session that ends answers with nothing.
        let _ = messages.send(Message::Asked(request, reply));
        match answer.recv() {
            Ok(Reply::AllFunctions { functions }) => functions.into_iter().map(function).collect(),
            Ok(Reply::Variables { variables }) => variables.into_iter().map(variable).collect(),
            Ok(Reply::Failed { message }) if kind == "set" => vec![vec![message]],
            Ok(_) | Err(_) => Vec::new(),
        }
    }
}

/// A call has panicked: waits until it is to be made again, or not.
fn wait_for_code(call: Panicked, messages: &Mutex<Sender<Message>>) -> Lists {
    let (again, told) = channel();
    let messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
    let sent = messages.send(Message::Retry(call, again));
    drop(messages);
    let again = sent.is_ok() && told.recv().unwrap_or(false);
    again
        .then(|| vec!["again".to_owned()])
        .into_iter()
        .collect()
}

/// A thread of the program fell: waits until it may go on.
fn wait_with(fall: Fall, messages: &Mutex<Sender<Message>>) {
    let (may_go_on, told) = channel();
    let messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
    let sent = messages.send(Message::Fallen(fall, may_go_on));
    drop(messages);
    if sent.is_ok() {
        // A session that ends has nothing to do before.
        let _ = told.recv();
    }
}

/// The fields of a function in the order in which `hotpatch_rt` reads them; what is not known is empty.
fn function(of: FunctionOf) -> Vec<String> {
    let text = |text: Option<String>| text.unwrap_or_default();
    vec![
        of.function,
        text(of.file),
        text(of.line.map(|line| line.to_string())),
        text(of.signature),
        of.generation.to_string(),
        of.patches.to_string(),
        text(of.called.map(|called| called.to_string())),
    ]
}

/// The same of a variable.
fn variable(of: VariableOf) -> Vec<String> {
    let text = |text: Option<String>| text.unwrap_or_default();
    vec![
        of.name,
        of.ty,
        text(of.file),
        text(of.line.map(|line| line.to_string())),
        text(of.value),
        text(of.cannot_be_set),
    ]
}
