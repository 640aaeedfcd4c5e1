//! Planted secrets are nowhere to be found after tasks have run: not in answers, logs, callbacks, the list
//! of processes, the database with its write-ahead log, work folders or outputs.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};
use storage::testing::ObjectStoreServer;

use super::{media_files::clip, receiver::Receiver, session::Session};
use crate::program::SECRET_KEY;

const NOTIFY_SECRET: &str = "whsec_UExBTlRFRC1OT1RJRlktU0VDUkVULW9mLWEtY3VzdG9tZXI=";

/// The signature in a URL's query: answers to its owner show it, logs and the list of processes never do.
const URL_SIGNATURE: &str = "planted-signature-of-a-url";

/// Where a secret could be seen, each with its content.
type Places = Vec<(String, Vec<u8>)>;

/// The command lines of all processes.
fn processes() -> Places {
    let entries = fs::read_dir("/proc").expect("a folder").flatten();
    let command_line = |path: PathBuf| {
        let text = fs::read(path.join("cmdline")).ok()?;
        // the object store's server has its key among its arguments
        let is_object_store = text.windows(10).any(|part| part == b"--auth-key");
        (!is_object_store).then(|| (path.display().to_string(), text))
    };
    entries.filter_map(|entry| command_line(entry.path())).collect()
}

/// Every file below a folder, but for the master key.
fn files(folder: &Path) -> Places {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != "master.key") {
            // a work folder may go away meanwhile
            found.extend(fs::read(&path).ok().map(|content| (path.display().to_string(), content)));
        }
    }
    found
}

fn find(places: &Places, secrets: &[&str]) -> Vec<String> {
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    let found = places.iter().flat_map(|(place, bytes)| {
        secrets.iter().filter(|secret| holds(bytes, secret)).map(move |secret| format!("{secret} in {place}"))
    });
    found.collect()
}

/// Looks at the list of processes, again and again until `stop` is set.
fn watch_processes(
    stop: &Arc<AtomicBool>,
    secrets: Vec<String>,
) -> std::thread::JoinHandle<(usize, Vec<String>)> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let (mut looks, mut found) = (0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let now = processes();
            looks += usize::from(now.iter().any(|(_, line)| line.windows(6).any(|part| part == b"ffmpeg")));
            found.extend(find(&now, &secrets));
            std::thread::yield_now();
        }
        (looks, found)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_secrets_are_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let object_store = ObjectStoreServer::rclone(&["videos"]);
    let input = fs::read(clip(folder.path(), 2)).expect("readable");
    let session = Session::start(&["--set", "log.level=trace"], HashMap::from([("clip.mp4", input)])).await;
    let mut receiver = Receiver::start(200).await;
    let notify = format!("{}?sign={URL_SIGNATURE}", receiver.url);
    let storage = |secret: &str| {
        json!({
            "type": "s3", "bucket": "videos", "endpoint": object_store.endpoint, "notify": notify,
            "notify_secret": NOTIFY_SECRET, "storage_ak": object_store.access_key, "storage_sk": secret,
        })
    };
    let wrong = "planted-secret-that-is-wrong";
    let secrets = [object_store.secret_key.as_str(), wrong, NOTIFY_SECRET, SECRET_KEY];
    let stop = Arc::new(AtomicBool::new(false));
    let watching =
        watch_processes(&stop, secrets.iter().chain(&[URL_SIGNATURE]).map(ToString::to_string).collect());

    // one that succeeds, one whose object store refuses the key, one whose input does not exist
    let mut answers = Vec::new();
    let (good, bad) = (storage(&object_store.secret_key), storage(wrong));
    let good = session.post("add_storage", good).await;
    let bad = session.post("add_storage", bad).await;
    let id = |added: &Value| added["storage_id"].as_str().expect("an id").to_owned();
    let (good_id, bad_id) = (id(&good), id(&bad));
    answers.extend([good, bad]);
    for call in [&good_id, &bad_id].map(|id| format!("check_storage?storage_id={id}")) {
        answers.push(session.post(&call, Value::Null).await);
    }
    let url = |file: &str| format!("{}?sign={URL_SIGNATURE}", session.url(file));
    let tasks = [
        session.create_task(&good_id, "hls-h264", &url("clip.mp4"), "cat").await,
        session.create_task(&bad_id, "mp4-720p", &url("clip.mp4"), "dog.mp4").await,
        session.create_task(&good_id, "mp4-720p", &url("missing.mp4"), "bird.mp4").await,
    ];
    for _ in &tasks {
        answers.push(receiver.next().await.body());
    }
    stop.store(true, Ordering::Relaxed);
    let (looks, in_processes) = watching.join().expect("it watched");
    assert!(looks > 0, "no FFmpeg was seen: the list of processes was not looked at in time");
    assert!(in_processes.is_empty(), "{in_processes:?}");

    for id in &tasks {
        answers.push(session.task(id).await);
        answers.push(session.get(&format!("list_callback?task_id={id}")).await);
    }
    answers.push(session.get("list_storage").await);
    let codes: Vec<_> = answers.iter().filter_map(|answer| answer["code"].as_u64()).collect();
    assert!(codes.contains(&1202) && codes.contains(&1101), "{codes:?}");

    let mut places = files(session.server.data.path());
    assert!(places.iter().any(|(place, _)| place.ends_with("borealis.db")), "the database was looked at");
    let log = session.server.log();
    assert!(log.len() > 10_000, "the log was looked at");
    let logged = vec![("the log".to_owned(), log.into_bytes())];
    assert_eq!(find(&logged, &[URL_SIGNATURE]), [""; 0]);
    places.extend(logged);
    places.push(("the answers".to_owned(), json!(answers).to_string().into_bytes()));
    assert_eq!(find(&places, &secrets), [""; 0]);
    session.server.stop().await;
}
