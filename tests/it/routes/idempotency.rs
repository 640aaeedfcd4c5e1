//! `Idempotency-Key`: the same call is made once, and answered the same.

use model::Role;
use serde_json::{Value, json};

use crate::app::{TestApp, task};

#[tokio::test]
async fn the_same_call_is_made_once() {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    for (call, body) in [
        ("add_storage", json!({"type": "file", "bucket": "c", "typo": 1})),
        ("add_template", json!({"template_name": "mine", "format": "mp4"})),
        ("create_task", task(&storage, "a.mp4")),
        ("create_batch", json!({"tasks": [task(&storage, "b.mp4")]})),
        ("add_key", json!({"role": "read"})),
    ] {
        let first = app.post_named(&app.admin, call, call, &body).await;
        let again = app.post_named(&app.admin, call, call, &body).await;
        assert_eq!(first.data(), again.data(), "{call}");
        assert_eq!(
            (first.header("idempotent-replayed"), again.header("idempotent-replayed")),
            (None, Some("true"))
        );
        let message =
            app.post_named(&app.admin, call, call, &json!({"another": "body"})).await.refusal(409, 1005);
        assert!(message.starts_with("Conflict: Idempotency-Key: a different call"), "{message}");
    }
    assert_eq!(app.get("list_storage").await.data()["num"], 2);
    assert_eq!(app.get("list_task").await.data()["total"], 2);
    assert_eq!(app.get("list_key").await.data()["num"], 2);
    // another call is another one, whatever its body
    app.post_named(&app.admin, "create_task", "create_batch", &task(&storage, "a.mp4"))
        .await
        .refusal(409, 1005);
}

#[tokio::test]
async fn calls_that_come_together_are_one() {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    let body = task(&storage, "a.mp4");
    let calls = (0..6).map(|_| app.post_named(&app.admin, "k", "create_task", &body));
    let replies = futures::future::join_all(calls).await;
    let ids: Vec<Value> = replies.iter().map(|reply| reply.data()["task_id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(app.get("list_task").await.data()["total"], 1);
}

#[tokio::test]
async fn a_refused_call_may_come_again() {
    let app = TestApp::start().await;
    let body = json!({"template_name": "mine", "format": "mp4"});
    app.post_named(&app.admin, "k", "add_template", &json!({"template_name": "mine"}))
        .await
        .refusal(400, 1001);
    app.post_named(&app.admin, "k", "add_template", &body).await.data();
    for name in ["", "é", &"x".repeat(256)] {
        app.post_named(&app.admin, name, "add_template", &body).await.refusal(400, 1001);
    }
}

#[tokio::test]
async fn an_answer_is_for_the_key_that_asked() {
    let app = TestApp::start().await;
    let body = json!({"type": "file", "bucket": "b"});
    let first = app.post_named(&app.admin, "k", "add_storage", &body).await.data();
    let secret = first["notify_secret"].as_str().expect("a secret");
    for (tenant, role, status) in
        [("main", Role::Member, 409), ("main", Role::Read, 409), ("other", Role::Read, 403)]
    {
        let other = app.add_key(tenant, role).await;
        let reply = app.post_named(&other, "k", "add_storage", &body).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(!reply.text.contains(secret));
    }
    let theirs = app.add_key("other", Role::Member).await;
    let elsewhere = json!({"type": "file", "bucket": "c"});
    let other = app.post_named(&theirs, "k", "add_storage", &elsewhere).await.data();
    assert_ne!(other["storage_id"], first["storage_id"]);
}
