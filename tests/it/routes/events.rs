//! The event stream of a task.

use std::pin::Pin;

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use borealis::api;
use futures::{Stream, StreamExt as _};
use model::{Role, Stage, TaskEnd, WorkerId};
use serde_json::{Value, json};

use crate::app::{Key, LEASE, TestApp, task};

/// A stream of events, as a client reads it.
struct Events {
    status: u16,
    chunks: Pin<Box<dyn Stream<Item = String>>>,
    text: String,
}

#[derive(Debug, PartialEq)]
struct ServerSentEvent {
    id: String,
    name: String,
    data: Value,
}

impl Events {
    async fn of(app: &TestApp, task_id: &str, last: Option<&str>) -> Self {
        Self::of_key(app, &app.admin, task_id, last).await
    }

    async fn of_key(app: &TestApp, key: &Key, task_id: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(format!("{}/task_events?task_id={task_id}", api::BASE_PATH))
            .header(header::AUTHORIZATION, key.basic());
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = app.open(request.body(Body::empty()).expect("a request")).await;
        let status = response.status().as_u16();
        let chunks = response.into_body().into_data_stream();
        let chunks = chunks.map(|chunk| String::from_utf8(chunk.expect("a chunk").into()).expect("UTF-8"));
        Self { status, chunks: Box::pin(chunks), text: String::new() }
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<ServerSentEvent> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim_start_matches(": ").to_owned()
                };
                let data = field("data");
                let (id, name) = (field("id"), field("event"));
                self.text = rest.to_owned();
                if data.is_empty() {
                    // a comment, which keeps the connection alive
                    continue;
                }
                return Some(ServerSentEvent { id, name, data: serde_json::from_str(&data).expect("JSON") });
            }
            self.text += &self.chunks.next().await?;
        }
    }
}

#[tokio::test]
async fn a_task_is_watched_to_its_end() {
    let app = TestApp::start().await;
    let task_id = app.create_task(&app.add_storage("b").await, "a").await;
    let mut events = Events::of(&app, &task_id, None).await;
    let store = &app.app.store;
    let summary = |event: &ServerSentEvent| {
        (event.name.clone(), event.data["status"].clone(), event.data["progress"].clone())
    };

    let first = events.next().await.expect("an event");
    assert_eq!(summary(&first), ("status".to_owned(), json!("pending"), json!(0)));
    let worker = WorkerId::generate(&mut rand::rng());
    let claim = store.claim_job(&worker, LEASE).await.expect("the store").expect("a job");
    let second = events.next().await.expect("an event");
    assert_eq!(summary(&second), ("status".to_owned(), json!("downloading"), json!(0)));
    store.update_progress(&claim, Stage::Running, 40, "").await.expect("the store");
    assert_eq!(
        summary(&events.next().await.expect("an event")),
        ("status".to_owned(), json!("running"), json!(40))
    );
    store.update_progress(&claim, Stage::Running, 60, "").await.expect("the store");
    let fourth = events.next().await.expect("an event");
    assert_eq!(summary(&fourth), ("progress".to_owned(), json!("running"), json!(60)));

    // other clients come back, and receive what they have not had
    let mut up_to_date = Events::of(&app, &task_id, Some(&fourth.id)).await;
    let mut behind = Events::of(&app, &task_id, Some(&second.id)).await;
    assert_eq!(behind.next().await.expect("an event").id, fourth.id);
    store.finish_task(&claim, TaskEnd::Cancelled).await.expect("the store");
    let last = events.next().await.expect("an event");
    assert_eq!((&last.name[..], &last.data), ("status", &app.task(&task_id).await));
    assert_eq!(events.next().await, None);
    for events in [&mut up_to_date, &mut behind] {
        assert_eq!(events.next().await.as_ref(), Some(&last));
        assert_eq!(events.next().await, None);
    }
    assert_eq!(Events::of(&app, &task_id, Some(&last.id)).await.status, 204);
    let mut late = Events::of(&app, &task_id, None).await;
    assert_eq!((late.next().await, late.next().await), (Some(last), None));
}

#[tokio::test]
async fn what_another_process_does_is_seen_too() {
    let app = TestApp::start().await;
    let task_id = app.create_task(&app.add_storage("b").await, "a").await;
    let mut events = Events::of(&app, &task_id, None).await;
    events.next().await.expect("an event");
    let settings = app.app.settings.clone();
    let other = borealis::app::App::new(settings).await.expect("another process over the same data");
    let id = task_id.parse().expect("an id");
    other.store.cancel_task(&model::TenantId::main(), &id).await.expect("cancelled");
    assert_eq!(events.next().await.expect("an event").data["status"], "cancelled");
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn the_number_of_streams_is_limited() {
    let app = TestApp::with(&["api.event_streams=1"]).await;
    let task_id = app.create_task(&app.add_storage("b").await, "a").await;
    let call = format!("task_events?task_id={task_id}");
    let mut first = Events::of(&app, &task_id, None).await;
    first.next().await.expect("an event");
    let refused = app.get(&call).await;
    refused.refusal(429, 1007);
    assert_eq!(refused.header("retry-after"), Some("10"));
    drop(first);
    Events::of(&app, &task_id, None).await.next().await.expect("an event");
}

#[tokio::test]
async fn one_tenant_does_not_take_all_streams() {
    let app = TestApp::with(&["api.event_streams=3", "api.tenant_event_streams=2"]).await;
    let task_id = app.create_task(&app.add_storage("b").await, "a").await;
    let mut own = vec![Events::of(&app, &task_id, None).await, Events::of(&app, &task_id, None).await];
    let refused = app.get(&format!("task_events?task_id={task_id}")).await.refusal(429, 1007);
    assert!(refused.contains("one tenant"), "{refused}");

    let other = app.add_key("other", Role::Admin).await;
    let storage = app.call_as(&other, Method::POST, "add_storage", json!({"type": "file", "bucket": "c"}));
    let storage = storage.await.data()["storage_id"].as_str().expect("an id").to_owned();
    let created = app.call_as(&other, Method::POST, "create_task", task(&storage, "a")).await.data();
    let others = created["task_id"].as_str().expect("an id");
    let mut watched = Events::of_key(&app, &other, others, None).await;
    watched.next().await.expect("an event");
    own.pop();
    Events::of(&app, &task_id, None).await.next().await.expect("an event");
}

#[tokio::test]
async fn a_deleted_key_sees_no_more() {
    let app = TestApp::start().await;
    let task_id = app.create_task(&app.add_storage("b").await, "a").await;
    let mut events = Events::of(&app, &task_id, None).await;
    events.next().await.expect("an event");
    app.post("add_key", json!({"role": "admin"})).await.data();
    app.delete(&format!("del_key?access_key={}", app.admin.access_key)).await.data();
    assert_eq!(events.next().await, None);
}
