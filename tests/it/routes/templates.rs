//! Templates.

use serde_json::{Value, json};

use crate::app::TestApp;

fn names(list: &Value) -> Vec<&str> {
    let list = list["list"].as_array().expect("a list");
    list.iter().map(|one| one["template_name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn a_template_comes_back_as_it_was_given() {
    let app = TestApp::start().await;
    let body = json!({
        "template_name": "My.tpl_1-a", "format": "hls", "vcodec": "h264", "acodec": "aac",
        "trans_mode": "standard", "resolution": "1280x720", "framerate": 30, "quality": 6.5,
        "video_bitrate": 2500, "audio_bitrate": 96, "gop_size": 60, "gop_seconds": 2, "seg_type": "ts",
        "seg_time": 4, "audio_sample_rate": "44100", "audio_channels": 2,
        "adaptive_streams": [{"resolution": "720p"}, {"resolution": "x360", "quality": 4.0, "framerate": 25}],
        "description": "for tests",
    });
    assert_eq!(app.post("add_template", body.clone()).await.data(), json!({}));
    let mut answered = app.get("query_template?template_name=My.tpl_1-a").await.data_without_warnings();
    let fields = answered.as_object_mut().expect("an object");
    assert_eq!(fields.remove("built_in"), Some(json!(false)));
    assert_eq!(fields.remove("created_at"), Some(json!(crate::app::START.as_secs())));
    assert_eq!(answered, body);
}

#[tokio::test]
async fn an_update_replaces_the_whole() {
    let app = TestApp::start().await;
    let body = json!({"template_name": "t", "format": "mp4", "resolution": "720p", "framerate": 30});
    app.post("add_template", body).await.data();
    app.put("update_template", json!({"template_name": "t", "format": "flv", "quality": 7})).await.data();
    let answered = app.get("query_template?template_name=t").await.data();
    assert_eq!((&answered["format"], &answered["quality"]), (&json!("flv"), &json!(7.0)));
    assert_eq!((answered.get("resolution"), answered.get("framerate")), (None, None));
    let unknown = json!({"template_name": "u", "format": "flv"});
    app.put("update_template", unknown).await.refusal(404, 1004);
}

#[tokio::test]
async fn lists_have_the_newest_first_and_the_predefined_last() {
    let app = TestApp::start().await;
    for name in ["first", "second"] {
        app.post("add_template", json!({"template_name": name, "format": "mp4"})).await.data();
    }
    let data = app.get("list_template").await.data_without_warnings();
    let names = names(&data);
    assert_eq!(data["num"], names.len());
    assert_eq!(names[..2], ["second", "first"]);
    let predefined: Vec<_> =
        model::predefined_templates().iter().map(|one| one.template_name.to_string()).collect();
    assert_eq!(names[2..], predefined);
    assert_eq!((&data["list"][1]["built_in"], &data["list"][2]["built_in"]), (&json!(false), &json!(true)));
}

#[tokio::test]
async fn predefined_templates_can_be_used_but_not_touched() {
    let app = TestApp::start().await;
    let body = json!({"template_name": "mp4-720p", "format": "mp4"});
    let message = app.post("add_template", body.clone()).await.refusal(409, 1005);
    assert!(message.contains("`mp4-720p`"), "{message}");
    for reply in
        [app.put("update_template", body).await, app.delete("del_template?template_name=mp4-720p").await]
    {
        let message = reply.refusal(403, 1006);
        assert!(message.starts_with("Forbidden: `mp4-720p` is a predefined template"), "{message}");
    }
    assert_eq!(app.get("query_template?template_name=mp4-720p").await.data()["built_in"], true);
}

#[tokio::test]
async fn a_name_is_taken_once_and_free_after_it_was_deleted() {
    let app = TestApp::start().await;
    let body = json!({"template_name": "t", "format": "mp4"});
    app.post("add_template", body.clone()).await.data();
    assert!(app.post("add_template", body.clone()).await.refusal(409, 1005).starts_with("Conflict: "));
    assert_eq!(app.delete("del_template?template_name=t").await.data(), json!({}));
    app.delete("del_template?template_name=t").await.refusal(404, 1004);
    app.get("query_template?template_name=t").await.refusal(404, 1004);
    app.post("add_template", body).await.data();
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let app = TestApp::start().await;
    let cases: &[(Value, &str)] = &[
        (json!({"format": "mp4"}), "template_name: is not set"),
        (json!({"template_name": "", "format": "mp4"}), "template_name: is not set"),
        (json!({"template_name": "a b", "format": "mp4"}), "template_name: `a b` is not a name; use 1 to 64"),
        (json!({"template_name": "t"}), "format: is not set"),
        (json!({"template_name": "t", "format": "avi"}), "format: `avi` is not one of `mp4`"),
        (
            json!({"template_name": "t", "format": "mp4", "resolution": "12 x 7"}),
            "resolution: `12 x 7` is not a resolution; give",
        ),
        (
            json!({"template_name": "t", "format": "flv", "vcodec": "h265"}),
            "vcodec: `h265` cannot be put into flv; give `h264`",
        ),
        (
            json!({"template_name": "t", "format": "mp4", "quality": 11}),
            "quality: 11 is out of range; give 1 to 10",
        ),
        (
            json!({"template_name": "t", "format": "mp4", "framerate": "25"}),
            "framerate: `25` is not a whole number",
        ),
        (
            json!({"template_name": "t", "format": "mp4", "audio_sample_rate": 48000}),
            "audio_sample_rate: `48000` is not a text",
        ),
        (
            json!({"template_name": "t", "format": "mp4", "adaptive_streams": [{}]}),
            "adaptive_streams: cannot be put into mp4",
        ),
        (
            json!({"template_name": "t", "format": "hls", "adaptive_streams": [{}, {"resolution": "big"}]}),
            "adaptive_streams[1].resolution: `big` is not a resolution",
        ),
        (
            json!({"template_name": "t", "format": "hls", "adaptive_streams": [{"quality": 0.5}]}),
            "adaptive_streams[0].quality: 0.5 is out of range",
        ),
    ];
    for (body, problem) in cases.iter().cloned() {
        for reply in [app.post("add_template", body.clone()).await, app.put("update_template", body).await] {
            let message = reply.refusal(400, 1001);
            assert!(message.strip_prefix("BadParam: ").expect("the word").starts_with(problem), "{message}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let app = TestApp::start().await;
    for call in ["query_template?template_name=none", "query_template?template_name=a%20b"] {
        assert!(app.get(call).await.refusal(404, 1004).starts_with("EmptyResult: "));
    }
    app.get("query_template").await.refusal(400, 1001);
    app.get("query_template?template_name=").await.refusal(400, 1001);
}
