//! A web server of the standard library alone: edit `page` while it serves.
//!
//! Start it with `cargo hotpatch run -p server` and open <http://127.0.0.1:8080> in a browser. Edit, save,
//! reload the page: the new code answers, and the number of visits goes on.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Statics keep their values: the new code counts on where the old code was.
static VISITS: AtomicU64 = AtomicU64::new(0);

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or("8080".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    println!("serving http://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        // Each connection has a thread of its own; all of them see an edit at their next request.
        thread::spawn(move || {
            if let Err(error) = serve(&stream) {
                eprintln!("connection lost: {error}");
            }
        });
    }
    Ok(())
}

/// Answers the requests of one connection, which stays open from one to the next.
///
/// It runs for as long as the browser keeps the connection, so an edit of this very function is for later
/// connections. What it calls for each request is new at the next request.
fn serve(stream: &TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next().transpose()? {
        // The headers end with an empty line.
        while lines
            .next()
            .transpose()?
            .is_some_and(|header| !header.is_empty())
        {}
        let path = request.split(' ').nth(1).unwrap_or("/");
        respond(stream, path)?;
    }
    Ok(())
}

fn respond(mut stream: &TcpStream, path: &str) -> io::Result<()> {
    let visits = VISITS.fetch_add(1, Ordering::Relaxed) + 1;
    let body = page(path, visits);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Edit me.
fn page(path: &str, visits: u64) -> String {
    format!("<h1>Hello from {path}</h1><p>Visit number {visits}</p>\n")
}
