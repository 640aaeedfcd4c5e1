//! What the server keeps is for nobody else on its machine to read; outputs are as readable as its umask says.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use serde_json::json;

use super::{media_files::clip, receiver::Receiver, session::Session};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o777
}

/// Every file and folder below, but for those of outputs.
fn own_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| name == "storage") {
            continue;
        }
        if path.is_dir() {
            own_files(&path, found);
        }
        found.push(path);
    }
}

#[tokio::test]
async fn nobody_else_reads_what_the_server_keeps() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = clip(folder.path(), 1);
    let session = Session::start(&[], [].into()).await;
    let receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let file = clip.to_str().expect("a text");
    let create = ["task", "create", file, "--template", "mp4-720p", "--storage", &storage.id, "--wait"];
    let task: serde_json::Value = session.server.run_json_command(&create).await;
    assert_eq!(task["status"], "succeeded", "{task}");

    let data = session.server.data.path();
    let mut own = Vec::new();
    own_files(data, &mut own);
    let has = |part: &str| own.iter().any(|path| path.display().to_string().contains(part));
    assert!(has("borealis.db") && has("master.key") && has("uploads/") && has("work/"), "{own:?}");
    assert_eq!(mode(data), 0o700);
    for path in own.iter().filter(|path| path.parent() == Some(data) || path.is_file()) {
        assert_eq!(mode(path) & 0o077, 0, "{}: {:o}", path.display(), mode(path));
    }
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(umask);
    let output = session.object(task["output"].as_str().expect("a text"));
    assert_eq!(mode(&output), 0o666 & !umask.as_raw_mode());
    session.server.stop().await;
}
