//! What the making of a patch needs of the process it is for. A trait, so that [`crate::doctor`] can make
//! patches for a program that does not run.

use std::path::{Path, PathBuf};

use hotpatch_rt::wire::{LibraryList, Store};

use super::world::libraries;
use crate::run::client::{Client, ClientError};

/// A process that patches are made for.
pub trait Process {
    /// What is added to the addresses of the program's file, in bytes.
    fn bias(&self) -> u64;

    /// The shared libraries in it of those that the program names.
    fn libraries(&self, needed: &[String]) -> Vec<PathBuf>;

    /// Maps a patch and gives back its load bias in bytes; nobody calls it yet.
    ///
    /// # Errors
    /// The process does not take it.
    fn load(&mut self, number: u32, library: &Path) -> Result<u64, ClientError>;

    /// Leads the slots elsewhere, all of them or none, and gives back how many.
    ///
    /// # Errors
    /// As [`Process::load`].
    fn publish(&mut self, stores: Vec<Store>) -> Result<u32, ClientError>;

    /// For each of these slots of hot `async` functions how many futures have begun and not ended.
    ///
    /// # Errors
    /// As [`Process::load`].
    fn count(&mut self, slots: Vec<u64>) -> Result<Vec<u64>, ClientError>;

    /// Makes backtraces know libraries that were loaded since the first of them, where that can be had.
    fn relist(&mut self, list: Option<&LibraryList>);
}

impl Process for Client {
    fn bias(&self) -> u64 {
        Self::bias(self)
    }

    fn libraries(&self, needed: &[String]) -> Vec<PathBuf> {
        libraries(self.pid(), needed)
    }

    fn load(&mut self, number: u32, library: &Path) -> Result<u64, ClientError> {
        let image = self.image().clone();
        Self::load(self, number, library, &image)
    }

    fn publish(&mut self, stores: Vec<Store>) -> Result<u32, ClientError> {
        Self::publish(self, stores)
    }

    fn count(&mut self, slots: Vec<u64>) -> Result<Vec<u64>, ClientError> {
        Self::count(self, slots)
    }

    fn relist(&mut self, list: Option<&LibraryList>) {
        Self::relist(self, list);
    }
}

/// The program's file in place of a process: what lies at the addresses it was linked for, and loads nothing.
#[derive(Debug, Clone)]
pub struct Unstarted {
    /// The shared libraries that the loader would take.
    pub libraries: Vec<PathBuf>,
}

impl Process for Unstarted {
    fn bias(&self) -> u64 {
        0
    }

    fn libraries(&self, _needed: &[String]) -> Vec<PathBuf> {
        self.libraries.clone()
    }

    fn load(&mut self, _number: u32, _library: &Path) -> Result<u64, ClientError> {
        Ok(0)
    }

    fn publish(&mut self, stores: Vec<Store>) -> Result<u32, ClientError> {
        Ok(u32::try_from(stores.len()).unwrap_or(u32::MAX))
    }

    fn count(&mut self, slots: Vec<u64>) -> Result<Vec<u64>, ClientError> {
        Ok(vec![0; slots.len()])
    }

    fn relist(&mut self, _list: Option<&LibraryList>) {}
}
