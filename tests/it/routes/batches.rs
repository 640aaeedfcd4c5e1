//! Batches: all of them, or none.

use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{TestApp, task};

#[tokio::test]
async fn tasks_of_a_batch_are_told_of_together_in_their_order() {
    let app = TestApp::start().await;
    let storage = app.add_storage_with_notify("b", "https://8.8.8.8/notify").await;
    let tasks: Vec<Value> = (0..5).map(|number| task(&storage, &format!("{number}.mp4"))).collect();
    let created = app.post("create_batch", json!({"tasks": tasks})).await.data_without_warnings();
    let ids: Vec<&str> =
        created["task_ids"].as_array().expect("ids").iter().map(|id| id.as_str().expect("an id")).collect();
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(app.task(id).await["output"], format!("file://b/{number}.mp4"));
    }
    let batch = created["batch_id"].as_str().expect("an id");
    assert_eq!(app.get(&format!("list_task?batch_id={batch}")).await.data()["total"], 5);

    for id in ids.iter().rev() {
        assert_eq!(app.get("list_callback").await.data()["total"], 0);
        app.post(&format!("cancel_task?task_id={id}"), Value::Null).await.data();
    }
    let owed = app.get("list_callback").await.data();
    assert_eq!(owed["total"], 1);
    assert_eq!(owed["list"][0]["task_ids"], json!(ids));
    let id = owed["list"][0]["callback_id"].as_str().expect("an id");
    let details = app.get(&format!("query_callback?callback_id={id}")).await.data();
    let body: Value = serde_json::from_str(details["body"].as_str().expect("a text")).expect("JSON");
    assert_eq!(body["msg"], "failed");
    let told: Vec<&Value> =
        body["data"].as_array().expect("entries").iter().map(|one| &one["task_id"]).collect();
    assert_eq!(told, ids);
}

#[rstest]
#[case(json!([]), 400, "BadParam: tasks: is not set, and is needed")]
#[case(json!([{}, {"output": "a.mp4"}]), 400, "BadParam: tasks[1].output: `file://b/a.mp4` is the output of another task of the batch")]
#[case(json!([{}, {"template_name": "none"}]), 404, "EmptyResult: tasks[1]: there is no template `none`")]
#[case(json!([{}, {"output": "../x.mp4"}]), 400, "BadParam: tasks[1].output")]
#[case(json!([{}, {"input": "https://10.0.0.1/a.mov"}]), 400, "BadParam: tasks[1].input")]
#[case(json!([{"output": "taken.mp4"}, {}]), 409, "Conflict: another unfinished task writes to one of these 2 outputs")]
#[tokio::test]
async fn none_is_created_when_one_is_wrong(
    #[case] changes: Value,
    #[case] status: u16,
    #[case] expected: &str,
) {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    app.create_task(&storage, "taken.mp4").await;
    let mut tasks = Vec::new();
    for (number, changes) in changes.as_array().expect("a list").iter().enumerate() {
        let output = if number == 0 { "a.mp4".to_owned() } else { format!("{number}.mp4") };
        let mut one = task(&storage, &output);
        for (name, value) in changes.as_object().expect("fields") {
            one[name] = value.clone();
        }
        tasks.push(one);
    }
    let reply = app.post("create_batch", json!({"tasks": tasks})).await;
    let code = match status {
        400 => 1001,
        404 => 1004,
        _ => 1005,
    };
    let message = reply.refusal(status, code);
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(app.get("list_task").await.data()["total"], 1);
}

#[tokio::test]
async fn a_batch_has_one_storage_and_at_most_a_thousand_tasks() {
    let app = TestApp::start().await;
    let (one, other) = (app.add_storage("one").await, app.add_storage("other").await);
    let tasks = [task(&one, "a.mp4"), task(&other, "a.mp4")];
    let message = app.post("create_batch", json!({"tasks": tasks})).await.refusal(400, 1001);
    assert!(message.starts_with("BadParam: tasks[1].storage_id"), "{message}");
    let tasks: Vec<Value> = (0..1001).map(|number| task(&one, &format!("{number}.mp4"))).collect();
    let message = app.post("create_batch", json!({"tasks": tasks})).await.refusal(400, 1001);
    assert_eq!(message, "BadParam: tasks: has 1001 tasks; give 1 to 1000");
    app.post("create_batch", json!({"tasks": &tasks[..1000]})).await.data();
    assert_eq!(app.get("list_task").await.data()["total"], 1000);
}

#[tokio::test]
async fn a_batch_has_so_many_bytes_with_its_templates() {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    let logo = format!("https://8.8.8.8/{}", "l".repeat(8000));
    let template = json!({
        "template_name": "large", "format": "mp4", "logo_path": logo, "description": "d".repeat(4000),
    });
    app.post("add_template", template).await.data();
    // the request has some kilobytes, and what is stored of it a thousand times as many
    let batch = |folder: &str, count: usize| {
        let mut tasks = Vec::new();
        for number in 0..count {
            let mut task = task(&storage, &format!("{folder}/{number}.mp4"));
            task["template_name"] = json!("large");
            tasks.push(task);
        }
        json!({ "tasks": tasks })
    };
    app.post("create_batch", batch("a", 600)).await.data();
    let message = app.post("create_batch", batch("b", 700)).await.refusal(400, 1001);
    assert!(message.starts_with("BadParam: tasks: have more than 8388608 bytes"), "{message}");
    assert_eq!(app.get("list_task?count=1").await.data()["total"], 600, "all or none are created");
}
