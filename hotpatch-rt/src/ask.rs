//! What a program asks the tool, and the answers: each a list of lists of texts, in one message.
//!
//! A message is its size and its content; all sizes and counts are little-endian `u32`. Reading is total: any bytes give a
//! message or an error, and no allocation is larger than what was sent.

use std::io::{self, Read, Write};

/// Name of the tool's socket in the folder where tool and program meet.
pub const SOCKET: &str = "ask";

/// Largest message in bytes.
const LARGEST: usize = 256 << 20;

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed message")
}

fn size(size: usize) -> io::Result<[u8; 4]> {
    let size = u32::try_from(size).map_err(|_| malformed())?;
    Ok(size.to_le_bytes())
}

/// Writes a message.
///
/// # Errors
/// It is too large, or cannot be written.
pub fn write(to: &mut impl Write, lists: &[Vec<String>]) -> io::Result<()> {
    let mut content = Vec::new();
    for list in lists {
        content.extend(size(list.len())?);
        for text in list {
            content.extend(size(text.len())?);
            content.extend(text.as_bytes());
        }
    }
    if content.len() > LARGEST {
        return Err(malformed());
    }
    to.write_all(&size(content.len())?)?;
    to.write_all(&content)?;
    to.flush()
}

/// Reads a message.
///
/// # Errors
/// It is none, or cannot be read.
pub fn read(from: &mut impl Read) -> io::Result<Vec<Vec<String>>> {
    let mut prefix = [0; 4];
    from.read_exact(&mut prefix)?;
    let length = u64::from(u32::from_le_bytes(prefix));
    let mut content = Vec::new();
    // What is said to come is not trusted with an allocation.
    from.take(length.min(LARGEST as u64))
        .read_to_end(&mut content)?;
    if content.len() as u64 != length {
        return Err(malformed());
    }
    let mut rest = content.as_slice();
    let mut lists = Vec::new();
    while !rest.is_empty() {
        let mut list = Vec::new();
        for _ in 0..number(&mut rest)? {
            let length = number(&mut rest)?;
            let (text, behind) = rest.split_at_checked(length).ok_or_else(malformed)?;
            rest = behind;
            list.push(String::from_utf8(text.to_vec()).map_err(|_| malformed())?);
        }
        lists.push(list);
    }
    Ok(lists)
}

fn number(rest: &mut &[u8]) -> io::Result<usize> {
    let (number, behind) = rest.split_first_chunk().ok_or_else(malformed)?;
    *rest = behind;
    usize::try_from(u32::from_le_bytes(*number)).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn messages_survive_the_round_trip_and_nothing_else_is_one() {
        let lists = vec![
            vec!["a".to_owned(), String::new(), "é\n\0".to_owned()],
            Vec::new(),
        ];
        let mut bytes = Vec::new();
        write(&mut bytes, &lists).unwrap();
        assert_eq!(read(&mut bytes.as_slice()).unwrap(), lists);
        for end in 0..bytes.len() {
            assert!(read(&mut &bytes[..end]).is_err(), "{end}");
        }
        assert!(read(&mut &[255; 4][..]).is_err());
        assert!(read(&mut &[4, 0, 0, 0, 1, 0, 0, 0][..]).is_err());
    }
}
