//! A web server with axum whose routes can be edited while it runs: added, changed, taken out.
//!
//! Start it with `cargo hotpatch run -p routes` and edit what you like: bodies, extractors and what is sent and received are
//! live by themselves. The routes are a value that `routes` made when the program began, so they are made anew after each patch
//! and put in the place of the old ones; requests in flight finish in those.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, RwLock};

use axum::extract::{Path, Request};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

/// Goes on, whatever is edited.
static VISITS: AtomicU64 = AtomicU64::new(0);

/// Edit me.
fn routes() -> Router {
    Router::new()
        .route("/", get(index))
        .route("/double", post(double))
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
