//! Media tools that an input has taken over, in a whole server: what they link in their output folder does not reach
//! the storage, neither while the task runs nor at its end.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use rstest::rstest;
use serde_json::{Value, json};

use super::{
    media_files::{noise, tools},
    receiver::Receiver,
    session::Session,
};
use crate::wait::until;

const SECRET: &str = "what only the server may read";

/// A folder with the tools, of which the packager does this in its current folder before it works.
fn tools_with(folder: &Path, script: &str) {
    let real = tools();
    for (name, program) in [("ffmpeg", &real.ffmpeg), ("ffprobe", &real.ffprobe)] {
        std::os::unix::fs::symlink(fs::canonicalize(program).expect("there"), folder.join(name))
            .expect("linked");
    }
    let packager = fs::canonicalize(&real.packager).expect("there");
    let script = format!("#!/bin/sh\n{script}\nexec {} \"$@\"\n", packager.display());
    fs::write(folder.join("packager"), script).expect("written");
    fs::set_permissions(folder.join("packager"), fs::Permissions::from_mode(0o755)).expect("set");
}

/// Everything that is in a folder and below, as one text.
fn contents(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        text += &if path.is_dir() {
            contents(&path)
        } else {
            String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned()
        };
    }
    text
}

/// `SECRET` in the scripts is the path of a secret of the server's, its master key.
#[rstest]
#[case::segment("ln -s SECRET out/files/72p/x; mv out/files/72p/x out/files/72p/seg_99999.ts")]
#[case::hard_link("ln SECRET out/files/72p/x; mv out/files/72p/x out/files/72p/seg_99999.ts")]
#[case::playlist(
    "ln -s SECRET out/x; mv out/x out/files/72p/playlist.m3u8; ln -s SECRET out/files/72p/seg_99999.ts"
)]
#[case::unreported("ln -s SECRET out/files/leak.ts")]
#[case::folder("ln -s SECRET/.. out/files/leak")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_in_an_output_is_not_followed(#[case] script: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    fs::write(&secret, SECRET).expect("written");
    let tools = folder.path().join("tools");
    fs::create_dir(&tools).expect("made");
    tools_with(&tools, &script.replace("SECRET", &secret.display().to_string()));
    // inside the sandbox there is nothing to link to
    let tools = format!("media.tools={}", tools.display());
    let flags = ["--set", &tools, "--set", "media.sandbox=off"];
    let session = Session::start(&flags, [("cat.mp4", noise(folder.path()))].into()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let template = json!({"template_name": "small", "format": "hls", "resolution": "72p"});
    session.post("add_template", template).await;
    let id = session.create_task(&storage.id, "small", &session.url("cat.mp4"), "cat/main.m3u8").await;
    receiver.next().await;
    let task: Value = session.task(&id).await;
    assert_eq!((&task["status"], &task["code"]), (&json!("failed"), &json!(1301)), "{task}");
    assert!(!task.to_string().contains(SECRET), "{task}");
    let stored = session.server.data.path().join("storage");
    assert!(!contents(&stored).contains(SECRET), "the secret is in the bucket");
    // what was put of the task is removed
    until(|| !stored.join("media/cat/main.hls/72p/seg_99999.ts").exists()).await;
    session.server.stop().await;
}
