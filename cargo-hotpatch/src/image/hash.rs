//! A fast hash for symbol names, which come from our own compiler and need no defence against floods.
//!
//! The values must not be stored: they may change with any release of this tool.

use std::hash::{BuildHasherDefault, Hasher};

const MULTIPLIER: u64 = 0xf135_7aea_2e62_a9c5;

/// Hashes one byte string.
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = NameHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// A multiplicative hasher in the manner of rustc's own.
#[derive(Debug, Default, Clone)]
pub struct NameHasher {
    state: u64,
}

/// The `BuildHasher` of [`NameHasher`].
pub type NameHashBuilder = BuildHasherDefault<NameHasher>;

impl NameHasher {
    fn add(&mut self, word: u64) {
        self.state = (self.state.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER);
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.add(u64::from_le_bytes(last));
        self.add(bytes.len() as u64);
    }

    fn write_u8(&mut self, value: u8) {
        self.add(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.add(u64::from(value));
    }

    fn finish(&self) -> u64 {
        self.state ^ (self.state >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::hash_bytes;

    #[test]
    fn padding_does_not_make_names_equal() {
        assert_ne!(hash_bytes(b"a"), hash_bytes(b"a\0"));
        assert_ne!(hash_bytes(b""), hash_bytes(b"\0"));
        assert_eq!(
            hash_bytes(b"_RNvCs1_3app4main"),
            hash_bytes(b"_RNvCs1_3app4main")
        );
    }
}
