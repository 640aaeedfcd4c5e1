//! What an operator does about callbacks: sends them again, tries a receiver, rotates its secret,
//! points it elsewhere.

use axum::{Router, body::Body, extract::Request, http::HeaderMap, routing};
use callback::sign::{self, SignatureHeaders};
use model::{Secret, Timestamp};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use crate::app::TestApp;

type RequestQueue = mpsc::UnboundedReceiver<(HeaderMap, Vec<u8>)>;

/// A receiver that says 200; gives its URL and what it gets.
async fn receiver() -> (String, RequestQueue) {
    let (told, received) = mpsc::unbounded_channel();
    let post = move |request: Request<Body>| {
        let told = told.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
            told.send((parts.headers, body.to_vec())).expect("the test listens");
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    tokio::spawn(
        async move { axum::serve(listener, Router::new().route("/hook", routing::post(post))).await },
    );
    (url, received)
}

fn verifies(secret: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name| headers[name].to_str().expect("ASCII");
    let (id, timestamp, signature) =
        (header(sign::ID_HEADER), header(sign::TIMESTAMP_HEADER), header(sign::SIGNATURE_HEADER));
    let at = Timestamp::from_millis(timestamp.parse::<i64>().expect("seconds") * 1000);
    sign::verify(&Secret::new(secret), SignatureHeaders { id, timestamp, signature }, body, at).is_ok()
}

#[tokio::test]
async fn a_ping_is_signed_by_both_secrets_while_one_is_rotated_out() {
    let app = TestApp::with(&["net.allow_networks=127.0.0.0/8"]).await;
    let (url, mut received) = receiver().await;
    let added = app.post("add_storage", json!({"type": "file", "bucket": "b", "notify": url})).await.data();
    let (id, old) =
        (added["storage_id"].as_str().expect("an id"), added["notify_secret"].as_str().expect("a secret"));

    let pinged =
        app.post(&format!("ping_storage?storage_id={id}"), Value::Null).await.data_without_warnings();
    assert_eq!((&pinged["delivered"], &pinged["attempt"]["http_status"]), (&json!(true), &json!(200)));
    let (headers, body) = received.recv().await.expect("a ping");
    assert_eq!(headers[sign::ID_HEADER], pinged["callback_id"].as_str().expect("an id"));
    assert!(verifies(old, &headers, &body));
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body, json!({"code": 0, "msg": "succeeded", "callback_url": url, "data": []}));

    let call = format!("rotate_notify_secret?storage_id={id}");
    let rotated = app.post(&call, Value::Null).await.data_without_warnings();
    let new = rotated["notify_secret"].as_str().expect("a secret");
    let day = rotated["old_secret_until"].as_i64().expect("a time") - crate::app::START.as_secs();
    assert!((86_400..86_401).contains(&day), "{day}");
    app.post(&format!("ping_storage?storage_id={id}"), Value::Null).await.data();
    let (headers, body) = received.recv().await.expect("a ping");
    assert!(verifies(old, &headers, &body) && verifies(new, &headers, &body));
    assert_eq!(app.get("list_callback").await.data()["total"], 0, "a ping is not kept");
}

#[tokio::test]
async fn what_is_owed_follows_its_storage_and_is_sent_again_on_demand() {
    let app = TestApp::start().await;
    let storage = app.add_storage_with_notify("b", "https://8.8.8.8/old").await;
    let task = app.create_task(&storage, "a.mp4").await;
    app.post(&format!("cancel_task?task_id={task}"), Value::Null).await.data();
    let update = json!({
        "storage_id": storage, "type": "file", "bucket": "b", "notify": "https://8.8.4.4/new",
        "notify_policy": "extended", "notify_success": "2xx",
    });
    app.put("update_storage", update.clone()).await.data_without_warnings();
    let listed = app.get("list_callback").await.data()["list"][0].clone();
    assert_eq!((&listed["url"], &listed["status"]), (&json!("https://8.8.4.4/new"), &json!("owed")));

    let worker = model::WorkerId::generate(&mut rand::rng());
    let want =
        store::ClaimRequest { queue: "https://8.8.4.4:443 main extended".to_owned(), retry: false, limit: 1 };
    let claims = app.app.store.claim_callbacks(&worker, crate::app::LEASE, &[want]).await.expect("the store");
    assert_eq!(claims[0].storage.notify_settings.success, model::NotifySuccess::Any2xx);
    let id = listed["callback_id"].as_str().expect("an id");
    let again = format!("redeliver_callback?callback_id={id}");
    let message = app.post(&again, Value::Null).await.refusal(409, 1005);
    assert!(message.contains("is being sent now"), "{message}");
    app.app.store.give_back_callbacks(&worker, &claims).await.expect("the store");
    app.post(&again, Value::Null).await.data_without_warnings();
    let recover = json!({"storage_id": storage, "since": 1});
    assert_eq!(app.post("recover_callback", recover.clone()).await.data()["num"], 1);

    // with nobody to tell there is nothing to send again
    let mut silent = update;
    silent["notify"] = json!("");
    app.put("update_storage", silent).await.data();
    app.post(&again, Value::Null).await.refusal(409, 1005);
    app.post("recover_callback", recover).await.refusal(409, 1005);
    app.post(&format!("ping_storage?storage_id={storage}"), Value::Null).await.refusal(409, 1005);
}

#[tokio::test]
async fn what_receivers_may_want_to_know_is_public() {
    let app = TestApp::with(&["callback.source_addresses=203.0.113.7,198.51.100.0/24"]).await;
    let request =
        Request::get("/.well-known/borealis-callbacks.json").body(Body::empty()).expect("a request");
    let said: Value = serde_json::from_str(&app.send(request).await.text).expect("JSON");
    assert_eq!(said["source_addresses"], json!(["203.0.113.7", "198.51.100.0/24"]));
    assert_eq!(said["headers"]["id"], "webhook-id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_rotated_beside_another_change_is_kept() {
    let app = TestApp::start().await;
    let body = json!({"type": "file", "bucket": "b", "notify": "https://8.8.8.8/hook"});
    let added = app.post("add_storage", body.clone()).await.data();
    let id = added["storage_id"].as_str().expect("an id");
    let rotate_call = format!("rotate_notify_secret?storage_id={id}");
    for round in 0..20 {
        let mut changed = body.clone();
        changed["storage_id"] = json!(id);
        changed["name"] = json!(format!("round {round}"));
        let (rotated, updated) =
            tokio::join!(app.post(&rotate_call, Value::Null), app.put("update_storage", changed));
        updated.data();
        let secret = rotated.data()["notify_secret"].as_str().expect("a secret").to_owned();
        let tenant = model::TenantId::main();
        let stored = app.app.store.storage(&tenant, &id.parse().expect("an id")).await.expect("it is there");
        assert_eq!((stored.notify_secret, stored.name), (Secret::new(secret), format!("round {round}")));
    }
}
