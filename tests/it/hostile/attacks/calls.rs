//! Calls that are allowed, in numbers that nobody needs.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use rand::RngExt as _;
use reqwest::{Body, Method};
use serde_json::{Value, json};
use tokio::time::interval;

use crate::hostile::attacker::{Attacker, at_once, pace};

/// Where nobody listens.
const NOWHERE: &str = "http://127.1.0.9:9/none.mp4";

fn tasks(storage: &str, template: &str, batch: usize, count: usize, custom_info: &str) -> Value {
    let task = |number| {
        json!({
            "template_name": template, "storage_id": storage, "input": NOWHERE,
            "output": format!("{batch}-{count}/{number}.mp4"), "custom_info": custom_info,
        })
    };
    json!({"tasks": (0..count).map(task).collect::<Vec<_>>()})
}

/// Pages of 1,000, of tasks with long texts.
pub(super) async fn lists(mut attacker: Attacker) {
    let Some(storage) = attacker.add_storage(json!({"type": "file", "bucket": "lists"})).await else {
        return;
    };
    attacker.post("create_batch", tasks(&storage, "mp4-360p", 0, 1000, &"c".repeat(700))).await;
    at_once(&mut attacker, 3, |mut attacker| async move {
        let mut pace = pace(100);
        loop {
            pace.tick().await;
            let skipped = attacker.rng.random_range(0..1000);
            for list in ["list_task?count=1000", "list_callback?count=1000", "list_template", "list_storage"]
            {
                attacker.get(list).await;
                attacker.get(&format!("list_task?count=1000&status=failed&start_num={skipped}")).await;
            }
        }
    })
    .await;
}

/// Answers that the server has to keep.
pub(super) async fn idempotency(mut attacker: Attacker) {
    let Some(storage) = attacker.add_storage(json!({"type": "file", "bucket": "keys"})).await else { return };
    at_once(&mut attacker, 2, |attacker| repeat_calls(attacker, storage.clone())).await;
}

async fn repeat_calls(mut attacker: Attacker, storage: String) {
    let mut pace = pace(50);
    loop {
        pace.tick().await;
        let key = attacker.rng.random::<u64>().to_string();
        let task = json!({
            "template_name": "mp4-360p", "storage_id": storage, "input": NOWHERE, "output": key.as_str(),
        });
        let call = || {
            let request = attacker.request(Method::POST, "create_task");
            let request =
                request.header("authorization", attacker.basic()).header("idempotency-key", key.as_str());
            attacker.send(request.body(task.to_string()))
        };
        let id = |answer: Option<String>| {
            let envelope: Value = serde_json::from_str(&answer?).ok()?;
            Some(envelope["data"]["task_id"].as_str()?.to_owned())
        };
        if let (Some(first), Some(second)) = (id(call().await), id(call().await)) {
            attacker.tally.count(if first == second { "the same answer" } else { "another answer" });
            attacker.call(Method::POST, &format!("cancel_task?task_id={first}"), "").await;
        }
    }
}

/// Writes that touch what callbacks read.
pub(super) async fn storage_changes(mut attacker: Attacker) {
    let storage = json!({"type": "file", "bucket": "changes", "notify": NOWHERE});
    let Some(storage) = attacker.add_storage(storage).await else { return };
    at_once(&mut attacker, 3, |attacker| change_storage(attacker, storage.clone())).await;
}

async fn change_storage(mut attacker: Attacker, storage: String) {
    let mut pace = pace(50);
    loop {
        pace.tick().await;
        let number = attacker.rng.random_range(0..1000);
        let change = json!({
            "storage_id": storage, "type": "file", "bucket": "changes", "prefix": format!("p{number}"),
            "notify": format!("{NOWHERE}?{number}"),
        });
        attacker.call(Method::PUT, "update_storage", change.to_string()).await;
        attacker.call(Method::POST, &format!("rotate_notify_secret?storage_id={storage}"), "").await;
    }
}

/// A template is copied into each task of a batch: 1 MiB of calls may become a gigabyte of rows.
pub(super) async fn batches(attacker: Attacker) {
    let Some(storage) = attacker.add_storage(json!({"type": "file", "bucket": "batches"})).await else {
        return;
    };
    let mut names = vec!["mp4-360p".to_owned()];
    for size in [1 << 10, 4 << 10, 64 << 10, 1_000_000] {
        let (name, description) = (format!("big-{size}"), "d".repeat(size));
        let template = json!({"template_name": name, "format": "mp4", "description": description});
        if attacker.post("add_template", template).await.is_some() {
            names.push(name);
        }
    }
    let mut pace = pace(5000);
    for (number, name) in names.iter().cycle().enumerate() {
        for (count, text) in [(1000, 700), (12, 64 << 10), (1, 1_000_000)] {
            pace.tick().await;
            attacker.post("create_batch", tasks(&storage, name, number, count, &"c".repeat(text))).await;
        }
    }
}

/// Bytes that never end, until they are refused, and files that end and are kept.
pub(super) async fn uploads(mut attacker: Attacker) {
    at_once(&mut attacker, 4, |mut attacker| async move {
        let mut pace = pace(1000);
        loop {
            pace.tick().await;
            let zeros = stream::unfold(interval(Duration::from_millis(20)), async |mut tick| {
                tick.tick().await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(&[0; 256 << 10])), tick))
            });
            let chunks = if attacker.rng.random() { 64 } else { usize::MAX };
            attacker.call(Method::POST, "upload?name=zeros", Body::wrap_stream(zeros.take(chunks))).await;
        }
    })
    .await;
}

/// Good tasks that are not let go on.
pub(super) async fn cancels(mut attacker: Attacker) {
    let Some(storage) = attacker.add_storage(json!({"type": "file", "bucket": "cancels"})).await else {
        return;
    };
    at_once(&mut attacker, 3, |attacker| cancel(attacker, storage.clone())).await;
}

async fn cancel(mut attacker: Attacker, storage: String) {
    loop {
        let number: u64 = attacker.rng.random();
        let (clip, output) = (attacker.target.clip.clone(), format!("{number}.mp4"));
        let mut pace = pace(attacker.rng.random_range(50..3000));
        pace.tick().await;
        pace.tick().await;
        let Some(task) = attacker.create_task(&storage, &clip, &output).await else { continue };
        for call in ["cancel_task", "retry_task", "cancel_task"] {
            pace.tick().await;
            attacker.call(Method::POST, &format!("{call}?task_id={task}"), "").await;
        }
    }
}
