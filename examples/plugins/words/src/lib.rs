//! The plugins that there are.

use plugins_api::{Plugin, State};

struct Upper;

struct Count;

/// How many words `Count` has seen.
struct Seen(usize);

#[async_trait::async_trait]
impl Plugin for Upper {
    fn name(&self) -> &'static str {
        "upper"
    }

    fn state(&self) -> State {
        Box::new(())
    }

    fn word(&self, word: &str) -> String {
        word.to_uppercase()
    }

    async fn line(&self, words: &[String], _state: &mut State) -> String {
        words.join(" ")
    }
}

#[async_trait::async_trait]
impl Plugin for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn state(&self) -> State {
        Box::new(Seen(0))
    }

    fn word(&self, word: &str) -> String {
        word.len().to_string()
    }

    async fn line(&self, words: &[String], state: &mut State) -> String {
        let Some(Seen(seen)) = state.downcast_mut() else {
            return "another state".to_owned();
        };
        *seen += words.len();
        format!("{} of {seen}", words.join("+"))
    }
}

/// Edit me: who asks gets these.
pub fn plugins() -> Vec<Box<dyn Plugin>> {
    vec![Box::new(Upper), Box::new(Count)]
}
