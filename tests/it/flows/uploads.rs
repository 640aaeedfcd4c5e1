//! A file of the customer's own machine is uploaded and transcoded.

use serde_json::{Value, json};

use super::{
    media_files::{assert_decodes, clip},
    receiver::Receiver,
    session::Session,
};

#[tokio::test]
async fn a_file_that_is_sent_is_transcoded() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = clip(folder.path(), 1);
    let session = Session::start(&[], [].into()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let file = clip.to_str().expect("a text");
    let create = ["task", "create", file, "--template", "mp4-720p", "--storage", &storage.id];
    let task: Value = session.server.run_json_command(&[&create[..], &["--wait"]].concat()).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let output = format!("file://media/{}.mp4", clip.file_stem().expect("a name").display());
    assert_eq!(task["output"], output);
    assert_decodes(&session.object(&output));

    let entry = receiver.next().await.body()["data"][0].clone();
    assert!(entry["input"].as_str().expect("a text").starts_with("upload://"), "{entry}");
    assert_eq!((&entry["input"], &entry["output"]), (&task["input"], &task["output"]));
    session.server.stop().await;
}
