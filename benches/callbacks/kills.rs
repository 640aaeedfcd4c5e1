//! What is left of callbacks when processes are killed with SIGKILL.

use std::time::{Duration, Instant};

use axum::{Router, http::StatusCode};
use rand::RngExt as _;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    Figure,
    bench::{BenchServer, CallbackBench, Databases},
    product,
    receivers::Receivers,
};

/// 2,000 callbacks; killed after 1,000 and started again.
pub(crate) async fn in_the_middle(databases: &Databases) -> Figure {
    const ALL: usize = 2000;
    let (bench, receivers) = (CallbackBench::new(databases).await, Receivers::start(1).await);
    bench.owe(&receivers.urls, ALL).await;
    let mut server = bench.serve().await;
    receivers.got(ALL / 2).await;
    server.kill();
    let restart = Instant::now();
    server = bench.serve().await;
    bench.all_told().await;
    drop(server);
    let (different, arrivals) = (receivers.different(), receivers.take());
    let last = arrivals.iter().map(|arrival| arrival.at).max().expect("some came");
    let (last, lost, twice) = (last - restart, ALL - different, arrivals.len() - different);
    Figure::new(
        format!("killed in the middle of {ALL}: last arrival after the restart; lost; sent twice"),
        "≤ 3 s; 0; what was in flight",
        format!("{last:.2?}; {lost}; {twice}"),
    )
}

/// 10,000 tasks, one process that takes calls and one that runs tasks, which both send; every two
/// seconds one of them is killed and started again.
pub(crate) async fn at_random(databases: &Databases) -> Figure {
    const ALL: usize = 10_000;
    const EVERY: Duration = Duration::from_secs(2);
    const PARTS: [&[&str]; 2] = [&["serve", "--no-worker"], &["worker", "--set", "worker.capacity=8"]];
    let (bench, receivers) = (CallbackBench::new(databases).await, Receivers::start(10).await);
    let storages = bench.storages(&receivers.urls).await;
    let mut server = bench.start(PARTS[0]).await;
    server.api.ready().await;
    // nothing is there: a task ends at once
    let input = product::serve(Router::new().fallback(|| async { StatusCode::NOT_FOUND })).await;
    let ids: Vec<String> = storages.iter().map(|storage| storage.id.to_string()).collect();
    create(&server, &ids, &input, ALL).await;

    let (mut worker, began, mut kills) = (bench.start(PARTS[1]).await, Instant::now(), 0);
    while tokio::time::timeout(EVERY, bench.all_told()).await.is_err() {
        let (part, which) = if rand::rng().random() { (&mut server, 0) } else { (&mut worker, 1) };
        part.kill();
        *part = bench.start(PARTS[which]).await;
        kills += 1;
    }
    let (different, all) = (receivers.different(), receivers.take().len());
    let (took, lost, twice) = (began.elapsed(), ALL - different, all - different);
    Figure::new(
        format!("{ALL} tasks, server or worker killed every 2 s: told; lost; sent twice; kills"),
        "10,000; 0",
        format!("{different}; {lost}; {twice}; {kills} in {took:.0?}"),
    )
}

async fn create(server: &BenchServer, storages: &[String], input: &str, count: usize) {
    const CONNECTIONS: usize = 8;
    let mut clients = JoinSet::new();
    for client in 0..CONNECTIONS {
        let (api, storages, input) = (server.api.clone(), storages.to_vec(), format!("{input}/none.mp4"));
        clients.spawn(async move {
            for number in (client..count).step_by(CONNECTIONS) {
                let body = json!({
                    "template_name": "mp4-720p", "storage_id": storages[number % storages.len()],
                    "input": input, "output": format!("{number}.mp4"),
                });
                api.call(Method::POST, "create_task", body).await;
            }
        });
    }
    clients.join_all().await;
}
