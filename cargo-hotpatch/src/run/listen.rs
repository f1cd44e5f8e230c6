//! Listening sockets that this tool holds for the program: `--listen`.
//!
//! The sockets are bound once and stay open from one process of the program to the next, so a connection that comes
//! during a restart waits in the kernel's queue. The program finds them by the convention of systemd
//! (`sd_listen_fds(3)`): descriptors from 3 on, their number in `LISTEN_FDS`, its own process id in `LISTEN_PID`.
//! That id is known to the process alone once it is there, so [`stand_in`] sets it: this program again, under another
//! name, which then becomes the user's.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use command_fds::{CommandFdExt, FdMapping};

/// The name under which this program sets `LISTEN_PID` and becomes the user's.
pub const STAND_IN: &str = "hotpatch-listen";

/// The first descriptor of the convention.
const FIRST: i32 = 3;

/// How many connections may wait; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Sockets that listen.
#[derive(Debug, Default)]
pub struct Sockets(Vec<TcpListener>);

impl Sockets {
    /// Binds them in this order.
    ///
    /// # Errors
    /// An address has no form that is known, or cannot be had.
    pub fn bind(addresses: &[String]) -> Result<Self> {
        let sockets = addresses.iter().map(|address| {
            let bound = TcpListener::bind(address).and_then(|socket| {
                // More may wait while the program is away than the standard library plans for.
                rustix::net::listen(&socket, BACKLOG)?;
                Ok(socket)
            });
            bound.with_context(|| format!("failed to listen on `{address}`"))
        });
        Ok(Self(sockets.collect::<Result<_>>()?))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where they listen, with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.0.iter().map(TcpListener::local_addr);
        addresses.filter_map(Result::ok).collect()
    }

    /// Makes `command` start `program` with these sockets; its arguments and environment stay `command`'s own.
    pub(super) fn hand_to(
        &self,
        command: &mut Command,
        program: &Path,
        arg0: Option<&OsString>,
    ) -> io::Result<()> {
        let mut mappings = Vec::new();
        for (child_fd, socket) in (FIRST..).zip(&self.0) {
            let parent_fd = OwnedFd::from(socket.try_clone()?);
            mappings.push(FdMapping {
                parent_fd,
                child_fd,
            });
        }
        command
            .arg0(STAND_IN)
            .arg(program)
            .arg(arg0.map_or(program.as_os_str(), OsString::as_os_str))
            .env("LISTEN_FDS", self.0.len().to_string())
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES");
        command
            .fd_mappings(mappings)
            .map_err(|collision| io::Error::other(collision.to_string()))?;
        Ok(())
    }
}

/// Becomes the program that `args` name: its path, what it sees as its own name, its arguments.
///
/// # Errors
/// Always: it returns only if it failed.
pub fn stand_in(args: &[OsString]) -> Result<i32> {
    let [program, arg0, args @ ..] = args else {
        bail!("no program named");
    };
    let error = super::child::become_program(program, arg0, args);
    Err(error).with_context(|| format!("failed to start `{}`", Path::new(program).display()))
}
