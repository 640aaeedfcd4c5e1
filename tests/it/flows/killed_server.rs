//! The server is killed again and again while tasks run: each task ends once and has one callback, and no
//! process that a server started is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::json;

use super::{media_files::clip, receiver::Receiver, session::Session};
use crate::wait::until;

const TASKS: usize = 30;
const KILLS: usize = 6;

#[tokio::test]
async fn killed_again_and_again_each_task_ends_once_and_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = std::fs::read(clip(folder.path(), 2)).expect("readable");
    let mut session = Session::start(&["--set", "worker.capacity=4"], [("clip.mp4", input)].into()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let mut tasks = BTreeSet::new();
    for number in 0..TASKS {
        let (template, output) = match number % 3 {
            0 => ("hls-h264", format!("{number}")),
            1 => ("dash-h264", format!("{number}")),
            _ => ("mp4-720p", format!("{number}.mp4")),
        };
        tasks.insert(session.create_task(&storage.id, template, &session.url("clip.mp4"), &output).await);
    }

    let mut received: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..KILLS {
        // the kill comes at whatever the server does when the next callback has come
        let id = receiver.next().await.body()["data"][0]["task_id"].as_str().expect("an id").to_owned();
        *received.entry(id).or_default() += 1;
        session.server.kill().await;
        wait_until_no_tool_runs_in(session.server.data.path()).await;
        session.server.restart(&["--set", "worker.capacity=4"]).await;
    }
    while received.len() < TASKS {
        let body = receiver.next().await.body();
        let entry = &body["data"][0];
        assert_eq!(entry["status"], "succeeded", "{body}");
        *received.entry(entry["task_id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }

    assert_eq!(received.keys().cloned().collect::<BTreeSet<_>>(), tasks);
    // only an attempt that was in flight at a kill may be made again
    assert!(received.values().sum::<usize>() <= TASKS + KILLS, "{received:?}");
    let owed = session.get("list_callback?limit=1000").await;
    assert_eq!(owed["total"], TASKS, "each task owed one callback");
    for id in &tasks {
        assert_eq!(session.task(id).await["status"], "succeeded");
    }
    let data = session.server.data.path().to_owned();
    session.server.stop().await;
    wait_until_nothing_runs_in(&data).await;
}

/// Waits until no media tool works in a data directory: the kernel kills the children of a killed server, but
/// not at the same moment. A sandbox that was just being set up, with no tool in it, is left to the next
/// server.
async fn wait_until_no_tool_runs_in(data: &Path) {
    until(|| is_quiet(data, &|process| !children(process).is_empty())).await;
}

/// Waits until no process works in a data directory.
async fn wait_until_nothing_runs_in(data: &Path) {
    until(|| is_quiet(data, &|_| true)).await;
}

/// Whether no process that counts works in a data directory; prints one that does.
fn is_quiet(data: &Path, counts: &dyn Fn(&Path) -> bool) -> bool {
    let Some(command) = process_in(data, counts) else { return true };
    println!("still there: {command}");
    false
}

/// The children of a process of `/proc`.
fn children(process: &Path) -> String {
    let id = process.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    std::fs::read_to_string(process.join(format!("task/{id}/children"))).unwrap_or_default()
}

/// The command line of a process that `counts` and has the directory among its arguments.
fn process_in(data: &Path, counts: &dyn Fn(&Path) -> bool) -> Option<String> {
    let data = data.to_str().expect("a text");
    std::fs::read_dir("/proc").expect("there").flatten().find_map(|process| {
        let command = std::fs::read(process.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        (command.contains(data) && counts(&process.path())).then_some(command)
    })
}
