//! Every message both ways, and everything that is not a message.

use super::*;

fn requests() -> Vec<Request> {
    vec![
        Request::Hello {
            protocol: PROTOCOL,
            token: "0123abcd".into(),
        },
        Request::Load {
            generation: 7,
            path: PathBuf::from(OsString::from_vec(b"/tmp/not utf-8 \xff/patch.so".to_vec())),
            image: BuildId(vec![1, 2, 3]),
        },
        Request::Redirect {
            redirects: Vec::new(),
            at_checkpoint: true,
        },
        Request::Redirect {
            redirects: vec![Redirect {
                cell: Place {
                    generation: 0,
                    offset: 8,
                },
                function: Place {
                    generation: u32::MAX,
                    offset: u64::MAX,
                },
            }],
            at_checkpoint: false,
        },
        Request::Relist {
            list: LibraryList {
                lock: 16,
                lock_size: 8,
                list: 32,
                empty: vec![1, 0, 0],
            },
        },
        Request::Keep {
            folder: "/run/kept".into(),
            wait: 2000,
            insist: true,
        },
        Request::Thaw {
            save_at_the_end: false,
        },
        Request::Patched {
            generation: 3,
            functions: vec!["a::b".to_owned(), String::new()],
            restarted: true,
        },
        Request::Value {
            at: ValueAt {
                address: 0x1234,
                size: 8,
                holder: Holder::InOnceLock,
                scalar: Scalar::OwnedText,
            },
            new: Some(b"new".to_vec()),
        },
        Request::Value {
            at: ValueAt {
                address: 0,
                size: 1,
                holder: Holder::Bare,
                scalar: Scalar::Bool,
            },
            new: None,
        },
        Request::Guard { raise: 0x1234 },
        Request::Release { args: None },
        Request::Release {
            args: Some(vec!["--exact".into(), "".into()]),
        },
    ]
}

fn responses() -> Vec<Response> {
    vec![
        Response::Hello {
            pid: 42,
            bias: 0x5555_5555_4000,
            image: BuildId(Vec::new()),
        },
        Response::Loaded { bias: u64::MAX },
        Response::Redirected { count: 3 },
        Response::Refused {
            reason: "nö".into(),
        },
        Response::Relisted,
        Response::Kept {
            names: vec!["world".into(), String::new()],
            failed: vec![("hits".into(), "in use".into())],
        },
        Response::Thawed,
        Response::Guarded,
        Response::Released,
        Response::Told,
        Response::NoCheckpoint,
        Response::Value { was: None },
        Response::Value {
            was: Some(vec![1, 2]),
        },
    ]
}

#[test]
fn messages_survive_the_round_trip() -> io::Result<()> {
    let mut bytes = Vec::new();
    for request in requests() {
        request.write_to(&mut bytes)?;
    }
    let mut reader = bytes.as_slice();
    for request in requests() {
        assert_eq!(Request::read_from(&mut reader)?, request);
    }
    assert!(reader.is_empty());

    let mut bytes = Vec::new();
    for response in responses() {
        response.write_to(&mut bytes)?;
    }
    let mut reader = bytes.as_slice();
    for response in responses() {
        assert_eq!(Response::read_from(&mut reader)?, response);
    }
    assert!(reader.is_empty());
    Ok(())
}

#[test]
fn a_truncated_message_is_an_error_at_every_length() -> io::Result<()> {
    for request in requests() {
        let mut bytes = Vec::new();
        request.write_to(&mut bytes)?;
        for end in 0..bytes.len() {
            assert!(
                Request::read_from(&mut &bytes[..end]).is_err(),
                "{request:?} at {end}"
            );
            // The frame itself is whole, its payload is cut.
            if let Some(payload) = bytes.get(4..end) {
                let mut cut = Vec::new();
                put_bytes(&mut cut, payload)?;
                assert!(Request::read_from(&mut cut.as_slice()).is_err());
            }
        }
    }
    for response in responses() {
        let mut bytes = Vec::new();
        response.write_to(&mut bytes)?;
        for end in 0..bytes.len() {
            assert!(
                Response::read_from(&mut &bytes[..end]).is_err(),
                "{response:?} at {end}"
            );
            if let Some(payload) = bytes.get(4..end) {
                let mut cut = Vec::new();
                put_bytes(&mut cut, payload)?;
                assert!(Response::read_from(&mut cut.as_slice()).is_err());
            }
        }
    }
    Ok(())
}

#[test]
fn garbage_is_an_error_or_a_message_but_no_panic() -> io::Result<()> {
    // A small xorshift keeps the test without dependencies and the same on every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..20_000_usize {
        let mut payload = Vec::new();
        for _ in 0..round % 48 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Small values reach further into the decoder than evenly spread ones.
            payload.push((state % 5) as u8);
        }
        let mut frame = Vec::new();
        put_bytes(&mut frame, &payload)?;
        let _ = Request::read_from(&mut frame.as_slice());
        let _ = Response::read_from(&mut frame.as_slice());
    }
    Ok(())
}

#[test]
fn bytes_after_the_content_are_an_error() -> io::Result<()> {
    let mut frame = Vec::new();
    put_bytes(&mut frame, &[2, 0, 0, 0, 0, 9])?;
    assert!(Request::read_from(&mut frame.as_slice()).is_err());
    Ok(())
}

#[test]
fn an_oversized_frame_is_refused_on_both_sides() {
    let length = (MAX_FRAME as u32 + 1).to_le_bytes();
    let error = Request::read_from(&mut length.as_slice()).expect_err("the frame is too large");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);

    let reason = "x".repeat(MAX_FRAME);
    let mut sink = Vec::new();
    assert!(Response::Refused { reason }.write_to(&mut sink).is_err());
    assert!(sink.is_empty());
}
