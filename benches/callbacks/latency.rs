//! How long after a task's end its callback's first byte arrives.
//!
//! Tasks are ended by `cancel_task`. Their commit lies between the request and its answer, so what is
//! shown brackets the truth: from the request, which is too long by the call's own work, and from
//! the answer, which is too short by its way back.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    Figure,
    bench::{BenchServer, CallbackBench, Databases},
    receivers::{self, Receivers, quantile},
};

/// At so many task ends a second.
pub(crate) async fn at(databases: &Databases, rate: u32) -> Figure {
    let receivers = Receivers::start(1).await;
    let lags = Lags::measure(databases, &receivers, &receivers.urls, rate, rate * 10).await;
    let what = format!("{rate} task ends a second: from the commit to the first byte, p50 / p99");
    Figure::new(what, "≤ 1 / ≤ 10 ms", lags.show())
}

/// 2,000 at 200 a second, every second one for a receiver that never answers: the others' lags.
pub(crate) async fn with_half_for_one_that_hangs(databases: &Databases) -> Figure {
    let receivers = Receivers::start(1).await;
    let urls = [receivers.urls[0].clone(), receivers::hanging().await];
    let lags = Lags::measure(databases, &receivers, &urls, 200, 2000).await;
    let what = "200 a second, half for one that hangs: the others, p50 / p99";
    Figure::new(what, "p99 ≤ 50 ms", lags.show())
}

/// What was measured.
struct Lags {
    from_request: Vec<Duration>,
    from_answer: Vec<Duration>,
}

impl Lags {
    /// Ends so many tasks at a rate, told to these URLs in turn, the first of which is measured.
    async fn measure(
        databases: &Databases,
        receivers: &Receivers,
        urls: &[String],
        rate: u32,
        count: u32,
    ) -> Self {
        let bench = CallbackBench::new(databases).await;
        let server = bench.serve().await;
        server.api.ready().await;
        let storages = bench.storages(urls).await;
        let mut tasks = Vec::new();
        for number in 0..count {
            let storage = storages[number as usize % storages.len()].id.to_string();
            tasks.push(create_task(&server, &storage, number).await);
        }
        let ends = end_at_rate(&server, &tasks, rate).await;
        receivers.got(tasks.len() / storages.len()).await;
        let mut lags = Self { from_request: Vec::new(), from_answer: Vec::new() };
        for arrival in receivers.take() {
            let body: Value = serde_json::from_slice(&arrival.body).expect("JSON");
            let (asked, answered) = ends[body["data"][0]["task_id"].as_str().expect("an id")];
            lags.from_request.push(arrival.at - asked);
            lags.from_answer.push(arrival.at.saturating_duration_since(answered));
        }
        lags
    }

    fn show(mut self) -> String {
        let mut p = |share| (quantile(&mut self.from_answer, share), quantile(&mut self.from_request, share));
        let ((p50_from, p50_to), (p99_from, p99_to)) = (p(0.5), p(0.99));
        format!("{p50_from:.1?}–{p50_to:.1?} / {p99_from:.1?}–{p99_to:.1?}")
    }
}

async fn create_task(server: &BenchServer, storage: &str, number: u32) -> String {
    let body = json!({
        "template_name": "mp4-720p", "storage_id": storage,
        "input": "http://127.0.0.1/none.mp4", "output": format!("{number}.mp4"),
    });
    let created = server.api.call(Method::POST, "create_task", body).await;
    created["task_id"].as_str().expect("an id").to_owned()
}

/// Ends tasks, whether or not the one before has ended; gives when each was asked for and answered.
/// A machine that is too slow for the rate falls behind it, and the figures say so.
async fn end_at_rate(
    server: &BenchServer,
    tasks: &[String],
    rate: u32,
) -> HashMap<String, (Instant, Instant)> {
    const AT_ONCE: usize = 64;
    let mut interval = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut ends = JoinSet::new();
    let calls = Arc::new(Semaphore::new(AT_ONCE));
    for task in tasks {
        interval.tick().await;
        let (api, task, calls) = (server.api.clone(), task.clone(), Arc::clone(&calls));
        let asked = Instant::now();
        ends.spawn(async move {
            let _call = calls.acquire().await.expect("it is never closed");
            api.call(Method::POST, &format!("cancel_task?task_id={task}"), json!({})).await;
            (task, (asked, Instant::now()))
        });
    }
    ends.join_all().await.into_iter().collect()
}
