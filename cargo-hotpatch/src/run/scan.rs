//! Searches a stack for return addresses, where the unwinding tables do not lead on.
//!
//! Finds too much rather than too little: what a function left behind that has returned looks the same.

use super::code::{CALL_MAX, ends_with_a_call};
use super::memory::{Maps, Memory};

/// How much of a stack is searched. The kernel gives a main thread 8 MiB, Rust any other 2 MiB; each MiB takes 2 to 5 ms
/// when the tool is optimised.
const SCAN_MAX: u64 = 64 << 20;
/// How much is looked at in one go.
const STEP: u64 = 4096;

/// Whether the instruction that ends at this address is a call.
pub(super) fn follows_a_call(memory: &Memory<'_>, maps: &Maps, address: u64) -> bool {
    let Some(start) = address.checked_sub(CALL_MAX as u64) else {
        return false;
    };
    let code = || memory.bytes(start, CALL_MAX);
    maps.is_code(address) && maps.is_code(start) && ends_with_a_call(&code())
}

/// Adds everything from here to the end of the stack that looks like a return address. Gives back whether all of that
/// could be searched.
pub(super) fn scan(memory: &Memory<'_>, maps: &Maps, stack: u64, frames: &mut Vec<u64>) -> bool {
    let Some(start) = stack.checked_next_multiple_of(8) else {
        return false;
    };
    let Some(mapping) = maps.at(start) else {
        return false;
    };
    let end = mapping.end.min(start.saturating_add(SCAN_MAX));
    let mut at = start;
    while at < end {
        let length = STEP.min(end - at);
        let bytes = memory.bytes(at, length as usize);
        let (words, _) = bytes.as_chunks();
        let codes = words.iter().map(|word| u64::from_le_bytes(*word));
        frames.extend(codes.filter(|code| follows_a_call(memory, maps, *code)));
        if (bytes.len() as u64) < length {
            return false;
        }
        at += length;
    }
    end == mapping.end
}

#[cfg(test)]
mod tests {
    use super::{SCAN_MAX, scan};
    use crate::run::memory::{Mapping, Maps, Memory};
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    const PAGE: u64 = 4096;
    /// Where the code is; its first call ends ten bytes further on.
    const CODE: u64 = PAGE;
    const RETURN: u64 = CODE + 10;
    const STACK: u64 = 2 * PAGE;

    /// A file that stands for the memory of a process: code and a stack of this size, all of it zero but for these
    /// words with the return address.
    fn process(size: u64, words: &[u64]) -> (File, Maps) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(STACK + size).unwrap();
        file.write_all_at(&[0xe8], RETURN - 5).unwrap();
        for word in words {
            file.write_all_at(&RETURN.to_le_bytes(), *word).unwrap();
        }
        let mapping = |start, end, is_executable| Mapping {
            start,
            end,
            is_readable: true,
            is_writable: false,
            is_executable,
            offset: 0,
            file: String::new(),
        };
        let maps = vec![
            mapping(CODE, STACK, true),
            mapping(STACK, STACK + size, false),
        ];
        (file, Maps(maps))
    }

    /// How many return addresses a search from here on finds, and whether it saw everything.
    fn search((file, maps): &(File, Maps), from: u64) -> (usize, bool) {
        let mut frames = Vec::new();
        let is_whole = scan(&Memory::new(file), maps, from, &mut frames);
        assert!(frames.iter().all(|frame| *frame == RETURN));
        (frames.len(), is_whole)
    }

    #[test]
    fn a_stack_is_searched_to_its_end() {
        let size = 10 << 20;
        let last = STACK + size - 8;
        let found = process(size, &[STACK + 16, STACK + 4000, last]);
        assert_eq!(search(&found, STACK), (3, true));
        assert_eq!(search(&found, STACK + 17), (2, true));
        assert_eq!(search(&found, last - 3), (1, true));
    }

    #[test]
    fn a_search_that_is_cut_off_is_told() {
        let size = SCAN_MAX + PAGE;
        let found = process(size, &[STACK + 16, STACK + SCAN_MAX]);
        assert_eq!(search(&found, STACK), (1, false));
        assert_eq!(search(&found, STACK + 24), (1, false));
        assert_eq!(search(&found, STACK + PAGE), (1, true));
    }

    #[test]
    fn a_search_that_meets_what_cannot_be_read_is_told() {
        let found = process(4 * PAGE, &[STACK + 16, STACK + 3 * PAGE]);
        found.0.set_len(STACK + 2 * PAGE).unwrap();
        assert_eq!(search(&found, STACK), (1, false));
        // Nothing is there, or not any more.
        assert_eq!(search(&found, STACK + 4 * PAGE), (0, false));
        assert_eq!(search(&found, u64::MAX), (0, false));
    }
}
