//! Receivers in this process: some that answer 200 at once and remember what they got, and some
//! that never answer.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing};
use tokio::{net::TcpListener, sync::Notify};

use crate::product;

/// A callback that came.
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) body: Bytes,
}

/// Receivers that answer 200 at once.
pub(crate) struct Receivers {
    pub(crate) urls: Vec<String>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    all: Mutex<All>,
    more: Notify,
}

#[derive(Default)]
struct All {
    arrivals: Vec<Arrival>,
    ids: HashSet<String>,
}

impl Receivers {
    /// Starts so many, each on a port of its own.
    pub(crate) async fn start(count: usize) -> Self {
        let seen = Arc::new(Seen::default());
        let mut urls = Vec::new();
        for _ in 0..count {
            let router = Router::new().route("/", routing::post(receive)).with_state(Arc::clone(&seen));
            urls.push(product::serve(router).await + "/");
        }
        Self { urls, seen }
    }

    /// Waits until so many different callbacks came, all in all.
    pub(crate) async fn got(&self, count: usize) {
        loop {
            let more = self.seen.more.notified();
            if self.different() >= count {
                return;
            }
            more.await;
        }
    }

    /// How many different ones came.
    pub(crate) fn different(&self) -> usize {
        self.seen.all.lock().expect("nobody panicked").ids.len()
    }

    /// All that came, in order, whatever came twice included; from now on there is nothing.
    pub(crate) fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.seen.all.lock().expect("nobody panicked").arrivals)
    }
}

async fn receive(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) {
    let id = headers["webhook-id"].to_str().expect("ASCII").to_owned();
    let mut all = seen.all.lock().expect("nobody panicked");
    all.arrivals.push(Arrival { at: Instant::now(), body });
    all.ids.insert(id);
    drop(all);
    seen.more.notify_waiters();
}

/// The URL of a receiver that takes connections and never answers, for as long as this process lives.
pub(crate) async fn hanging() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    // the system accepts for it
    std::mem::forget(listener);
    url
}

/// Requests a second that one of these receivers takes from a plain client on 8 connections, all in
/// this process: what there is to be had on this machine, at this moment.
pub(crate) async fn ceiling() -> f64 {
    const REQUESTS: usize = 8000;
    let receivers = Receivers::start(1).await;
    #[expect(clippy::disallowed_methods, reason = "a customer's client has no guard")]
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let began = Instant::now();
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, url) = (client.clone(), receivers.urls[0].clone());
        connections.spawn(async move {
            for _ in 0..REQUESTS / 8 {
                let request = client.post(&url).header("webhook-id", "one").body(vec![b'x'; 370]);
                request.send().await.expect("an answer");
            }
        });
    }
    connections.join_all().await;
    REQUESTS as f64 / began.elapsed().as_secs_f64()
}

/// The value below which this share of them lies; they need not be sorted.
pub(crate) fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() as f64 * share) as usize).min(times.len() - 1)]
}
