//! What a few machine instructions tell: whether one is a call, and how large a function's frame is.
//!
//! **Invariant:** where the bytes are not exactly known ones, the answer is no.

/// The longest call without its prefixes, which change nothing.
pub(super) const CALL_MAX: usize = 7;

/// Whether the last instruction of some code can be a call. Its first bytes may be the end of another instruction.
pub(super) fn ends_with_a_call(code: &[u8]) -> bool {
    let from_end = |length: usize| code.len().checked_sub(length).map(|start| &code[start..]);
    if from_end(5).is_some_and(|code| code[0] == 0xe8) {
        return true;
    }
    (2..=CALL_MAX).any(|length| {
        from_end(length).is_some_and(|code| {
            code[0] == 0xff && (code[1] >> 3) & 7 == 2 && length_of_indirect(code) == Some(length)
        })
    })
}

/// How long an instruction of the form `ff /2` is, by the bytes that say how its operand is found.
fn length_of_indirect(code: &[u8]) -> Option<usize> {
    let [_, operand, ..] = *code else { return None };
    let (mode, register) = (operand >> 6, operand & 7);
    let has_index = mode != 3 && register == 4;
    let displacement = match mode {
        0 if register == 5 => 4,
        0 if has_index && code.get(2)? & 7 == 5 => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    Some(2 + usize::from(has_index) + displacement)
}

/// How far the canonical frame address is from the stack pointer when a function has set up its frame, by its first
/// instructions; `None` if those are not the ones LLVM begins a function with a frame pointer with.
pub(super) fn frame_size(code: &[u8]) -> Option<u64> {
    /// `movq $0,(%rsp)`: touches each page of a large frame.
    const TOUCH: &[u8] = &[0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0];
    /// `cmp %r11,%rsp; jne`: the same in a loop.
    const UNTIL: &[u8] = &[0x4c, 0x39, 0xdc, 0x75];
    let code = code.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(code);
    let mut code = code.strip_prefix(&[0x55, 0x48, 0x89, 0xe5])?;
    let mut size = 16;
    loop {
        code = match code {
            [0x50..=0x57, rest @ ..] | [0x41, 0x50..=0x57, rest @ ..] => rest,
            _ => break,
        };
        size += 8;
    }
    if let [0x4c, 0x8d, 0x9c, 0x24, rest @ ..] = code {
        let (far, rest) = rest.split_first_chunk()?;
        size += u64::from(i32::from_le_bytes(*far).unsigned_abs());
        let rest = rest.strip_prefix(&[0x48, 0x81, 0xec, 0, 0x10, 0, 0])?;
        let rest = rest.strip_prefix(TOUCH)?.strip_prefix(UNTIL)?;
        code = rest.get(1..)?;
    }
    loop {
        code = match code {
            [0x48, 0x83, 0xec, small, rest @ ..] => {
                size += u64::try_from(i8::from_le_bytes([*small])).ok()?;
                rest
            }
            [0x48, 0x81, 0xec, rest @ ..] => {
                let (large, rest) = rest.split_first_chunk()?;
                size += u64::from(u32::from_le_bytes(*large));
                rest.strip_prefix(TOUCH).unwrap_or(rest)
            }
            // The stack pointer is rounded down, by how much cannot be known.
            [0x48, 0x83 | 0x81, 0xe4, ..] => return None,
            _ => return Some(size),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{ends_with_a_call, frame_size};

    #[test]
    fn calls_are_told_by_their_bytes() {
        for call in [
            &[0xe8, 1, 2, 3, 4][..],
            &[0xff, 0xd0],                   // *%rax
            &[0x41, 0xff, 0xd4],             // *%r12
            &[0xff, 0x10],                   // *(%rax)
            &[0xff, 0x50, 0x18],             // *0x18(%rax)
            &[0xff, 0x14, 0xc8],             // *(%rax,%rcx,8)
            &[0xff, 0x54, 0x24, 8],          // *8(%rsp)
            &[0xff, 0x15, 0, 0, 0, 1],       // *symbol(%rip)
            &[0xff, 0x90, 0, 1, 0, 0],       // *0x100(%rax)
            &[0xff, 0x14, 0xc5, 0, 0, 0, 1], // *symbol(,%rax,8)
            &[0xff, 0x94, 0x24, 0, 1, 0, 0], // *0x100(%rsp)
        ] {
            let code = [&[0x90; 5][..], call].concat();
            assert!(ends_with_a_call(&code[code.len() - 7..]), "{call:x?}");
        }
        for other in [
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90][..],
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0], // jmp *%rax
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x50], // cut off
            &[0xe8, 1, 2, 3, 4, 0x90, 0x90],
        ] {
            assert!(!ends_with_a_call(other), "{other:x?}");
        }
    }

    #[test]
    fn the_size_of_a_frame_by_its_first_instructions() {
        let begin = [0x55, 0x48, 0x89, 0xe5];
        let size = |rest: &[u8]| frame_size(&[&begin[..], rest].concat());
        assert_eq!(size(&[0xc3]), Some(16));
        assert_eq!(size(&[0x41, 0x57, 0x53, 0x50, 0xe8, 0, 0, 0, 0]), Some(40));
        assert_eq!(
            size(&[0x53, 0x48, 0x83, 0xec, 0x28, 0x90]),
            Some(16 + 8 + 0x28)
        );
        assert_eq!(
            size(&[0x48, 0x81, 0xec, 0, 2, 0, 0, 0x90]),
            Some(16 + 0x200)
        );
        let page = [0x48, 0x81, 0xec, 0, 0x10, 0, 0];
        let touch = [0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0];
        let rest = [0x48, 0x83, 0xec, 0x10];
        assert_eq!(
            size(&[&page[..], &touch, &rest].concat()),
            Some(16 + 0x1010)
        );
        let far = [0x4c, 0x8d, 0x9c, 0x24, 0, 0xe0, 0xff, 0xff];
        let again = [0x4c, 0x39, 0xdc, 0x75, 0xef];
        assert_eq!(
            size(&[&far[..], &page, &touch, &again, &rest].concat()),
            Some(16 + 0x2010)
        );
        let rounded = [0x53, 0x48, 0x83, 0xe4, 0xe0, 0x48, 0x83, 0xec, 0x20];
        assert_eq!(size(&rounded), None);
        assert_eq!(frame_size(&[0x53, 0x48, 0x83, 0xec, 0x28]), None);
        assert_eq!(frame_size(&begin[..2]), None);
    }
}
