//! Finds out which vtables somebody has a pointer to: values that are kept behind `dyn Trait`, of whatever type that is.
//!
//! Looks at all memory of the process that can be written, but for stacks: there most of what looks so has been left behind
//! by calls that are over, and what a variable holds for long is in what it points to. What was freed and not used again
//! looks alive.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;

use super::memory::{Mapping, Maps, Memory};

/// Bytes of a slot.
const SLOT: u64 = 8;
/// How much is looked at in one go.
const STEP: u64 = 1 << 20;
/// How much memory is looked at in all; each GiB takes about half a second.
const MOST: u64 = 4 << 30;

/// The numbers of those of these functions, given by their addresses, that are methods in a vtable which something in the
/// process points to.
///
/// # Errors
/// The memory of the process cannot be read.
pub fn pointed_to(pid: u32, methods: &[u64]) -> io::Result<BTreeSet<usize>> {
    let maps = Maps::read(pid)?;
    let file = File::open(format!("/proc/{pid}/mem"))?;
    let memory = Memory::new(&file);
    let places = places(&memory, &maps, methods);
    let mut found = BTreeSet::new();
    if places.is_empty() {
        return Ok(found);
    }
    let stacks = stack_pointers(pid);
    let (first, last) = (places.keys().min(), places.keys().max());
    let range = first.copied().unwrap_or_default()..=last.copied().unwrap_or_default();
    let mut left = MOST;
    for mapping in maps.0.iter().filter(|of| of.is_readable && of.is_writable) {
        let mut stacks = stacks.iter();
        if stacks.any(|at| (mapping.start..mapping.end).contains(at)) {
            continue;
        }
        each_word(&memory, mapping.start, mapping.end, &mut left, |_, word| {
            if range.contains(&word)
                && let Some(numbers) = places.get(&word)
            {
                found.extend(numbers);
            }
        });
    }
    Ok(found)
}

/// Where vtables with these methods are, each with the numbers of those.
fn places(memory: &Memory<'_>, maps: &Maps, methods: &[u64]) -> HashMap<u64, Vec<usize>> {
    let numbers: HashMap<u64, usize> = methods.iter().copied().zip(0..).collect();
    let mut found: HashMap<u64, Vec<usize>> = HashMap::new();
    let is_data = |of: &&Mapping| of.is_readable && !of.is_executable && of.is_of_a_file();
    for mapping in maps.0.iter().filter(is_data) {
        let mut left = mapping.end - mapping.start;
        each_word(memory, mapping.start, mapping.end, &mut left, |at, word| {
            if let Some(number) = numbers.get(&word)
                && let Some(start) = start_of_vtable(memory, maps, at)
            {
                found.entry(start).or_default().push(*number);
            }
        });
    }
    found
}

/// Where the vtable begins that has a method in this place: before the methods stand what drops the value, its size and its
/// alignment.
fn start_of_vtable(memory: &Memory<'_>, maps: &Maps, method: u64) -> Option<u64> {
    let before = |slots: u64| memory.word(method.checked_sub(slots * SLOT)?);
    (1..MOST_METHODS).find_map(|back| {
        let (align, size, drops) = (before(back)?, before(back + 1)?, before(back + 2)?);
        let is_head = align.is_power_of_two()
            && align <= MOST_ALIGN
            && size.is_multiple_of(align)
            && (drops == 0 || maps.is_code(drops));
        is_head.then(|| method - (back + 2) * SLOT)
    })
}

/// Beyond so many methods, or so much alignment, it is no vtable that somebody writes.
const MOST_METHODS: u64 = 256;
const MOST_ALIGN: u64 = 1 << 12;

/// Hands out each word from here to there with its address, until so many bytes are read.
fn each_word(
    memory: &Memory<'_>,
    start: u64,
    end: u64,
    left: &mut u64,
    mut see: impl FnMut(u64, u64),
) {
    let mut at = start;
    while at < end && *left > 0 {
        let length = STEP.min(end - at).min(*left);
        *left -= length;
        // What cannot be read has nobody's values.
        let bytes = memory.large(at, length).unwrap_or_default();
        let (words, _) = bytes.as_chunks();
        for (word, number) in words.iter().zip(0_u64..) {
            see(at + number * SLOT, u64::from_le_bytes(*word));
        }
        at += length;
    }
}

/// The stack pointers of threads that wait.
fn stack_pointers(pid: u32) -> Vec<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let pointers = tasks.filter_map(|task| {
        // `NUMBER ARGUMENTS... STACK CODE`, see proc_pid_syscall(5).
        let text = std::fs::read_to_string(task.path().join("syscall")).ok()?;
        let mut words = text.split_whitespace().rev();
        let stack = words.nth(1)?.strip_prefix("0x")?;
        u64::from_str_radix(stack, 16).ok()
    });
    pointers.collect()
}

#[cfg(test)]
mod tests {
    use super::pointed_to;

    trait Speaks {
        fn speak(&self) -> u8;
    }

    struct Kept(u8);
    struct Never(u8);

    impl Speaks for Kept {
        fn speak(&self) -> u8 {
            self.0 ^ 0x55
        }
    }

    impl Speaks for Never {
        fn speak(&self) -> u8 {
            self.0 ^ 0x77
        }
    }

    #[test]
    fn a_value_behind_a_trait_object_is_found_in_this_process() {
        let kept: Vec<Box<dyn Speaks>> = vec![Box::new(Kept(1))];
        let of_kept = <Kept as Speaks>::speak as fn(&Kept) -> u8 as usize as u64;
        let of_never = <Never as Speaks>::speak as fn(&Never) -> u8 as usize as u64;
        let found = pointed_to(std::process::id(), &[of_kept, of_never]).unwrap();
        assert!(found.contains(&0), "{found:?}");
        assert!(!found.contains(&1), "{found:?}");
        assert_eq!(kept[0].speak(), 1 ^ 0x55);
    }
}
