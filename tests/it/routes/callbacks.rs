//! Callbacks, as they are looked at.

use serde_json::{Value, json};

use crate::app::TestApp;

/// A storage, a cancelled task, and what is listed about its callback.
async fn owed(app: &TestApp) -> (String, String, Value) {
    let storage = app.add_storage_with_notify("b", "https://8.8.8.8/notify?sig=1").await;
    let task_id = app.create_task(&storage, "a.mp4").await;
    app.post(&format!("cancel_task?task_id={task_id}"), Value::Null).await.data();
    let data = app.get("list_callback").await.data_without_warnings();
    assert_eq!((&data["total"], &data["num"]), (&json!(1), &json!(1)));
    (storage, task_id, data["list"][0].clone())
}

#[tokio::test]
async fn a_cancelled_task_owes_a_callback_with_just_the_documented_fields() {
    let app = TestApp::start().await;
    let (storage, task_id, listed) = owed(&app).await;
    let second = crate::app::START.as_secs();
    assert_eq!(
        listed,
        json!({
            "callback_id": listed["callback_id"], "status": "owed", "storage_id": storage, "task_ids": [task_id],
            "url": "https://8.8.8.8/notify?sig=1", "attempts": 0, "created_time": second,
            "next_attempt_time": second, "delivered_time": 0,
        })
    );

    let id = listed["callback_id"].as_str().expect("an id");
    let mut details = app.get(&format!("query_callback?callback_id={id}")).await.data_without_warnings();
    let fields = details.as_object_mut().expect("an object");
    assert_eq!(fields.remove("attempt_list"), Some(json!([])));
    let body = fields.remove("body").expect("a body");
    assert_eq!(details, listed);
    let body: Value = serde_json::from_str(body.as_str().expect("a text")).expect("JSON");
    assert_eq!((&body["code"], &body["msg"]), (&json!(0), &json!("failed")));
    assert_eq!(
        (&body["data"][0]["task_id"], &body["data"][0]["error_code"]),
        (&json!(task_id), &json!(1401))
    );
}

#[tokio::test]
async fn attempts_are_told_in_seconds_and_milliseconds() {
    let app = TestApp::start().await;
    let (_, _, listed) = owed(&app).await;
    let worker = model::WorkerId::generate(&mut rand::rng());
    let store = &app.app.store;
    let want = store::ClaimRequest { queue: "https://8.8.8.8:443 main".to_owned(), retry: false, limit: 1 };
    let claims = store.claim_callbacks(&worker, crate::app::LEASE, &[want]).await.expect("the store");
    let attempt = model::Attempt {
        number: 1,
        time: app.app.clock.now(),
        address: Some("8.8.8.8:443".to_owned()),
        dns_ms: None,
        connect_ms: Some(12),
        first_byte_ms: Some(20),
        total_ms: 21,
        http_status: Some(500),
        error: Some("status: 500".to_owned()),
        response_head: Some("HTTP/1.1 500".to_owned()),
        response_body: Some("no".to_owned()),
    };
    let record = store::AttemptRecord::new(&claims[0], attempt, model::CallbackNext::Exhausted);
    store.record_attempts(&worker, &[record]).await.expect("the store");

    let id = listed["callback_id"].as_str().expect("an id");
    let details = app.get(&format!("query_callback?callback_id={id}")).await.data();
    assert_eq!((&details["status"], &details["attempts"]), (&json!("exhausted"), &json!(1)));
    assert_eq!(details["next_attempt_time"], 0);
    assert_eq!(
        details["attempt_list"],
        json!([{
            "number": 1, "time": crate::app::START.as_secs(), "address": "8.8.8.8:443", "dns_ms": null,
            "connect_ms": 12, "first_byte_ms": 20, "total_ms": 21, "http_status": 500, "error": "status: 500",
            "response_head": "HTTP/1.1 500", "response_body": "no",
        }])
    );
}

#[tokio::test]
async fn lists_are_filtered() {
    let app = TestApp::start().await;
    let (storage, task_id, listed) = owed(&app).await;
    let (second, future) = (crate::app::START.as_secs(), crate::app::START.as_secs() + 1);
    for (query, expected) in [
        ("status=owed".to_owned(), 1),
        ("status=delivered".to_owned(), 0),
        (format!("storage_id={storage}"), 1),
        ("storage_id=0123456789abcdef".to_owned(), 0),
        (format!("task_id={task_id}"), 1),
        ("task_id=20220420111542664667cccc3d179880".to_owned(), 0),
        (format!("start_time={second}&end_time={future}"), 1),
        (format!("start_time={future}000"), 0),
        ("limit=1&skip=1".to_owned(), 0),
    ] {
        let data = app.get(&format!("list_callback?{query}")).await.data_without_warnings();
        assert_eq!(data["num"], expected, "{query}");
        assert!(expected == 0 || data["list"][0] == listed, "{query}");
    }
    let message = app.get("list_callback?status=lost").await.refusal(400, 1001);
    assert!(message.starts_with("BadParam: status: `lost` is not one of `owed`"), "{message}");
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let app = TestApp::start().await;
    for id in ["x", "cb_0123456789abcdef0123456789abcdef"] {
        app.get(&format!("query_callback?callback_id={id}")).await.refusal(404, 1004);
    }
    app.get("query_callback").await.refusal(400, 1001);
}
