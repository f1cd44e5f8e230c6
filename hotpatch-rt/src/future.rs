//! What a call of a hot `async fn` awaits: a future of the newest body, in a box of one layout for all bodies.
//!
//! A future holds what its body keeps across an `await`, so each body's is of another size. Code that awaits the
//! function was compiled once and keeps the future inside its own; what it keeps is therefore a [`Hot`], two words of
//! code and one of data beside the count, whatever body they lead to. A task that runs in older code so takes up the
//! new body with its next call.
//!
//! # Orderings
//!
//! [`FutureCount::running`] is a number for the user to read and orders nothing: `Relaxed` everywhere.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// How many futures of a hot `async fn` have begun and not come to their end. The tool reads the number where it lies.
#[derive(Debug)]
#[repr(transparent)]
pub struct FutureCount {
    running: AtomicUsize,
}

impl FutureCount {
    /// None have begun.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a count is a static, which `Default` cannot initialise"
    )]
    pub const fn new() -> Self {
        FutureCount {
            running: AtomicUsize::new(0),
        }
    }

    /// Counts a future until it is dropped, which happens when it is ready or whoever awaits it gives up.
    pub fn count<F, R>(&'static self, mut hot: Hot<F, R>) -> Hot<F, R> {
        self.running.fetch_add(1, Ordering::Relaxed);
        hot.counted = Some(Counted(&self.running));
        hot
    }
}

/// What a call of a hot `async fn` awaits: a box with a future of type `F`, which only two functions know.
///
/// **Invariant:** `future` points to an `F` in a box of its own, and `poll` and `drop` are those of this `F`. No `F` is
/// in here, so that this type's layout and code are the same for all bodies; that is what the tool relies on when `F`
/// differs (`cargo-hotpatch/src/object/mentions.rs`).
#[derive(Debug)]
#[repr(C)]
pub struct Hot<F, R> {
    future: NonNull<()>,
    poll: unsafe fn(NonNull<()>, &mut Context<'_>) -> Poll<R>,
    drop: unsafe fn(NonNull<()>),
    counted: Option<Counted>,
    like: Like<F>,
}

/// As if it owned an `F`: borrows and auto traits are those of one, and a future that has itself in it is refused as
/// without the box. It has no size and, packed, no alignment of an `F`.
#[repr(C, packed)]
struct Like<F>([F; 0]);

impl<F> fmt::Debug for Like<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Like")
    }
}

/// One of the futures that are counted.
#[derive(Debug)]
struct Counted(&'static AtomicUsize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<F: Future<Output = R>, R> Hot<F, R> {
    /// Makes a future of the body and puts it into a box.
    ///
    /// Never inlined, and given what makes the future instead of the future: the caller's code then is the same whatever
    /// an `F` looks like.
    #[inline(never)]
    pub fn new(make: impl FnOnce() -> F) -> Self {
        /// # Safety
        /// `future` is one that `new` made a pointer of, for the same `F`, and it is not dropped.
        unsafe fn poll<F: Future>(
            future: NonNull<()>,
            context: &mut Context<'_>,
        ) -> Poll<F::Output> {
            // SAFETY: it points to an `F`, and the caller has the only way to it.
            let future = unsafe { future.cast::<F>().as_mut() };
            // SAFETY: nothing moves it out of its box.
            unsafe { Pin::new_unchecked(future) }.poll(context)
        }
        /// # Safety
        /// As for `poll`, and it is not used again.
        unsafe fn drop<F>(future: NonNull<()>) {
            // SAFETY: `new` took it out of such a box.
            std::mem::drop(unsafe { Box::from_raw(future.cast::<F>().as_ptr()) });
        }
        let future = Box::into_raw(Box::new(make()));
        Hot {
            future: NonNull::new(future)
                .expect("invariant: a box is not null")
                .cast(),
            poll: poll::<F>,
            drop: drop::<F>,
            counted: None,
            like: Like([]),
        }
    }
}

impl<F, R> Drop for Hot<F, R> {
    fn drop(&mut self) {
        // SAFETY: both came from the same `new`, and nothing uses the future after this.
        unsafe { (self.drop)(self.future) }
    }
}

impl<F, R> Future for Hot<F, R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        // SAFETY: the future is not in here but in its box, so nothing is moved by what follows.
        let hot = unsafe { self.get_unchecked_mut() };
        // SAFETY: both came from the same `new`; it is dropped with `hot` alone.
        unsafe { (hot.poll)(hot.future, context) }
    }
}

// SAFETY: all that a `Hot` has is a future of type `F`, owned, and the count, which is an atomic.
unsafe impl<F: Send, R> Send for Hot<F, R> {}

// SAFETY: a shared `Hot` gives access to nothing; `poll` takes it exclusively.
unsafe impl<F: Sync, R> Sync for Hot<F, R> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::Waker;

    static COUNT: FutureCount = FutureCount::new();

    fn running() -> usize {
        COUNT.running.load(Ordering::Relaxed)
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// As the macro writes it.
    async fn length(text: &str, turns: bool) -> usize {
        COUNT
            .count(Hot::new(move || async move {
                if turns {
                    std::future::pending::<()>().await;
                }
                text.len()
            }))
            .await
    }

    #[test]
    fn futures_are_counted_from_their_begin_to_their_end() {
        assert_eq!(size_of::<FutureCount>(), size_of::<usize>());
        let of_aligned = size_of::<Hot<std::future::Ready<u128>, u128>>();
        assert_eq!(of_aligned, 4 * size_of::<usize>());
        let text = "four".to_owned();
        {
            let mut first = pin!(length(&text, true));
            assert_eq!(running(), 0, "it has not begun");
            assert!(poll(first.as_mut()).is_pending());
            assert_eq!(running(), 1);
            {
                let mut second = pin!(length(&text, false));
                assert_eq!(poll(second.as_mut()), Poll::Ready(4));
                assert_eq!(running(), 1, "it is at its end");
            }
            assert!(poll(first.as_mut()).is_pending());
        }
        assert_eq!(running(), 0, "nobody waits for it any more");
    }

    #[test]
    fn what_a_future_holds_is_dropped_once() {
        struct Noted<'a>(&'a Cell<u32>);
        impl Drop for Noted<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let drops = Cell::new(0);
        let noted = Noted(&drops);
        let hot = Hot::new(move || async move { drop(noted) });
        assert_eq!(drops.get(), 0);
        drop(hot);
        assert_eq!(drops.get(), 1);
        let noted = Noted(&drops);
        {
            let mut hot = pin!(Hot::new(move || async move { drop(noted) }));
            assert!(poll(hot.as_mut()).is_ready());
        }
        assert_eq!(drops.get(), 2);
    }

    #[test]
    #[expect(
        clippy::needless_borrow,
        reason = "the reference decides which of the two traits is meant"
    )]
    fn it_may_be_sent_where_the_future_may() {
        fn is_send<T: Send>(_: &T) {}
        is_send(&length("", false));
        // The same question as autoref specialisation asks it: what is not `Send` has the second trait only.
        struct Asked<T>(T);
        trait Sent {
            fn is_sent(&self) -> bool {
                true
            }
        }
        impl<T: Send> Sent for Asked<T> {}
        trait Kept {
            fn is_sent(&self) -> bool {
                false
            }
        }
        impl<T> Kept for &Asked<T> {}
        let hot = Hot::new(|| std::future::ready(1));
        assert!((&Asked(hot)).is_sent());
        let of_a_pointer = Hot::new(|| std::future::ready(Rc::new(1)));
        assert!(!(&Asked(of_a_pointer)).is_sent());
    }
}
