//! Work that is spread over all processors.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does something with each of these, as many at a time as there are processors.
pub fn on_all_processors<T: Send>(
    items: impl ExactSizeIterator<Item = T> + Send,
    each: impl Fn(T) + Sync,
) {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let workers = workers.min(items.len());
    let items = Mutex::new(items);
    let next = || {
        let mut items = items.lock().unwrap_or_else(PoisonError::into_inner);
        items.next()
    };
    let work = || {
        while let Some(item) = next() {
            each(item);
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use super::on_all_processors;
    use std::sync::Mutex;

    #[test]
    fn each_is_done_once() {
        let done = Mutex::new(Vec::new());
        on_all_processors(0..100, |number| done.lock().unwrap().push(number));
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!(done, Vec::from_iter(0..100));
        on_all_processors(0..0, |_| unreachable!());
    }
}
