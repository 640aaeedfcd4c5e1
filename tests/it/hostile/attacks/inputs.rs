//! Servers of inputs that do not give what they announce, and tasks that read from them.

use std::{convert::Infallible, net::Ipv4Addr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::interval};

use crate::hostile::{
    attacker::{Attacker, pace},
    customer::serve,
};

/// Tasks that have not ended, at most: others wait for one of them.
const MAX_UNFINISHED: usize = 12;

/// Hostile inputs and their receiver.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 2);

/// Inputs of every kind, in turn.
pub(super) async fn inputs(attacker: Attacker) {
    // an address that the server may not call: its own, or one beside it
    let admin = format!("http://{}/vodencoding/v1/list_key", attacker.target.server);
    let redirect = |location: String| async move { (StatusCode::FOUND, [(header::LOCATION, location)]) };
    let router = Router::new()
        .route("/trickle.mp4", routing::get(async || announced(1_000_000, chunks(10_000, 1))))
        .route("/slow.mp4", routing::get(async || announced(1_000_000, chunks(100, 100))))
        .route("/empty.mp4", routing::get(async || ""))
        .route("/endless.mp4", routing::get(async || Body::from_stream(chunks(20, 512 << 10))))
        .route("/half.mp4", routing::get(async || announced(1_000_000, chunks(10, 1000).take(500))))
        .route("/vast.mp4", routing::get(async || announced(u64::MAX, chunks(10, 1000))))
        .route("/admin.mp4", routing::get(move || redirect(admin.clone())))
        .route("/loop.mp4", routing::get(move || redirect("/loop.mp4?again".to_owned())))
        .route("/never.mp4", routing::get(std::future::pending::<&str>));
    let url = serve(ADDRESS, router).await;
    let names = ["trickle", "slow", "empty", "endless", "half", "vast", "admin", "loop", "never"];
    run_tasks(attacker, names.map(|name| format!("{url}/{name}.mp4")).to_vec()).await;
}

/// The URL of an input that is announced and does not come.
pub(super) async fn serve_silence() -> String {
    let router = Router::new().fallback(std::future::pending::<&str>);
    format!("{}/never.mp4", serve(ADDRESS, router).await)
}

/// Creates tasks for these inputs in turn, and counts how they end, as their receiver is told.
pub(super) async fn run_tasks(attacker: Attacker, inputs: Vec<String>) {
    let free = Arc::new(Semaphore::new(MAX_UNFINISHED));
    let (ended, tally) = (Arc::clone(&free), attacker.tally.clone());
    let count = move |Json(body): Json<Value>| async move {
        for task in body["data"].as_array().into_iter().flatten() {
            match task["error_code"].as_u64() {
                Some(code) => tally.count(format!("task failed: {code}")),
                None => tally.count("task succeeded"),
            }
            ended.add_permits(1);
        }
    };
    let notify = serve(ADDRESS, Router::new().route("/", routing::post(count))).await;
    let storage = json!({"type": "file", "bucket": "hostile", "notify": format!("{notify}/")});
    let Some(storage) = attacker.add_storage(storage).await else { return };
    let mut pace = pace(100);
    for (number, input) in inputs.iter().cycle().enumerate() {
        free.acquire().await.expect("it is never closed").forget();
        pace.tick().await;
        if attacker.create_task(&storage, input, &format!("{number}.mp4")).await.is_none() {
            free.add_permits(1);
        }
    }
}

/// An answer with this `Content-Length`, whatever comes of it.
fn announced(length: u64, body: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    ([(header::CONTENT_LENGTH, length.to_string())], Body::from_stream(body)).into_response()
}

/// So many zeros every so many milliseconds, without an end.
pub(super) fn chunks(millis: u64, bytes: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let chunk = Bytes::from(vec![0; bytes]);
    stream::unfold((interval(Duration::from_millis(millis)), chunk), async |(mut tick, chunk)| {
        tick.tick().await;
        Some((Ok(chunk.clone()), (tick, chunk)))
    })
}
