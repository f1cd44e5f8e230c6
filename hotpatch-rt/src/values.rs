//! Values of statics, read and set for the tool through what guards them: a lock, an atomic, a cell that is set once.
//!
//! The tool knows from debug information what a static is; what is done here is chosen by that alone. This file is compiled by
//! the compiler of the program, against its standard library, so that a `Mutex<u32>` here is laid out as one there; a
//! size that differs is refused all the same.
//!
//! # Orderings
//!
//! Atomics of the program are read and set with `SeqCst`: whatever order the program relies on, it is kept. A bare `static
//! mut` is read and set with `Relaxed`, which is no more than the program's own plain accesses promise.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, RwLock, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use crate::apply::Program;
use crate::error::Refusal;
use crate::wire::{Holder, Scalar, ValueAt};

/// How long a lock is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
const GLANCE: Duration = Duration::from_millis(1);

/// Reads a value, or sets it if there is a `new` one. Gives back the bytes that it was; none where it has not been set yet.
pub fn access(
    program: &Program,
    at: ValueAt,
    new: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, Refusal> {
    match at.scalar {
        Scalar::Bool => guarded::<bool>(program, at, new),
        Scalar::Char => guarded::<char>(program, at, new),
        Scalar::I8 => guarded::<i8>(program, at, new),
        Scalar::I16 => guarded::<i16>(program, at, new),
        Scalar::I32 => guarded::<i32>(program, at, new),
        Scalar::I64 => guarded::<i64>(program, at, new),
        Scalar::I128 => guarded::<i128>(program, at, new),
        Scalar::U8 => guarded::<u8>(program, at, new),
        Scalar::U16 => guarded::<u16>(program, at, new),
        Scalar::U32 => guarded::<u32>(program, at, new),
        Scalar::U64 => guarded::<u64>(program, at, new),
        Scalar::U128 => guarded::<u128>(program, at, new),
        Scalar::F32 => guarded::<f32>(program, at, new),
        Scalar::F64 => guarded::<f64>(program, at, new),
        Scalar::StaticText => guarded::<&'static str>(program, at, new),
        Scalar::OwnedText => guarded::<String>(program, at, new),
    }
}

/// What a value of a [`Scalar`] is in Rust.
trait Plain: Sized + 'static {
    /// The value that these bytes stand for.
    fn of(bytes: &[u8]) -> Option<Self>;

    /// The bytes that stand for it.
    fn bytes(&self) -> Vec<u8>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Plain for $number {
            fn of(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }

            fn bytes(&self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        }
    )*};
}

numbers!(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, f32, f64);

impl Plain for bool {
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        vec![u8::from(*self)]
    }
}

impl Plain for char {
    fn of(bytes: &[u8]) -> Option<Self> {
        char::from_u32(u32::of(bytes)?)
    }

    fn bytes(&self) -> Vec<u8> {
        u32::from(*self).bytes()
    }
}

impl Plain for &'static str {
    /// Leaked, since nobody knows how long it is needed.
    fn of(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(Box::leak(Box::from(text)))
    }

    fn bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl Plain for String {
    fn of(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok()
    }

    fn bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

fn guarded<T: Plain>(
    program: &Program,
    at: ValueAt,
    new: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, Refusal> {
    let new = match new {
        Some(bytes) => Some(T::of(bytes).ok_or(Refusal::NotAValue)?),
        None => None,
    };
    match at.holder {
        Holder::InAtomic => cell::<T>(program, at, new, Ordering::SeqCst),
        Holder::Bare => cell::<T>(program, at, new, Ordering::Relaxed),
        Holder::InMutex => {
            let mutex = place::<Mutex<T>>(program, at)?;
            let mut value = waited(|| mutex.try_lock())?;
            Ok(Some(exchange(&mut *value, new)))
        }
        Holder::InRwLock => {
            let lock = place::<RwLock<T>>(program, at)?;
            let mut value = waited(|| lock.try_write())?;
            Ok(Some(exchange(&mut *value, new)))
        }
        Holder::InOnceLock => {
            let lock = place::<OnceLock<T>>(program, at)?;
            let was = lock.get().map(Plain::bytes);
            match new.map(|new| lock.set(new)) {
                Some(Err(_)) => Err(Refusal::IsSet),
                Some(Ok(())) | None => Ok(was),
            }
        }
    }
}

fn exchange<T: Plain>(value: &mut T, new: Option<T>) -> Vec<u8> {
    let was = value.bytes();
    if let Some(new) = new {
        *value = new;
    }
    was
}

/// A reference to a static of the program.
fn place<T>(program: &Program, at: ValueAt) -> Result<&'static T, Refusal> {
    if at.size != size_of::<T>() as u64 {
        return Err(Refusal::AnotherSize);
    }
    let place = program.writable(at.address, size_of::<T>(), align_of::<T>());
    let place = place.ok_or(Refusal::NotAVariable(at.address))?;
    // SAFETY: the memory is mapped for good, aligned and as large as a `T`; by the tool's word, which has it from debug
    // information of the code that runs, a static of this very type lies there, so it is initialised, and it is of a type
    // that may be shared, as all statics are.
    Ok(unsafe { &*place.cast::<T>() })
}

/// A guard, if it can be had in time.
fn waited<G>(mut take: impl FnMut() -> Result<G, TryLockError<G>>) -> Result<G, Refusal> {
    let since = Instant::now();
    loop {
        match take() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(_)) => return Err(Refusal::Poisoned),
            Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => thread::sleep(GLANCE),
            Err(TryLockError::WouldBlock) => return Err(Refusal::Locked),
        }
    }
}

/// Reads and sets what is no larger than a machine word in one instruction each.
fn cell<T: Plain>(
    program: &Program,
    at: ValueAt,
    new: Option<T>,
    order: Ordering,
) -> Result<Option<Vec<u8>>, Refusal> {
    let new = new.map(|new| new.bytes());
    let read = |bytes: Vec<u8>| Ok(Some(bytes));
    macro_rules! swap {
        ($atomic:ty, $number:ty) => {{
            let cell = place::<$atomic>(program, at)?;
            let was = cell.load(order);
            if let Some(new) = new.and_then(|new| <$number>::of(&new)) {
                cell.store(new, order);
            }
            read(was.bytes())
        }};
    }
    match size_of::<T>() {
        1 => swap!(AtomicU8, u8),
        2 => swap!(AtomicU16, u16),
        4 => swap!(AtomicU32, u32),
        8 => swap!(AtomicU64, u64),
        _ => Err(Refusal::AnotherSize),
    }
}
