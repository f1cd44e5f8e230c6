//! A web server with axum whose routes can be edited while it runs: added, changed, taken out.
//!
//! Start it with `cargo hotpatch run -p routes` and edit what you like: bodies, extractors and what is sent and received are
//! live by themselves. The routes are a value that `routes` made when the program began, so they are made anew after each patch
//! and put in the place of the old ones; requests in flight finish in those. A stream of events and a websocket stay open: what
//! they call for each event and each message is the newest. The loop around it goes on in its own code.

use std::convert::Infallible;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, RwLock};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Request};
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

/// Goes on, whatever is edited.
static VISITS: AtomicU64 = AtomicU64::new(0);

/// Edit me.
fn routes() -> Router {
    Router::new()
        .route("/", get(index))
        .route("/double", post(double))
        .route("/events", get(events))
        .route("/socket", get(socket))
}

async fn index() -> String {
    format!("visit {}\n", VISITS.fetch_add(1, Ordering::Relaxed) + 1)
}

#[derive(Deserialize)]
struct Question {
    number: i64,
}

#[derive(Serialize)]
struct Answer {
    doubled: i64,
}

async fn double(Json(question): Json<Question>) -> Json<Answer> {
    Json(Answer {
        doubled: question.number * 2,
    })
}

async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(0, async |number| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Ok(event(number)), number + 1))
    }))
}

fn event(number: u64) -> Event {
    Event::default().data(format!("event {number}"))
}

async fn socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(Message::Text(text))) = socket.recv().await {
            if socket.send(Message::text(reply(&text))).await.is_err() {
                return;
            }
        }
    })
}

fn reply(text: &str) -> String {
    format!("you said {text}")
}

/// Not on the way to anything yet: give it a route.
#[allow(dead_code)]
async fn greet(Path(name): Path<String>) -> String {
    format!("hello {name}\n")
}

/// The adapter: the routes as they are now, for each request.
static ROUTES: LazyLock<RwLock<Router>> = LazyLock::new(|| RwLock::new(routes()));

async fn dispatch(request: Request) -> Response {
    let routes = ROUTES.read().expect("no holder panics").clone();
    match routes.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let _hook = hotpatch_rt::on_patch(|_| {
        // Made first: requests are answered meanwhile.
        let routes = routes();
        *ROUTES.write().expect("no holder panics") = routes;
    });
    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("serving http://{}", listener.local_addr()?);
    axum::serve(listener, Router::new().fallback(dispatch)).await?;
    Ok(())
}
