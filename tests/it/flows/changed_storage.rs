//! A storage's callback URL or its secret is changed while callbacks are owed.

use model::Secret;
use serde_json::{Value, json};

use super::{
    receiver::{ReceivedCallback, Receiver, ReceiverAnswer},
    session::{Session, SessionStorage},
};

/// Adds a storage and ends a task, whose callback's first attempt the receiver refuses; gives the storage
/// and that attempt.
async fn refused_once(session: &Session, receiver: &mut Receiver) -> (SessionStorage, ReceivedCallback) {
    let storage = session.add_storage(json!({"notify": receiver.url, "notify_interval": 1})).await;
    end_a_task(session, &storage.id, "a.mp4").await;
    let first = receiver.next().await;
    first.verify(&storage.secret);
    (storage, first)
}

async fn end_a_task(session: &Session, storage: &str, output: &str) {
    let task = session.create_task(storage, "mp4-720p", &session.url("none.mp4"), output).await;
    session.post(&format!("cancel_task?task_id={task}"), Value::Null).await;
}

async fn change_notify(session: &Session, storage: &SessionStorage, notify: &str) {
    let body = json!({
        "storage_id": storage.id, "type": "file", "bucket": "media", "notify": notify, "notify_interval": 1,
    });
    session.call(reqwest::Method::PUT, "update_storage", body).await;
}

/// Waits until the only callback is owed no more; gives it.
async fn ended_callback(session: &Session) -> Value {
    loop {
        let listed = session.get("list_callback").await;
        assert_eq!(listed["total"], 1, "{listed}");
        if listed["list"][0]["status"] != "owed" {
            return listed["list"][0].clone();
        }
    }
}

async fn start() -> Session {
    Session::start(&["--no-worker"], [].into()).await
}

#[tokio::test]
async fn a_rotated_secret_signs_what_is_owed_already_and_the_old_one_too() {
    let session = start().await;
    let mut receiver = Receiver::start_with(vec![500.into(), 200.into()]).await;
    let (storage, first) = refused_once(&session, &mut receiver).await;
    let rotated = session.post(&format!("rotate_notify_secret?storage_id={}", storage.id), Value::Null).await;
    let new = rotated["notify_secret"].as_str().expect("a secret");

    let second = receiver.next().await;
    second.verify(&storage.secret);
    second.verify(new);
    assert!(!Secret::new(new).expose().is_empty() && new != storage.secret);
    assert_eq!(second.header("webhook-signature").split(' ').count(), 2);
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
    assert_eq!(ended_callback(&session).await["status"], "delivered");
    session.server.stop().await;
}

#[tokio::test]
async fn what_is_owed_goes_to_the_new_address_from_its_next_attempt_on() {
    let session = start().await;
    let (mut old, mut new) = (Receiver::start(500).await, Receiver::start(200).await);
    let (storage, first) = refused_once(&session, &mut old).await;
    change_notify(&session, &storage, &new.url).await;

    let second = new.next().await;
    second.verify(&storage.secret);
    assert_eq!(second.bytes, first.bytes, "the body still names the old address");
    assert_eq!(second.body()["callback_url"], old.url);
    let callback = ended_callback(&session).await;
    assert_eq!((&callback["status"], &callback["attempts"]), (&json!("delivered"), &json!(2)));
    assert_eq!(callback["url"], new.url);
    session.server.stop().await;
    assert!(old.take_unexpected().is_none());
}

#[tokio::test]
async fn an_attempt_in_flight_ends_where_it_began() {
    let session = start().await;
    let (mut old, mut new) = (Receiver::start(200).await, Receiver::start(200).await);
    let storage = session.add_storage(json!({"notify": old.url})).await;
    old.hold();
    end_a_task(&session, &storage.id, "a.mp4").await;
    old.next().await;
    change_notify(&session, &storage, &new.url).await;
    old.release();
    let callback = ended_callback(&session).await;
    assert_eq!((&callback["status"], &callback["attempts"]), (&json!("delivered"), &json!(1)));
    session.server.stop().await;
    assert!(new.take_unexpected().is_none());
}

#[tokio::test]
async fn with_nobody_to_tell_any_more_what_is_owed_is_refused() {
    let session = start().await;
    let mut receiver = Receiver::start_with(vec![ReceiverAnswer::from(500)]).await;
    let (storage, _) = refused_once(&session, &mut receiver).await;
    change_notify(&session, &storage, "").await;
    end_a_task(&session, &storage.id, "b.mp4").await;
    let callback = ended_callback(&session).await;
    assert_eq!((&callback["status"], &callback["attempts"]), (&json!("refused"), &json!(2)), "{callback}");
    let id = callback["callback_id"].as_str().expect("an id");
    let details = session.get(&format!("query_callback?callback_id={id}")).await;
    let error = &details["attempt_list"][1]["error"];
    assert_eq!(*error, "no notify: the storage has none any more, so nobody is told", "{details}");
    session.server.stop().await;
    assert!(receiver.take_unexpected().is_none());
}
