//! A library that no workspace has: it keeps values by the ids of their types.

use std::any::TypeId;
use std::collections::HashMap;

/// Values by their types, each as words.
#[derive(Default)]
pub struct Store(HashMap<TypeId, Box<[u64]>>);

/// What can be kept.
pub trait Kept: 'static {
    fn pack(self) -> Box<[u64]>;
    fn unpack(words: &[u64]) -> Self;
}

impl Store {
    pub fn put<K: Kept>(&mut self, value: K) {
        self.0.insert(TypeId::of::<K>(), value.pack());
    }

    pub fn get<K: Kept>(&self) -> Option<K> {
        self.0.get(&TypeId::of::<K>()).map(|words| K::unpack(words))
    }
}

/// Has nothing to do with any id.
pub fn twice<T>(value: impl Fn() -> T) -> [T; 2] {
    [value(), value()]
}
