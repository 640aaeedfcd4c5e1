//! Callbacks that all are due when the server starts.

use std::time::{Duration, Instant};

use crate::{
    Figure,
    bench::{CallbackBench, Databases},
    receivers::{self, Receivers, quantile},
};

const BACKLOG: usize = 20_000;

/// Deliveries a second, processor time for each, memory.
pub(crate) async fn delivered(databases: &Databases, count: usize) -> [Figure; 3] {
    let ceiling = receivers::ceiling().await;
    let (bench, receivers) = (CallbackBench::new(databases).await, Receivers::start(count).await);
    bench.owe(&receivers.urls, BACKLOG).await;
    let server = bench.serve().await;
    receivers.got(1).await;
    let (first, cpu) = (Instant::now(), bench.cpu(&server));
    receivers.got(BACKLOG).await;
    let rate = BACKLOG as f64 / first.elapsed().as_secs_f64();
    bench.all_told().await;
    let cpu = (bench.cpu(&server) - cpu).as_secs_f64() * 1000.0 / BACKLOG as f64;
    let what = |what| format!("backlog of {BACKLOG}, {count} receivers: {what}");
    [
        Figure::new(
            what("deliveries a second (receiver's ceiling)"),
            "≥ 5,500",
            format!("{rate:.0} ({ceiling:.0})"),
        ),
        Figure::new(what("processor time a delivery"), "≤ 0.3 ms", format!("{cpu:.3} ms")),
        Figure::new(what("memory of the server"), "≤ 60 MiB", format!("{} MiB", server.peak_memory())),
    ]
}

/// 2,000 for 99 receivers that answer at once, with and without 20 of them for one that never does.
pub(crate) async fn beside_one_that_hangs(databases: &Databases) -> Figure {
    const RUNS: usize = 5;
    let mut p99 = [Vec::new(), Vec::new()];
    // in turn, so that what else the machine does meets both
    for run in 0..RUNS * 2 {
        let hangs = run % 2;
        p99[hangs].push(arrivals_p99(databases, hangs == 1).await);
    }
    let [without, with] = p99.map(|mut times| quantile(&mut times, 0.5));
    let times = with.as_secs_f64() / without.as_secs_f64();
    Figure::new(
        "99 fast receivers beside one that hangs: p99 of arrival (without it)",
        "≤ 1.2 ×",
        format!("{with:.0?} ({without:.0?}), {times:.2} ×"),
    )
}

async fn arrivals_p99(databases: &Databases, hangs: bool) -> Duration {
    const FAST: usize = 1980;
    let (bench, receivers) = (CallbackBench::new(databases).await, Receivers::start(99).await);
    if hangs {
        bench.owe(&[receivers::hanging().await], 20).await;
    }
    bench.owe(&receivers.urls, FAST).await;
    let server = bench.serve().await;
    receivers.got(FAST).await;
    drop(server);
    let arrivals = receivers.take();
    let mut times: Vec<_> = arrivals.iter().map(|arrival| arrival.at - arrivals[0].at).collect();
    quantile(&mut times, 0.99)
}
