//! What a call of a hot `async fn` awaits: a future of the newest body, in a box of one layout for all bodies.
//!
//! A future holds what its body keeps across an `await`, so each body's is of another size. Code that awaits the
//! function was compiled once and keeps the future inside its own; what it keeps is therefore a [`Hot`], two words of
//! code and one of data beside the count, whatever body they lead to.
//!
//! # Orderings
//!
//! [`FutureSlot::running`] is a number for the user to read and orders nothing: `Relaxed` everywhere.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use crate::slot::Slot;

/// The slot of a hot `async fn`, and how many of its futures have begun and not come to their end.
///
/// The agent writes the slot and reads the number behind it; see [`RUNNING_OFFSET`].
#[derive(Debug)]
#[repr(C)]
pub struct FutureSlot {
    slot: Slot,
    running: AtomicUsize,
}

/// Where the number of futures is in a [`FutureSlot`], in bytes.
pub const RUNNING_OFFSET: usize = std::mem::offset_of!(FutureSlot, running);

impl FutureSlot {
    /// A slot that leads to the body compiled into the base.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a slot is a static, which `Default` cannot initialise"
    )]
    pub const fn new() -> Self {
        FutureSlot {
            slot: Slot::new(),
            running: AtomicUsize::new(0),
        }
    }

    /// As [`Slot::get`], with the same contract. The function returns a [`Running`].
    #[inline(always)]
    pub fn get<F: Copy>(&self) -> Option<F> {
        self.slot.get()
    }

    /// Counts a future until it is dropped, which happens when it is ready or whoever awaits it gives up.
    pub fn count<F, R>(&'static self, mut hot: Hot<F, R>) -> Hot<F, R> {
        self.running.fetch_add(1, Ordering::Relaxed);
        hot.counted = Some(Counted(&self.running));
        hot
    }
}

/// A future of a body that is known only to those two functions.
///
/// What the future borrows is not in this type, so it must not outlive the call that made it: the expansion of
/// `#[hot]` puts it into a [`Hot`] at once.
#[derive(Debug)]
#[repr(C)]
pub struct Running<R> {
    future: NonNull<()>,
    poll: unsafe fn(NonNull<()>, &mut Context<'_>) -> Poll<R>,
    drop: unsafe fn(NonNull<()>),
}

impl<R> Running<R> {
    /// Puts a future into a box.
    ///
    /// # Contract
    ///
    /// Only code made for `#[hot]` calls this: expansions, and patches, whose function has the signature of the hot
    /// one. As with [`Slot::get`] it would else be `unsafe`.
    pub fn new<F: Future<Output = R>>(future: F) -> Self {
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
        let future = Box::into_raw(Box::new(future));
        Running {
            future: NonNull::new(future)
                .expect("invariant: a box is not null")
                .cast(),
            poll: poll::<F>,
            drop: drop::<F>,
        }
    }
}

impl<R> Running<R> {
    /// As [`Running::new`], for a newer body whose future takes the place of one that may have been sent.
    pub fn sent<F: Future<Output = R> + Send>(future: F) -> Self {
        Self::new(future)
    }
}

impl<R> Drop for Running<R> {
    fn drop(&mut self) {
        // SAFETY: both came from the same `new`, and nothing uses the future after this.
        unsafe { (self.drop)(self.future) }
    }
}

/// What a call of a hot `async fn` awaits. `F` is the future of the body that the base has. A newer one borrows no
/// more, since it has the same signature, and comes by [`Running::sent`] unless `F` is [`Local`].
#[derive(Debug)]
#[repr(C)]
pub struct Hot<F, R> {
    running: Running<R>,
    counted: Option<Counted>,
    like: PhantomData<F>,
}

/// One of the futures that a slot counts.
#[derive(Debug)]
struct Counted(&'static AtomicUsize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<F: Future<Output = R>, R> Hot<F, R> {
    /// A future of the body that the base has.
    pub fn new(future: F) -> Self {
        Self::newer(Running::new(future))
    }
}

impl<F: Future<Output = R>, R> Hot<Local<F>, R> {
    /// The same, never to be sent to another thread, whatever body there is: of `#[hot(?Send)]`.
    pub fn local(future: F) -> Self {
        Self::newer(Running::new(future))
    }
}

impl<F, R> Hot<F, R> {
    /// A future of a newer body.
    pub fn newer(running: Running<R>) -> Self {
        Hot {
            running,
            counted: None,
            like: PhantomData,
        }
    }
}

impl<F, R> Future for Hot<F, R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        // SAFETY: the future is not in here but in its box, so nothing is moved by what follows.
        let hot = unsafe { self.get_unchecked_mut() };
        // SAFETY: both came from the same `new`; it is dropped with `hot` alone.
        unsafe { (hot.running.poll)(hot.running.future, context) }
    }
}

/// A future that stays on its thread.
#[derive(Debug)]
pub struct Local<F>(PhantomData<(F, *const ())>);

// SAFETY: all that a `Hot` has is a future, owned: one of type `F`, or a newer one that `Running::sent` let through,
// since a `Local` is never `Send`. The count is an atomic.
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

    static SLOT: FutureSlot = FutureSlot::new();

    fn running() -> usize {
        SLOT.running.load(Ordering::Relaxed)
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// As the macro writes it, with its base's body and a newer one.
    async fn length<'a>(text: &'a str, newer: Option<fn(&'a str) -> Running<usize>>) -> usize {
        let hot = match newer {
            Some(newer) => Hot::newer(newer(text)),
            None => Hot::new(async move {
                std::future::pending::<()>().await;
                text.len()
            }),
        };
        SLOT.count(hot).await
    }

    fn double(text: &str) -> Running<usize> {
        Running::new(async move {
            let kept = [text.len(); 100];
            kept[0] + kept[99]
        })
    }

    #[test]
    fn futures_are_counted_from_their_begin_to_their_end() {
        assert_eq!(RUNNING_OFFSET, 8);
        let text = "four".to_owned();
        {
            let mut first = pin!(length(&text, None));
            assert_eq!(running(), 0, "it has not begun");
            assert!(poll(first.as_mut()).is_pending());
            assert_eq!(running(), 1);
            {
                let mut second = pin!(length(&text, Some(double)));
                assert_eq!(poll(second.as_mut()), Poll::Ready(8));
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
        let running = Running::new(async move { drop(noted) });
        assert_eq!(drops.get(), 0);
        drop(running);
        assert_eq!(drops.get(), 1);
        let noted = Noted(&drops);
        {
            let mut hot = pin!(Hot::new(async move { drop(noted) }));
            assert!(poll(hot.as_mut()).is_ready());
        }
        assert_eq!(drops.get(), 2);
    }

    #[test]
    #[expect(
        clippy::needless_borrow,
        reason = "the reference decides which of the two traits is meant"
    )]
    fn it_may_be_sent_where_the_future_of_the_base_may() {
        fn is_send<T: Send>(_: &T) {}
        let plain = length("", None);
        is_send(&plain);
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
        let hot = Hot::new(std::future::ready(1));
        assert!((&Asked(hot)).is_sent());
        let local = Hot::local(std::future::ready(1));
        assert!(!(&Asked(local)).is_sent());
        let of_a_pointer = Hot::new(std::future::ready(Rc::new(1)));
        assert!(!(&Asked(of_a_pointer)).is_sent());
    }
}
