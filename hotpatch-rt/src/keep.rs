//! Values that survive a restart under `cargo hotpatch`.
//!
//! A kept value is saved by its name when the tool restarts the program, and only then, and the new process finds
//! it again; what its type means by then is serde's matter. Outside the tool there is nothing but the value.
//! This file is the surface; [`store`] knows all values, and [`service`] serves the agent.

#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "the tool knows Linux alone")
)]
mod gate;
#[cfg(target_os = "linux")]
mod service;
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "the tool knows Linux alone")
)]
mod snapshot;
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "the tool knows Linux alone")
)]
mod store;

use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value of this program that survives a restart under `cargo hotpatch run`, by the name it is kept under.
///
/// [`keep`] makes one in a function, [`Keep::new`] one for a `static`. Clones and all values kept under one name
/// are the same value. Take it with [`Keep::lock`] for as long as one step of work lasts: a restart waits for a
/// moment in which no guard is held, for two seconds at most.
///
/// ```
/// use hotpatch_rt::Keep;
///
/// static VISITS: Keep<u64> = Keep::new("visits", || 0);
///
/// fn visit() -> u64 {
///     let mut visits = VISITS.lock();
///     *visits += 1;
///     *visits
/// }
/// # assert_eq!((visit(), visit()), (1, 2));
/// ```
pub struct Keep<T: 'static> {
    name: &'static str,
    init: fn() -> T,
    place: OnceLock<&'static Place<T>>,
}

/// What can be kept.
///
/// serde decides what a changed type means: give an added field `#[serde(default)]`, a renamed one
/// `#[serde(alias = "…")]`.
pub trait Keepable: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Keepable for T {}

/// Gives the value kept under `name`: as the process before this one left it when `cargo hotpatch` restarted it,
/// or else what `init` makes.
///
/// ```
/// use hotpatch_rt::keep;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct World {
///     ticks: u64,
///     #[serde(default)] // added later: worlds that were kept before have none
///     name: String,
/// }
///
/// let world = keep("world", || World { ticks: 0, name: String::new() });
/// for _ in 0..3 {
///     world.lock().ticks += 1;
/// }
/// assert_eq!(world.lock().ticks, 3);
/// ```
///
/// # Panics
///
/// If a value of another type is kept under this name, or `init` asks for the name that it is to make.
#[track_caller]
pub fn keep<T: Keepable>(name: &'static str, init: impl FnOnce() -> T) -> Keep<T> {
    let place = Place::find(name, init);
    Keep {
        name,
        init: || unreachable!("the value is there"),
        place: OnceLock::from(place),
    }
}

impl<T: Keepable> Keep<T> {
    /// For a `static`: the value is found, or made, when it is first locked.
    #[must_use]
    pub const fn new(name: &'static str, init: fn() -> T) -> Self {
        Keep {
            name,
            init,
            place: OnceLock::new(),
        }
    }

    /// Takes the value until the guard is dropped; waits while another thread has it, or while the program is
    /// about to be restarted. A panic of a thread that had it changes nothing.
    ///
    /// A thread that has it already must not take it again: it would wait for itself.
    ///
    /// # Panics
    ///
    /// As [`keep`], where this is the first use.
    #[track_caller]
    pub fn lock(&self) -> Guard<'_, T> {
        let place = *self.place.get_or_init(|| Place::find(self.name, self.init));
        let entered = gate::enter();
        let value = place.value.lock().unwrap_or_else(PoisonError::into_inner);
        *place.holder() = Some(Location::caller());
        Guard {
            value: Some(value),
            place,
            entered,
        }
    }
}

impl<T> Clone for Keep<T> {
    fn clone(&self) -> Self {
        Keep {
            name: self.name,
            init: self.init,
            place: self.place.clone(),
        }
    }
}

impl<T> fmt::Debug for Keep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keep")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A kept value while it is taken; see [`Keep::lock`].
#[must_use = "the value is given back when the guard is dropped"]
pub struct Guard<'a, T: 'static> {
    /// `None` only while it is dropped.
    value: Option<MutexGuard<'a, T>>,
    place: &'static Place<T>,
    /// Whether it has passed the gate.
    entered: bool,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("invariant: it is not dropped")
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("invariant: it is not dropped")
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        *self.place.holder() = None;
        // The value first: who passes the gate after us must find it free.
        self.value = None;
        if self.entered {
            gate::leave();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Where a value lies, for the life of the process.
struct Place<T> {
    value: Mutex<T>,
    /// Where the guard was taken that is held now.
    holder: Mutex<Option<&'static Location<'static>>>,
}

impl<T> Place<T> {
    fn holder(&self) -> MutexGuard<'_, Option<&'static Location<'static>>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Keepable> Place<T> {
    #[track_caller]
    fn find(name: &'static str, init: impl FnOnce() -> T) -> &'static Place<T> {
        let found = store::find(name, || {
            let kept = store::before(name).and_then(|bytes| {
                read_back(&bytes)
                    .map_err(|why| store::dropped(name, why))
                    .ok()
            });
            let place: &'static Place<T> = Box::leak(Box::new(Place {
                value: Mutex::new(kept.unwrap_or_else(init)),
                holder: Mutex::new(None),
            }));
            place
        });
        let (asked, kept) = (std::any::type_name::<T>(), found.type_name());
        match found.any().downcast_ref() {
            Some(place) => place,
            None => panic!(
                "`{name}` is asked for as `{asked}`, but what is kept under this name is a `{kept}`"
            ),
        }
    }
}

impl<T: Keepable> store::Kept for Place<T> {
    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }

    fn any(&'static self) -> &'static dyn Any {
        self
    }

    fn save(&self) -> Result<Vec<u8>, String> {
        let value = match self.value.try_lock() {
            Ok(value) => value,
            Err(TryLockError::Poisoned(value)) => value.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(self.held()),
        };
        let bytes = unless_it_panics(|| {
            rmp_serde::to_vec_named(&*value).map_err(|error| error.to_string())
        })?;
        // Found out now, this costs nothing; after the restart it would cost the value.
        match read_back::<T>(&bytes) {
            Ok(_) => Ok(bytes),
            Err(why) => Err(format!("what serde writes cannot be read back: {why}")),
        }
    }

    fn held(&self) -> String {
        match *self.holder() {
            Some(place) => format!("a guard taken at {place} is still held"),
            None => "it is in use".to_owned(),
        }
    }

    fn is_held(&self) -> bool {
        self.holder().is_some()
    }
}

fn read_back<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    unless_it_panics(|| rmp_serde::from_slice(bytes).map_err(|error| error.to_string()))
}

/// The program's own code runs in serde's hands; a panic there must not end what serves it.
fn unless_it_panics<R>(action: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    panic::catch_unwind(AssertUnwindSafe(action))
        .unwrap_or_else(|_| Err("its implementation of serde's traits panicked".to_owned()))
}
