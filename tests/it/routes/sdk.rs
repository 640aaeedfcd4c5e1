//! What the two generations of the Go SDK send, to the letter: every field, empty strings and zeros
//! for what is not set, `Content-Type` on GET and DELETE.

use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};

use crate::app::{ApiReply, TestApp};

/// Sends a request with the headers of Go's client and of the SDK.
async fn go(app: &TestApp, method: Method, call: &str, body: &str) -> ApiReply {
    let request = Request::builder()
        .method(method)
        .uri(format!("/vodencoding/v1/{call}"))
        .header("Host", "vod.example.com")
        .header("User-Agent", "Go-http-client/1.1")
        .header("Auth-Type", "use-basic")
        .header("Authorization", app.admin.basic())
        .header("Content-Type", "application/json")
        .header("Accept-Encoding", "gzip");
    let request = if body.is_empty() { request } else { request.header("Content-Length", body.len()) };
    app.send(request.body(Body::from(body.to_owned())).expect("a request")).await
}

const ADD_STORAGE: &str = r#"{"type":"file","region":"","bucket":"vod","prefix":"out/","notify":"https://8.8.8.8/cb","storage_ak":"","storage_sk":""}"#;

/// The newer generation has every field, without omitempty.
const NEWER_TEMPLATE: &str = r#"{"template_name":"sdk-hls","format":"hls","vcodec":"h264","acodec":"aac","trans_mode":"","resolution":"","framerate":0,"quality":0,"video_bitrate":0,"audio_bitrate":0,"gop_size":0,"gop_seconds":0,"seg_type":"ts","seg_time":6,"audio_sample_rate":"","audio_channels":0,"logo_path":"","logo_size":"","logo_offset":"","adaptive_streams":[{"vcodec":"","quality":5,"resolution":"1280x720","framerate":0,"video_bitrate":0,"audio_bitrate":0},{"vcodec":"h264","quality":0,"resolution":"640x360","framerate":25,"video_bitrate":800,"audio_bitrate":0}],"also":"","encryption":{"provider":"","mode":"","drm_systems":null,"key_url":"","http_method":"","headers":null},"thumbnail":null,"description":"","created_at":0,"built_in":false}"#;

/// The oldest one spells the audio's bit rate its own way, and always sends a frame rate of 25 and
/// a quality of 5.
const OLDER_TEMPLATE: &str = r#"{"template_name":"sdk-mp4","format":"mp4","vcodec":"h264","acodec":"aac","trans_mode":"standard","resolution":"1280x720","framerate":25,"quality":5,"video_bitrate":0,"audioBitrate":96,"gop_size":0,"seg_type":"","seg_time":0,"audio_sample_rate":"44100","audio_channels":2,"logo_path":"","thumbnail":{"start_point":0,"interval":0,"number":0,"width":0,"height":0},"description":""}"#;

async fn create_task(app: &TestApp, template: &str, storage: &str, output: &str) -> String {
    let body = format!(
        r#"{{"template_name":"{template}","storage_id":"{storage}","input":"http://8.8.8.8/in.mp4","output":"{output}","custom_info":"","extra_options":null,"priority":0}}"#
    );
    let data = go(app, Method::POST, "create_task", &body).await.data_without_warnings();
    data["task_id"].as_str().expect("an id").to_owned()
}

async fn add_storage(app: &TestApp) -> String {
    let data = go(app, Method::POST, "add_storage", ADD_STORAGE).await.data_without_warnings();
    data["storage_id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn the_newer_generation() {
    let app = TestApp::start().await;
    let storage = add_storage(&app).await;
    let listed = go(&app, Method::GET, "list_storage", "").await.data_without_warnings();
    assert_eq!((&listed["num"], &listed["list"][0]["prefix"]), (&json!(1), &json!("out")));

    go(&app, Method::POST, "add_template", NEWER_TEMPLATE).await.data_without_warnings();
    go(&app, Method::PUT, "update_template", NEWER_TEMPLATE).await.data_without_warnings();
    let template =
        go(&app, Method::GET, "query_template?template_name=sdk-hls", "").await.data_without_warnings();
    assert_eq!(
        template["adaptive_streams"],
        json!([
            {"quality": 5.0, "resolution": "1280x720"},
            {"vcodec": "h264", "resolution": "640x360", "framerate": 25, "video_bitrate": 800},
        ])
    );
    for unset in ["framerate", "quality", "thumbnail", "encryption", "also"] {
        assert_eq!(template.get(unset), None, "{unset}");
    }
    let templates = go(&app, Method::GET, "list_template", "").await.data_without_warnings();
    assert_eq!(templates["num"], model::predefined_templates().len() + 1);

    let task_id = create_task(&app, "sdk-hls", &storage, "show/master.m3u8").await;
    let call = format!("query_task?task_id={task_id}");
    let task = go(&app, Method::GET, &call, "").await.data_without_warnings();
    assert_eq!(task["output"], "file://vod/out/show/master.m3u8");
    let call = "list_task?count=10&start_num=0&start_time=0&end_time=0&status=";
    let tasks = go(&app, Method::GET, call, "").await.data_without_warnings();
    assert_eq!((&tasks["total"], &tasks["list"][0]), (&json!(1), &task));

    go(&app, Method::DELETE, "del_template?template_name=sdk-hls", "").await.data_without_warnings();
    let call = format!("del_storage?storage_id={storage}");
    go(&app, Method::DELETE, &call, "").await.refusal(409, 1005);
}

#[tokio::test]
async fn the_older_generation() {
    let app = TestApp::start().await;
    let storage = add_storage(&app).await;
    go(&app, Method::POST, "add_template", OLDER_TEMPLATE).await.data_without_warnings();
    let template =
        go(&app, Method::GET, "query_template?template_name=sdk-mp4", "").await.data_without_warnings();
    assert_eq!((&template["audio_bitrate"], &template["framerate"]), (&json!(96), &json!(25)));
    assert_eq!(template.get("audioBitrate"), None);

    let task_id = create_task(&app, "sdk-mp4", &storage, "a.mp4").await;
    let tasks = go(&app, Method::GET, "list_task?limit=10&skip=0", "").await.data_without_warnings();
    assert_eq!((&tasks["num"], &tasks["list"][0]["task_id"]), (&json!(1), &json!(task_id)));
}

#[tokio::test]
async fn both_spellings_of_the_audio_bit_rate_when_one_is_not_set() {
    let app = TestApp::start().await;
    let body = r#"{"template_name":"t","format":"mp4","audio_bitrate":0,"audioBitrate":64}"#;
    go(&app, Method::POST, "add_template", body).await.data_without_warnings();
    let template: Value = go(&app, Method::GET, "query_template?template_name=t", "").await.data();
    assert_eq!(template["audio_bitrate"], 64);
}
