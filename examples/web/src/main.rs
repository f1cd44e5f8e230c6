//! A web server with hyper that can be restarted under load: no request fails, and the visits go on.
//!
//! Start it with `cargo hotpatch run -p web --listen 127.0.0.1:8080` and open <http://127.0.0.1:8080>. An edit of
//! `serve` or `page` is patched; for an edit of `main` say `y` to the restart. The tool holds the socket, so connections wait
//! in its queue while there is no process to take them.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use hotpatch_rt::{Keep, hot};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Survives a restart.
static VISITS: Keep<u64> = Keep::new("visits", || 0);

fn main() -> Result<(), Box<dyn Error>> {
    let listener = match ListenFd::from_env().take_tcp_listener(0)? {
        Some(listener) => listener,
        None => std::net::TcpListener::bind("127.0.0.1:8080")?,
    };
    eprintln!("serving http://{}", listener.local_addr()?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve_until_the_end(listener))
}

/// Takes connections until SIGTERM comes, and then answers what was asked.
async fn serve_until_the_end(listener: std::net::TcpListener) -> Result<(), Box<dyn Error>> {
    // The handler comes before the first connection.
    let mut end = signal(SignalKind::terminate())?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let (ending, ends) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                connections.spawn(attend(stream, ends.clone()));
            }
            Some(_) = connections.join_next() => {}
            _ = end.recv() => break,
        }
    }
    // Who connects from now on is the next process's guest.
    drop(listener);
    ending.send_replace(true);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Answers the requests of one connection. At the end each request that was begun is answered.
async fn attend(stream: TcpStream, mut ends: watch::Receiver<bool>) {
    // hyper closes a connection at once that has not sent anything yet. Somebody made it for a request, though,
    // which may be on its way: give it a moment.
    let mut hurries = ends.clone();
    tokio::select! {
        _ = stream.readable() => {}
        () = async {
            let _ = hurries.changed().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        } => return,
    }
    let connection =
        http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(serve));
    let mut connection = pin!(connection);
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        _ = ends.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        eprintln!("connection lost: {error}");
    }
}

/// The mark is for what is awaited: connections that are open answer their next request with the newest body.
#[hot]
async fn serve(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // What a real server does here takes time, too.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let page = page(request.uri().path());
    Ok(Response::new(Full::new(Bytes::from(page))))
}

/// Edit me.
fn page(path: &str) -> String {
    let mut visits = VISITS.lock();
    *visits += 1;
    format!("<h1>Hello from {path}</h1><p>Visit number {visits}</p>\n")
}
