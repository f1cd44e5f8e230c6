//! What a plugin is.

use std::any::Any;

/// What plugins keep between calls, whatever it is.
pub type State = Box<dyn Any + Send>;

/// Does something with words, on whichever thread.
#[async_trait::async_trait]
pub trait Plugin: Send + Sync {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// What it begins with.
    fn state(&self) -> State;

    /// One word of many.
    fn word(&self, word: &str) -> String;

    /// The whole line, once all words are there.
    async fn line(&self, words: &[String], state: &mut State) -> String;

    /// How a plugin introduces itself.
    fn about(&self) -> String {
        format!("the plugin {}", self.name())
    }
}
