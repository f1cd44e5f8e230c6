//! The file with what was kept: values by name, each in the bytes of its own serialisation.
//!
//! Reading is total: any bytes give values or an error, never a panic, and never an allocation larger than the
//! file. The file is replaced as a whole, so a reader sees the old one or the new one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// What the file begins with; the number changes with the format.
const MAGIC: &[u8] = b"hotpatch kept 1\n";

/// Values by name.
pub type Values = BTreeMap<String, Vec<u8>>;

/// Writes the file anew.
pub fn write(path: &Path, values: &Values) -> io::Result<()> {
    let mut out = MAGIC.to_vec();
    put(&mut out, values.len());
    for (name, bytes) in values {
        put(&mut out, name.len());
        out.extend_from_slice(name.as_bytes());
        put(&mut out, bytes.len());
        out.extend_from_slice(bytes);
    }
    let fresh = path.with_extension("new");
    fs::write(&fresh, out)?;
    fs::rename(&fresh, path)
}

/// Reads the file; no file holds no values.
pub fn read(path: &Path) -> io::Result<Values> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Values::new()),
        other => other?,
    };
    let mut rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| damaged("it is of another version"))?;
    let mut values = Values::new();
    for _ in 0..take_number(&mut rest)? {
        let name = String::from_utf8(take(&mut rest)?.to_vec());
        let name = name.map_err(|_| damaged("a name is not UTF-8"))?;
        values.insert(name, take(&mut rest)?.to_vec());
    }
    if rest.is_empty() {
        Ok(values)
    } else {
        Err(damaged("it goes on after its end"))
    }
}

fn put(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u64).to_le_bytes());
}

fn take<'a>(rest: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    let length = usize::try_from(take_number(rest)?).unwrap_or(usize::MAX);
    let (taken, left) = rest
        .split_at_checked(length)
        .ok_or_else(|| damaged("it ends early"))?;
    *rest = left;
    Ok(taken)
}

fn take_number(rest: &mut &[u8]) -> io::Result<u64> {
    let (number, left) = rest
        .split_first_chunk()
        .ok_or_else(|| damaged("it ends early"))?;
    *rest = left;
    Ok(u64::from_le_bytes(*number))
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        [("world", vec![1, 2, 3]), ("hits", Vec::new())]
            .map(|(name, bytes)| (name.to_owned(), bytes))
            .into()
    }

    #[test]
    fn values_survive_the_round_trip() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("0.1.0");
        assert_eq!(read(&path)?, Values::new());
        write(&path, &values())?;
        assert_eq!(read(&path)?, values());
        write(&path, &Values::new())?;
        assert_eq!(read(&path)?, Values::new());
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn every_damage_is_an_error() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        write(&path, &values())?;
        let whole = fs::read(&path)?;
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length])?;
            assert!(read(&path).is_err(), "{length} bytes");
        }
        fs::write(&path, [whole.as_slice(), b"x"].concat())?;
        assert!(read(&path).is_err());
        // A length that no file can have.
        let mut huge = whole;
        huge[MAGIC.len() + 8..MAGIC.len() + 16].fill(0xff);
        fs::write(&path, huge)?;
        assert!(read(&path).is_err());
        Ok(())
    }
}
