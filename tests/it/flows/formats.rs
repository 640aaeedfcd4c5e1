//! Both generations of the Go SDK, all four formats, both databases: the output is what the template
//! says, and one callback describes all of it.

use rstest::rstest;
use serde_json::{Value, json};
use store::testing::{DatabaseKind, database};

use super::{
    media_files::{assert_decodes, clip, probe_stream},
    receiver::{ReceivedCallback, Receiver},
    session::Session,
};

/// A template as the newer SDK sends it: every field, unset ones as empty strings and zeros.
fn newer(name: &str, format: &str) -> Value {
    json!({
        "template_name": name, "format": format, "vcodec": "h264", "acodec": "", "trans_mode": "",
        "resolution": "", "framerate": 0, "quality": 0.0, "video_bitrate": 0, "audio_bitrate": 0,
        "gop_size": 0, "gop_seconds": 0, "seg_type": "", "seg_time": 0, "audio_sample_rate": "",
        "audio_channels": 0, "logo_path": "", "logo_size": "", "logo_offset": "",
        "adaptive_streams": null,
        "encryption": {"provider": "", "mode": "", "drm_systems": null, "key_url": "", "http_method": "", "headers": null},
        "thumbnail": null, "description": "",
    })
}

/// A template as the oldest SDK sends it: few fields, its own spelling, 25 frames a second always.
fn older(name: &str, format: &str) -> Value {
    json!({
        "template_name": name, "format": format, "vcodec": "h264", "resolution": "640x360",
        "framerate": 25, "quality": 5.0, "audioBitrate": 96,
    })
}

fn with(mut template: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().expect("fields") {
        template[name] = value.clone();
    }
    template
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn every_format_comes_out_as_its_template_says_and_is_told_once(#[case] kind: DatabaseKind) {
    let folder = tempfile::tempdir().expect("a folder");
    let input = std::fs::read(clip(folder.path(), 5)).expect("readable");
    let database = database(kind).await;
    let key = folder.path().join("master.key");
    let flags =
        ["--database-url", &database.url, "--set", &format!("keys.master_key_file={}", key.display())];
    let session = Session::start(&flags, [("clip.mp4", input)].into()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"prefix": "vod", "notify": receiver.url})).await;

    let ladder = json!([
        {"vcodec": "", "quality": 0, "resolution": "1280x720", "framerate": 0},
        {"vcodec": "", "quality": 0, "resolution": "640x360", "framerate": 0, "video_bitrate": 0, "audio_bitrate": 0},
    ]);
    let templates = [
        with(
            newer("new-mp4", "mp4"),
            json!({"resolution": "1280x720", "framerate": 30, "audio_sample_rate": "44100", "audio_channels": 1}),
        ),
        older("old-flv", "flv"),
        with(newer("new-hls", "hls"), json!({"seg_type": "ts", "seg_time": 2, "adaptive_streams": ladder})),
        with(newer("new-hls-fmp4", "hls"), json!({"seg_type": "fmp4", "seg_time": 2, "resolution": "360p"})),
        with(older("old-dash", "dash"), json!({"seg_time": 2, "adaptive_streams": ladder})),
        with(newer("new-copy", "hls"), json!({"vcodec": "copy", "acodec": "copy"})),
    ];
    let mut tasks = Vec::new();
    for template in templates {
        session.post("add_template", template.clone()).await;
        let name = template["template_name"].as_str().expect("a name");
        tasks.push((
            session.create_task(&storage.id, name, &session.url("clip.mp4"), name).await,
            name.to_owned(),
        ));
    }

    let mut callbacks = Vec::new();
    for _ in &tasks {
        let received = receiver.next().await;
        received.verify(&storage.secret);
        callbacks.push(received);
    }
    for (id, name) in &tasks {
        let received = callbacks
            .iter()
            .find(|received| received.body()["data"][0]["task_id"] == *id)
            .expect("its callback");
        let entry = assert_complete(received, &receiver.url);
        assert_same(&session.task(id).await, &entry);
        assert_as_template(&session, name, &entry);
    }
    session.server.stop().await;
    assert!(receiver.take_unexpected().is_none(), "one callback for each task");
}

/// Fails unless a succeeded task's callback has every documented field; gives the task's entry.
fn assert_complete(received: &ReceivedCallback, url: &str) -> Value {
    let body = received.body();
    assert_eq!(
        (&body["code"], &body["msg"], &body["callback_url"]),
        (&json!(0), &json!("succeeded"), &json!(url)),
        "{body}"
    );
    assert_eq!(received.header("content-type"), "application/json");
    let entry = body["data"][0].clone();
    assert_eq!(entry["status"], "succeeded", "{entry}");
    for field in [
        "task_id",
        "input",
        "output",
        "format",
        "source_resolution",
        "source_video_codec",
        "source_audio_codec",
        "output_resolution",
        "output_video_codec",
        "output_audio_codec",
        "output_audio_samplerate",
        "custom_info",
    ] {
        assert!(entry[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {entry}");
    }
    for field in [
        "duration",
        "spend_time",
        "source_bitrate",
        "source_size",
        "source_framerate",
        "source_video_bitrate",
        "source_audio_bitrate",
        "output_size",
        "output_framerate",
        "output_bitrate",
        "output_media_size",
    ] {
        assert!(entry[field].as_f64().is_some_and(|number| number > 0.0), "{field}: {entry}");
    }
    assert!(entry["output_groups"][0]["output"].is_string(), "{entry}");
    entry
}

/// Fails unless `query_task` answers what the callback says.
fn assert_same(task: &Value, entry: &Value) {
    for (field, value) in entry.as_object().expect("fields") {
        assert_eq!(&task[field], value, "{field}");
    }
    assert_eq!((&task["progress"], &task["code"]), (&json!(100), &json!(0)), "{task}");
}

fn assert_as_template(session: &Session, name: &str, entry: &Value) {
    let uri = entry["output"].as_str().expect("a URI");
    let (path, size, rate, audio_format) = match name {
        "new-mp4" => ("new-mp4.mp4", (1280, 720), "25/1", ("44100", 1)),
        "old-flv" => ("old-flv.flv", (640, 360), "25/1", ("48000", 1)),
        "new-hls" => ("new-hls/master.m3u8", (1280, 720), "50/1", ("48000", 1)),
        "new-hls-fmp4" => ("new-hls-fmp4/master.m3u8", (640, 360), "50/1", ("48000", 1)),
        "new-copy" => ("new-copy/master.m3u8", (1280, 720), "50/1", ("44100", 1)),
        "old-dash" => ("old-dash/manifest.mpd", (1280, 720), "25/1", ("48000", 1)),
        other => panic!("no such template: {other}"),
    };
    assert_eq!(uri, format!("file://media/vod/{path}"));
    assert_eq!(entry["output_resolution"], format!("{}x{}", size.0, size.1), "{entry}");
    let duration = entry["duration"].as_f64().expect("a number");
    assert!((duration - 5.0).abs() < 0.1, "{duration}");

    let file = session.object(uri);
    assert_decodes(&file);
    if name != "old-dash" {
        // the ffprobe of these tools does not read DASH manifests
        let (video, audio) = (probe_stream(&file, "v"), probe_stream(&file, "a"));
        assert_eq!((&video["codec_name"], &audio["codec_name"]), (&json!("h264"), &json!("aac")), "{name}");
        assert_eq!((&video["width"], &video["height"]), (&json!(size.0), &json!(size.1)), "{name}");
        assert_eq!(video["avg_frame_rate"], rate, "{name}: {video}");
        assert_eq!(
            (&audio["sample_rate"], &audio["channels"]),
            (&json!(audio_format.0), &json!(audio_format.1)),
            "{name}"
        );
    }
}
