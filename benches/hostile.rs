//! The hostile hour (`tests/it/hostile`), measured: ten minutes unless `BOREALIS_HOSTILE_SECONDS` says otherwise, an hour
//! with 3600. `BOREALIS_HOSTILE_ATTACKS` takes the names of attacks, with commas, to see what one of them does alone.

#[path = "../tests/it/hostile/mod.rs"]
mod hostile;

use std::{process::ExitCode, time::Duration};

use hostile::{Bounds, Plan};

const BOUNDS: Bounds = Bounds {
    health: Duration::from_millis(100),
    callback: Duration::from_millis(100),
    sign_in: Duration::from_secs(1),
    memory: 300,
};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let report = hostile::run(Plan::from_environment(Duration::from_secs(600))).await;
    println!("{report}");
    let problems = report.problems(&BOUNDS);
    for problem in &problems {
        println!("not reached: {problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
