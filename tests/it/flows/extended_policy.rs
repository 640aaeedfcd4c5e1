//! The extended policy, with the real program: what the receiver asks for is respected.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    receiver::{Receiver, ReceiverAnswer},
    session::Session,
};

/// Ends `count` tasks whose storage has the extended policy, so that as many callbacks are owed.
async fn end_tasks(session: &Session, receiver: &Receiver, count: usize) {
    let storage = session
        .add_storage(json!({"notify": receiver.url, "notify_policy": "extended", "notify_interval": 1}))
        .await;
    for number in 0..count {
        let input = session.url("none.mp4");
        let task = session.create_task(&storage.id, "mp4-720p", &input, &format!("{number}.mp4")).await;
        session.post(&format!("cancel_task?task_id={task}"), Value::Null).await;
    }
}

/// Waits until `count` callbacks have this status.
async fn wait_for(session: &Session, status: &str, count: usize) {
    while session.get(&format!("list_callback?status={status}")).await["total"] != count {}
}

async fn metric(session: &Session, name: &str) -> String {
    let text = session.metrics().await;
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let session = Session::start(&["--no-worker"], [].into()).await;
    let mut receiver = Receiver::start(410).await;
    end_tasks(&session, &receiver, 1).await;
    receiver.next().await;
    wait_for(&session, "exhausted", 1).await;
    assert_eq!(session.get("list_callback").await["list"][0]["attempts"], 1);
    assert_eq!(metric(&session, "borealis_callback_attempts_total{outcome=\"exhausted\"}").await, "1");
    session.server.stop().await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let session = Session::start(&["--no-worker"], [].into()).await;
    let busy = ReceiverAnswer { status: 429, retry_after: Some(3) };
    let mut receiver = Receiver::start_with(vec![busy, 200.into()]).await;
    end_tasks(&session, &receiver, 1).await;
    let (first, second) = (receiver.next().await, receiver.next().await);
    assert!(second.at - first.at >= Duration::from_secs(3), "{:?}", second.at - first.at);
    wait_for(&session, "delivered", 1).await;
    session.server.stop().await;
}

#[tokio::test]
async fn one_that_keeps_failing_is_probed_and_what_was_held_back_uses_up_nothing() {
    const CALLBACKS: usize = 20;
    const FAILURES: usize = 5;
    // with one slot the sixth request can only be the probe
    let flags = ["--no-worker", "--set", "callback.receiver_concurrency=1"];
    let mut session = Session::start(&flags, [].into()).await;
    let mut receiver =
        Receiver::start_with([vec![ReceiverAnswer::from(500); FAILURES], vec![200.into()]].concat()).await;
    receiver.hold();
    end_tasks(&session, &receiver, CALLBACKS).await;
    while metric(&session, "borealis_callbacks_in_flight").await != "1" {}
    receiver.release();
    let mut failed = receiver.next().await;
    for _ in 1..FAILURES {
        failed = receiver.next().await;
    }
    let probe = receiver.next().await;
    assert!(probe.at - failed.at >= Duration::from_secs(5), "{:?}", probe.at - failed.at);
    session.server.wait_for_log("a receiver keeps failing").await;
    session.server.wait_for_log("a receiver answers again").await;
    wait_for(&session, "delivered", CALLBACKS).await;
    // a callback whose attempt failed has another one; those that were held back have one each
    let listed = session.get("list_callback?count=100").await;
    let sum: u64 = listed["list"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|callback| callback["attempts"].as_u64().expect("a number"))
        .sum();
    assert_eq!(sum, (CALLBACKS + FAILURES) as u64);
    while metric(&session, "borealis_callback_breakers_open").await != "0" {}
    session.server.stop().await;
}
