//! What `keep` has to tell unasked: one datagram for the tool, which listens beside the agent's socket.
//!
//! Decoding is total: any bytes give news or nothing.

/// Name of the tool's socket in the folder where tool and program meet.
pub const SOCKET: &str = "news";

/// Name of the folder with what was kept, beside that socket; absent where there is nothing.
pub const KEPT: &str = "kept";

/// Longest reason that is sent, in bytes.
const LONGEST: usize = 4096;

/// Something that happened to a kept value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The value that was kept under this name does not fit any more, and begins anew.
    Dropped {
        /// Its name; empty where all names are meant.
        name: String,
        /// Why, as a fragment.
        why: String,
    },
    /// The value could not be saved once more when the program ended: it is as it was when the end was asked for.
    Stale {
        /// Its name.
        name: String,
        /// Why, as a fragment.
        why: String,
    },
}

impl News {
    /// The datagram.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, name, why) = match self {
            News::Dropped { name, why } => (b'd', name, why),
            News::Stale { name, why } => (b's', name, why),
        };
        let mut out = vec![kind];
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(&why.as_bytes()[..why.len().min(LONGEST)]);
        out
    }

    /// The news in a datagram.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<News> {
        let (kind, rest) = bytes.split_first()?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let why = String::from_utf8_lossy(&rest[end + 1..]).into_owned();
        match kind {
            b'd' => Some(News::Dropped { name, why }),
            b's' => Some(News::Stale { name, why }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_survive_the_round_trip() {
        for news in [
            News::Dropped {
                name: "world".into(),
                why: "missing field `x`".into(),
            },
            News::Stale {
                name: String::new(),
                why: "it is held".into(),
            },
        ] {
            assert_eq!(News::decode(&news.encode()), Some(news));
        }
        let long = News::Dropped {
            name: "a".into(),
            why: "x".repeat(LONGEST + 1),
        };
        assert_eq!(long.encode().len(), 3 + LONGEST);
    }

    #[test]
    fn other_bytes_are_no_news() {
        for bytes in [&b""[..], b"d", b"dname", b"xname\0why"] {
            assert_eq!(News::decode(bytes), None);
        }
    }
}
