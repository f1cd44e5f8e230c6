//! A source file's text as rustc takes it: UTF-8, without a byte order mark, lines that end in `\n` alone.
//!
//! The same text in another spelling is the same code, also inside literals that go over several lines.

use std::io;
use std::sync::Arc;

/// The text in a file's bytes.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for bytes that are not UTF-8.
pub fn from_bytes(bytes: Vec<u8>) -> io::Result<Arc<str>> {
    let text = String::from_utf8(bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let content = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(if content.contains('\r') {
        content.replace("\r\n", "\n").into()
    } else {
        content.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_rustc_takes_them() {
        let text = |bytes: &[u8]| from_bytes(bytes.to_vec()).map(|text| text.to_string());
        assert_eq!(text(b"\xef\xbb\xbfa\r\nb\rc\n").unwrap(), "a\nb\rc\n");
        assert_eq!(text("ö".as_bytes()).unwrap(), "ö");
        let error = text(b"caf\xe9").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
