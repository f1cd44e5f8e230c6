//! Who is at the other end of a Unix socket, and who we are.
//!
//! The socket lies in a directory of the tool's; this check is there for the day that directory is readable by
//! others. It says nothing about which program of the same user is calling, the token does.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// The effective user id of this process.
pub fn own_uid() -> u32 {
    // SAFETY: no duties, and it cannot fail.
    unsafe { geteuid() }
}

/// The effective user id of the process that connected.
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    let mut credentials = MaybeUninit::<Credentials>::zeroed();
    let mut size = size_of::<Credentials>() as u32;
    let out = credentials.as_mut_ptr().cast::<c_void>();
    // SAFETY: the descriptor is open, and `out` has room for `size` bytes.
    let status = unsafe {
        getsockopt(
            stream.as_raw_fd(),
            SOL_SOCKET,
            SO_PEERCRED,
            out,
            &raw mut size,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: three integers, all zero or what the kernel wrote.
    let credentials = unsafe { credentials.assume_init() };
    Ok(credentials.uid)
}

/// `struct ucred` of `<sys/socket.h>`.
#[repr(C)]
struct Credentials {
    pid: i32,
    uid: u32,
    gid: u32,
}

const SOL_SOCKET: c_int = 1;
const SO_PEERCRED: c_int = 17;

unsafe extern "C" {
    fn geteuid() -> u32;
    fn getsockopt(
        fd: c_int,
        level: c_int,
        name: c_int,
        value: *mut c_void,
        size: *mut u32,
    ) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_sockets_is_between_us() -> io::Result<()> {
        let (left, _right) = UnixStream::pair()?;
        assert_eq!(peer_uid(&left)?, own_uid());
        Ok(())
    }
}
