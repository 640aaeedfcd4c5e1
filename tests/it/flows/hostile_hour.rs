//! The hostile hour, some minutes of it: `crate::hostile` says what happens.

use std::time::Duration;

use crate::hostile::{self, Bounds, Plan};

/// Only freezes break the bounds of time: a test is no place to measure in.
const BOUNDS: Bounds = Bounds {
    health: Duration::from_secs(2),
    callback: Duration::from_secs(20),
    sign_in: Duration::from_secs(10),
    memory: 300,
};

#[ignore = "on demand: it takes a whole machine for minutes, and has not been seen to pass on a quiet one yet"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_does_not_notice_what_others_try() {
    let report = hostile::run(Plan::from_environment(Duration::from_secs(120))).await;
    println!("{report}");
    assert_eq!(report.problems(&BOUNDS), [""; 0]);
}
