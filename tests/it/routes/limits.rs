//! How much a key may do, and what the server says of itself.

use model::{Role, WorkerId};
use serde_json::{Value, json};

use crate::app::{LEASE, TestApp, task};

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_again() {
    let app = TestApp::with(&["limits.requests_per_second=1"]).await;
    let other = app.add_key("main", Role::Read).await;
    // at one a second, not all of these can be let in
    let mut refused = None;
    for _ in 0..200 {
        let reply = app.get("info").await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("one too many");
    assert!(refused.refusal(429, 1007).starts_with("RateLimited: "));
    assert_eq!(refused.header("retry-after"), Some("1"));
    app.call_as(&other, axum::http::Method::GET, "info", Value::Null).await.data();
}

#[tokio::test]
async fn waiting_and_running_tasks_are_counted_by_key() {
    let app = TestApp::with(&["limits.queued_tasks=2", "limits.running_tasks=1"]).await;
    let storage = app.add_storage("b").await;
    let first = app.create_task(&storage, "1").await;
    let both = json!({"tasks": [task(&storage, "2"), task(&storage, "3")]});
    let refused = app.post("create_batch", both).await;
    assert_eq!(refused.refusal(429, 1007), "RateLimited: the key has 1 queued tasks, and may have 2");
    assert_eq!(refused.header("retry-after"), Some("10"));
    let worker = WorkerId::generate(&mut rand::rng());
    app.app.store.claim_job(&worker, LEASE).await.expect("the store").expect("a job");
    let refused = app.post("create_task", task(&storage, "2")).await.refusal(429, 1007);
    assert_eq!(refused, "RateLimited: the key has 1 running tasks, and may have 1");
    let member = app.add_key("main", Role::Member).await;
    app.call_as(&member, axum::http::Method::POST, "create_task", task(&storage, "2")).await.data();
    app.post(&format!("cancel_task?task_id={first}"), Value::Null).await.data();
    app.create_task(&storage, "3").await;
}

#[tokio::test]
async fn the_server_says_what_it_can_do() {
    let app = TestApp::with(&["limits.queued_tasks=7", "api.upload_limit=3MiB"]).await;
    let worker = WorkerId::generate(&mut rand::rng());
    app.app.store.record_heartbeat(&worker, 4, "", LEASE).await.expect("the store");
    let info = app.get("info").await.data_without_warnings();
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info["formats"], json!(["mp4", "hls", "dash", "flv"]));
    assert_eq!((&info["workers"], &info["worker_capacity"]), (&json!(1), &json!(4)));
    assert_eq!((&info["limits"]["queued_tasks"], &info["limits"]["upload"]), (&json!(7), &json!(3 << 20)));
}
