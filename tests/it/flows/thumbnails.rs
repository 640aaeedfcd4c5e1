//! Thumbnails beside an output, and a logo over its video.

use model::Format;
use serde_json::{Value, json};

use super::{
    media_files::{clip, logo},
    receiver::Receiver,
    session::Session,
};

/// The names of the objects in a folder, sorted.
fn objects(session: &Session, folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(session.object(folder)).expect("a folder").flatten() {
        names.push(entry.file_name().into_string().expect("a name"));
    }
    names.sort();
    names
}

#[tokio::test]
async fn pictures_are_found_by_the_callback() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = std::fs::read(clip(folder.path(), 3)).expect("readable");
    let session = Session::start(&[], [("clip.mp4", input)].into()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let mut transcode = async |format: Format, thumbnail: Value| {
        let template = json!({
            "template_name": format!("{format}-{}", thumbnail["interval"]), "format": format, "seg_time": 2,
            "resolution": "180p", "thumbnail": thumbnail,
        });
        let name = template["template_name"].as_str().expect("a name").to_owned();
        session.post("add_template", template).await;
        session.create_task(&storage.id, &name, &session.url("clip.mp4"), &format!("out/{format}")).await;
        receiver.next().await.body()["data"][0]["output_groups"].clone()
    };
    for (format, beside) in [(Format::Mp4, "out/mp4.mp4.files"), (Format::Hls, "out/hls/master.hls")] {
        let groups = transcode(format, json!({"interval": 1, "width": 160, "height": 90})).await;
        let folder = format!("file://media/{beside}/thumbnails");
        assert_eq!(groups[0]["format"], json!(format), "{groups}");
        assert_eq!(groups[1]["output"], format!("{folder}/thumb_00001.jpg"), "{groups}");
        assert_eq!((&groups[1]["custom_name"], &groups[1]["format"]), (&json!("thumbnails"), &json!("jpg")));
        assert_eq!((&groups[2]["custom_name"], &groups[2]["format"]), (&json!("storyboard"), &json!("vtt")));
        assert_eq!(groups[2]["output"], format!("{folder}/storyboard.vtt"));
        let all =
            ["sprite_001.jpg", "storyboard.vtt", "thumb_00001.jpg", "thumb_00002.jpg", "thumb_00003.jpg"];
        assert_eq!(objects(&session, &folder), all);

        // fewer of them leave none of the earlier ones behind
        transcode(format, json!({"interval": 2, "width": 160, "height": 90})).await;
        assert_eq!(objects(&session, &folder), [all[0], all[1], all[2], all[3]]);
    }
    session.server.stop().await;
}

#[tokio::test]
async fn a_logo_is_fetched_like_an_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let read = |file| std::fs::read(file).expect("readable");
    let files = [("clip.mp4", read(clip(folder.path(), 1))), ("logo.png", read(logo(folder.path())))];
    let session = Session::start(&[], files.into()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    for (file, code, words) in [
        ("logo.png", Value::Null, ""),
        ("absent.png", json!(1101), "absent.png: the server answered 404"),
        ("clip.mp4", json!(1003), "logo_path is not a PNG"),
    ] {
        let logo = json!({
            "template_name": file, "format": "mp4", "resolution": "180p", "logo_path": session.url(file),
            "logo_size": "20%x", "logo_offset": "-5%x-5%",
        });
        session.post("add_template", logo).await;
        session.create_task(&storage.id, file, &session.url("clip.mp4"), file).await;
        let entry = receiver.next().await.body()["data"][0].clone();
        assert_eq!(entry["error_code"], code, "{entry}");
        assert!(entry["error_msg"].as_str().unwrap_or_default().contains(words), "{entry}");
    }
    session.server.stop().await;
}
