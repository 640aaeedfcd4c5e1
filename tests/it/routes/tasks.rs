//! Tasks, as far as they get without a worker.

use model::{ErrorCode, Failure, OutputFacts, OutputGroup, SourceFacts, TaskEnd, WorkerId};
use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{LEASE, START, TestApp, task};

/// The names of api.md's Task section.
const DOCUMENTED: &str = "task_id input output template_name storage_id region created_time started_time \
    finished_time status duration source_bitrate source_size source_resolution source_framerate \
    source_video_bitrate source_audio_bitrate source_video_codec source_audio_codec output_size \
    output_resolution output_framerate output_bitrate output_media_size ratio spend_time code progress message \
    output_video_codec output_audio_codec format output_audio_samplerate encrypt_info custom_info output_groups";

fn ids(list: &Value) -> Vec<&str> {
    let list = list["list"].as_array().expect("a list");
    list.iter().map(|one| one["task_id"].as_str().expect("an id")).collect()
}

/// Ends the only task that waits, as a worker would.
async fn end_task(app: &TestApp, end: TaskEnd) {
    let store = &app.app.store;
    let worker = WorkerId::generate(&mut rand::rng());
    let claim = store.claim_job(&worker, LEASE).await.expect("the store").expect("a job");
    let source = SourceFacts {
        duration: 30.0,
        size: 4000,
        resolution: "1920x1080".to_owned(),
        video_codec: "h264".to_owned(),
        ..SourceFacts::default()
    };
    store.record_source(&claim, &source).await.expect("the store");
    store.finish_task(&claim, end).await.expect("the store");
}

#[tokio::test]
async fn a_task_has_every_documented_field_from_the_start() {
    let app = TestApp::start().await;
    let storage = app
        .post("add_storage", json!({"type": "file", "bucket": "b", "prefix": "p", "region": "here"}))
        .await
        .data()["storage_id"]
        .clone();
    let body = json!({
        "template_name": "hls-h264", "storage_id": storage, "input": "https://8.8.8.8/a.mov?sig=x%20y",
        "output": "show", "custom_info": "order 7", "priority": 9, "extra_options": {},
    });
    let created = app.post("create_task", body).await.data_without_warnings();
    let task_id = created["task_id"].as_str().expect("an id");
    assert_eq!(task_id.len(), 32);

    let answered = app.task(task_id).await;
    let mut names: Vec<&str> = answered.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut documented: Vec<&str> = DOCUMENTED.split_whitespace().collect();
    names.sort_unstable();
    documented.sort_unstable();
    assert_eq!(names, documented);
    for (field, value) in [
        ("task_id", json!(task_id)),
        ("input", json!("https://8.8.8.8/a.mov?sig=x%20y")),
        ("output", json!("file://b/p/show/master.m3u8")),
        ("template_name", json!("hls-h264")),
        ("storage_id", storage),
        ("region", json!("here")),
        ("created_time", json!(START.as_secs())),
        ("started_time", json!(0)),
        ("status", json!("pending")),
        ("progress", json!(0)),
        ("code", json!(0)),
        ("message", json!("it waits for a worker: none is running")),
        ("custom_info", json!("order 7")),
        ("output_groups", json!([])),
    ] {
        assert_eq!(answered[field], value, "{field}");
    }
}

#[tokio::test]
async fn a_task_that_succeeded_has_its_facts() {
    let app = TestApp::start().await;
    let task_id = app.create_task(&app.add_storage("b").await, "a.mp4").await;
    let facts = OutputFacts {
        duration: 30.0,
        size: 1000,
        media_size: 1000,
        resolution: "1280x720".to_owned(),
        video_codec: "h264".to_owned(),
        audio_samplerate: 48000,
        groups: vec![OutputGroup {
            custom_name: String::new(),
            format: model::GroupFormat::Mp4,
            seg_type: None,
            seg_time: 0,
            output: "file://b/a.mp4".to_owned(),
        }],
        ..OutputFacts::default()
    };
    end_task(&app, TaskEnd::Succeeded(Box::new(facts))).await;
    let answered = app.task(&task_id).await;
    for (field, value) in [
        ("status", json!("succeeded")),
        ("progress", json!(100)),
        ("duration", json!(30.0)),
        ("source_size", json!(4000)),
        ("source_resolution", json!("1920x1080")),
        ("output_size", json!(1000)),
        ("output_resolution", json!("1280x720")),
        ("output_audio_samplerate", json!("48000")),
        ("ratio", json!(0.25)),
        ("finished_time", json!(START.as_secs())),
    ] {
        assert_eq!(answered[field], value, "{field}");
    }
    assert_eq!(answered["output_groups"][0]["output"], "file://b/a.mp4");
}

#[tokio::test]
async fn a_task_that_failed_says_why() {
    let app = TestApp::start().await;
    let task_id = app.create_task(&app.add_storage("b").await, "a.mp4").await;
    end_task(&app, TaskEnd::Failed(Failure::new(ErrorCode::InvalidInput, "no moov box"))).await;
    let answered = app.task(&task_id).await;
    assert_eq!(
        (&answered["status"], &answered["code"], &answered["message"]),
        (&json!("failed"), &json!(1003), &json!("Invalid input file: no moov box"))
    );
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let app = TestApp::start().await;
    let cases: &[(&str, Value, u16, &str)] = &[
        ("template_name", json!(null), 400, "BadParam: template_name: is not set"),
        ("template_name", json!("none"), 404, "EmptyResult: "),
        ("template_name", json!("a b"), 404, "EmptyResult: there is no template `a b`"),
        ("storage_id", json!(""), 400, "BadParam: storage_id: is not set"),
        ("storage_id", json!("0123456789abcdef"), 404, "EmptyResult: "),
        ("storage_id", json!("nonsense"), 404, "EmptyResult: there is no storage `nonsense`"),
        ("input", json!(0), 400, "BadParam: input: is not set"),
        ("input", json!("cat.mov"), 400, "BadParam: input: `cat.mov` is not a URL"),
        ("input", json!("file:///etc/passwd"), 400, "BadParam: input: "),
        ("input", json!("http://127.0.0.1/a.mov"), 400, "BadParam: input: "),
        ("input", json!("http://[::1]/a.mov"), 400, "BadParam: input: "),
        ("input", json!("http://localhost/a.mov"), 400, "BadParam: input: "),
        ("input", json!("https://user:pass@8.8.8.8/a.mov"), 400, "BadParam: input: "),
        ("input", json!(["a"]), 400, "BadParam: input: `[\"a\"]` is not a text"),
        ("output", json!(""), 400, "BadParam: output: is not set"),
        ("output", json!("../a.mp4"), 400, "BadParam: output: has the part `..`"),
        ("output", json!("s3://b/a.mp4"), 400, "BadParam: output: is not in the bucket"),
        (
            "output",
            json!("file://b/elsewhere/a.mp4"),
            400,
            "BadParam: output: is outside the storage's prefix",
        ),
        ("output", json!("folder/"), 400, "BadParam: output: names a folder"),
        ("priority", json!(10), 400, "BadParam: priority: 10 is out of range; give 1 to 9"),
        ("priority", json!("high"), 400, "BadParam: priority: `high` is not a whole number"),
        ("custom_info", json!({"a": 1}), 400, "BadParam: custom_info: `{\"a\":1}` is not a text"),
        (
            "extra_options",
            json!({"start": -5}),
            400,
            "BadParam: extra_options.start: -5 is out of range; give 0",
        ),
        ("extra_options", json!("fast"), 400, "BadParam: extra_options: `fast` is not an object"),
    ];
    for (field, value, status, problem) in cases.iter().cloned() {
        let storage = app
            .post("add_storage", json!({"type": "file", "bucket": "b", "prefix": "p"}))
            .await
            .data()["storage_id"]
            .clone();
        let mut body = task(storage.as_str().expect("an id"), "a.mp4");
        body[field] = value;
        let reply = app.post("create_task", body).await;
        let message = reply.refusal(status, if status == 404 { 1004 } else { 1001 });
        assert!(message.starts_with(problem), "{message}");
        assert!(!message.contains("pass@"), "{message}");
        assert_eq!(app.get("list_task").await.data(), json!({"total": 0, "num": 0, "list": []}));
    }
}

#[tokio::test]
async fn a_task_keeps_the_template_it_was_created_with() {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    app.post("add_template", json!({"template_name": "t", "format": "mp4"})).await.data();
    let mut body = task(&storage, "a");
    body["template_name"] = json!("t");
    let created = app.post("create_task", body).await.data();
    app.put("update_template", json!({"template_name": "t", "format": "flv"})).await.data();
    app.delete("del_template?template_name=t").await.data();
    let answered = app.task(created["task_id"].as_str().expect("an id")).await;
    assert_eq!((&answered["format"], &answered["output"]), (&json!("mp4"), &json!("file://b/a.mp4")));
}

#[tokio::test]
async fn the_output_of_an_unfinished_task_is_taken() {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    let first = app.create_task(&storage, "a.mp4").await;
    for output in ["a.mp4", "/a", "file://b/a.mp4"] {
        let message = app.post("create_task", task(&storage, output)).await.refusal(409, 1005);
        assert!(message.starts_with("Conflict: "), "{message}");
    }
    app.create_task(&storage, "b.mp4").await;
    app.post(&format!("cancel_task?task_id={first}"), Value::Null).await.data();
    let second = app.create_task(&storage, "a.mp4").await;
    // and the first cannot come back while the second is unfinished
    app.post(&format!("retry_task?task_id={first}"), Value::Null).await.refusal(409, 1005);
    assert_eq!(app.task(&second).await["status"], "pending");
}

#[tokio::test]
async fn a_task_is_cancelled_once_and_can_run_again() {
    let app = TestApp::start().await;
    let task_id = app.create_task(&app.add_storage("b").await, "a.mp4").await;
    let (cancel, retry) = (format!("cancel_task?task_id={task_id}"), format!("retry_task?task_id={task_id}"));
    assert!(
        app.post(&retry, Value::Null).await.refusal(409, 1005).starts_with("Conflict: the task is pending")
    );
    assert_eq!(app.post(&cancel, Value::Null).await.data(), json!({}));
    let answered = app.task(&task_id).await;
    assert_eq!(
        (&answered["status"], &answered["code"], &answered["message"]),
        (&json!("cancelled"), &json!(1401), &json!("Cancelled"))
    );
    assert!(app.post(&cancel, Value::Null).await.refusal(409, 1005).contains("cancelled"));
    assert_eq!(app.post(&retry, Value::Null).await.data(), json!({}));
    let answered = app.task(&task_id).await;
    assert_eq!((&answered["status"], &answered["code"]), (&json!("pending"), &json!(0)));
}

#[rstest]
#[case("query_task")]
#[case("cancel_task")]
#[case("retry_task")]
#[case("del_task")]
#[tokio::test]
async fn what_is_not_there_is_404(#[case] call: &str) {
    let app = TestApp::start().await;
    let send = |query: &str| {
        let (app, call) = (&app, format!("{call}{query}"));
        async move {
            match call.split('_').next() {
                Some("query") => app.get(&call).await,
                Some("del") => app.delete(&call).await,
                _ => app.post(&call, Value::Null).await,
            }
        }
    };
    send("?task_id=20220420111542664667cccc3d179880").await.refusal(404, 1004);
    assert_eq!(send("?task_id=x").await.refusal(404, 1004), "EmptyResult: there is no task `x`");
    assert_eq!(send("").await.refusal(400, 1001), "BadParam: task_id: is not set, and is needed");
    send("?task_id=").await.refusal(400, 1001);
}

#[tokio::test]
async fn lists_are_cut_in_both_styles() {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    let mut created = Vec::new();
    for number in 0..25 {
        created.insert(0, app.create_task(&storage, &number.to_string()).await);
    }
    let list = |query: &str| {
        let (app, call) = (&app, format!("list_task{query}"));
        async move { app.get(&call).await.data_without_warnings() }
    };
    for (query, expected) in [
        ("", &created[..20]),
        ("?count=0&start_num=0&start_time=0&end_time=0&status=", &created[..20]),
        ("?count=5", &created[..5]),
        ("?count=5&start_num=3", &created[3..8]),
        ("?limit=5&skip=3", &created[3..8]),
        ("?count=1000&start_num=20", &created[20..]),
        ("?start_num=25", &[][..]),
        ("?start_num=4000000000", &[][..]),
    ] {
        let data = list(query).await;
        assert_eq!(ids(&data), expected, "{query}");
        assert_eq!((&data["total"], &data["num"]), (&json!(25), &json!(expected.len())), "{query}");
    }
}

#[tokio::test]
async fn lists_are_filtered() {
    let app = TestApp::start().await;
    let (one, other) = (app.add_storage("one").await, app.add_storage("other").await);
    let a = app.create_task(&one, "a").await;
    let mut body = task(&other, "b");
    body["custom_info"] = json!("my info & more");
    body["template_name"] = json!("flv-720p");
    let b = app.post("create_task", body).await.data()["task_id"].as_str().expect("an id").to_owned();
    app.post(&format!("cancel_task?task_id={a}"), Value::Null).await.data();

    let (start, past, future) = (START.as_secs(), START.as_secs() - 1, START.as_secs() + 1);
    for (query, expected) in [
        ("status=cancelled".to_owned(), vec![&a]),
        ("status=pending".to_owned(), vec![&b]),
        ("status=failed".to_owned(), vec![]),
        (format!("storage_id={one}"), vec![&a]),
        ("template_name=flv-720p".to_owned(), vec![&b]),
        ("custom_info=my+info+%26%20more".to_owned(), vec![&b]),
        ("batch_id=20220420111542664667cccc3d179880".to_owned(), vec![]),
        (format!("start_time={start}"), vec![&b, &a]),
        (format!("start_time={start}000&end_time={future}000"), vec![&b, &a]),
        (format!("start_time={future}"), vec![]),
        (format!("end_time={past}"), vec![]),
        (format!("end_time={future}&status=pending"), vec![&b]),
    ] {
        let data = app.get(&format!("list_task?{query}")).await.data_without_warnings();
        assert_eq!(ids(&data), expected, "{query}");
        assert_eq!(data["total"], expected.len(), "{query}");
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let app = TestApp::start().await;
    let cases: &[(&str, &str)] = &[
        ("count=ten", "count: `ten` is not a whole number"),
        ("count=-1", "count: `-1` is not a whole number"),
        ("count=1001", "count: 1001 is out of range; give 1 to 1000"),
        ("limit=1001", "limit: 1001 is out of range; give 1 to 1000"),
        ("skip=1.5", "skip: `1.5` is not a whole number"),
        ("start_num=x", "start_num: `x` is not a whole number"),
        ("start_time=yesterday", "start_time: `yesterday` is not a whole number"),
        (
            "end_time=99999999999999999999",
            "end_time: `99999999999999999999` is not a whole number within range",
        ),
        ("status=done", "status: `done` is not one of `pending`, `downloading`"),
        ("storage_id=x", "storage_id: `x` is not a storage id: 16 hex digits"),
        ("batch_id=x", "batch_id: `x` is not a batch id"),
    ];
    for (query, problem) in cases.iter().cloned() {
        let message = app.get(&format!("list_task?{query}")).await.refusal(400, 1001);
        assert!(message.strip_prefix("BadParam: ").expect("the word").starts_with(problem), "{message}");
    }
}

#[tokio::test]
async fn what_is_more_urgent_goes_first() {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    for (output, priority) in [("low", 1), ("usual", 0), ("high", 9)] {
        let mut body = task(&storage, output);
        body["priority"] = json!(priority);
        app.post("create_task", body).await.data_without_warnings();
    }
    for expected in ["file://b/high.mp4", "file://b/usual.mp4", "file://b/low.mp4"] {
        let worker = WorkerId::generate(&mut rand::rng());
        let claim = app.app.store.claim_job(&worker, LEASE).await.expect("the store").expect("a job");
        assert_eq!(claim.task.output_uri, expected);
    }
}

#[tokio::test]
async fn an_ended_task_is_deleted() {
    let app = TestApp::start().await;
    let task_id = app.create_task(&app.add_storage("b").await, "a").await;
    let call = format!("del_task?task_id={task_id}");
    let message = app.delete(&call).await.refusal(409, 1005);
    assert_eq!(message, "Conflict: the task is pending; only an ended one can be deleted");
    app.post(&format!("cancel_task?task_id={task_id}"), Value::Null).await.data();
    assert_eq!(app.delete(&call).await.data_without_warnings(), json!({}));
    app.delete(&call).await.refusal(404, 1004);
    assert_eq!(app.get("list_task").await.data()["total"], 0);
}

#[rstest]
#[case::itself(
    "file://b/in/cat.mp4",
    "in/cat.mp4",
    "`file://b/in/cat.mp4` would take the place of the input `file://b/in/cat.mp4`; give another"
)]
#[case::a_link(
    "file://b/in/link.mp4",
    "in/cat.mp4",
    "`file://b/in/cat.mp4` would take the place of the input `file://b/in/link.mp4`; give another"
)]
#[case::another_bucket(
    "file://alias/in/cat.mp4",
    "in/cat.mp4",
    "`file://b/in/cat.mp4` would take the place of the input `file://alias/in/cat.mp4`; give another"
)]
#[case::beside(
    "file://b/a.mp4.files/thumbnails/thumb_00001.jpg",
    "a.mp4",
    "`file://b/a.mp4` would take the place of the input `file://b/a.mp4.files/thumbnails/thumb_00001.jpg`; give another"
)]
#[case::of_another_task(
    "https://8.8.8.8/x.mp4",
    "in/read.mp4",
    "`file://b/in/read.mp4` is the input of the unfinished task `TASK`; give another"
)]
#[case::of_an_output(
    "https://8.8.8.8/x.mp4",
    "a.hls/720p/init.mp4",
    "`720p/init.mp4` is a name that outputs give to their own objects in `a.hls`"
)]
#[tokio::test]
async fn an_output_takes_nothing_away(#[case] input: &str, #[case] output: &str, #[case] problem: &str) {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    let root = app.app.settings.server.storage_dir();
    std::os::unix::fs::symlink("b", root.join("alias")).expect("made");
    app.add_storage("alias").await;
    std::fs::create_dir(root.join("b/in")).expect("made");
    std::fs::write(root.join("b/in/cat.mp4"), "a source").expect("written");
    std::os::unix::fs::symlink("cat.mp4", root.join("b/in/link.mp4")).expect("made");
    let task_of = |input: &str, output: &str| {
        let mut body = task(&storage, output);
        body["input"] = json!(input);
        body
    };
    let reader = app.post("create_task", task_of("file://b/in/read.mp4", "other.mp4")).await.data();
    let reader = reader["task_id"].as_str().expect("an id");

    let message = app.post("create_task", task_of(input, output)).await.refusal(400, 1001);
    assert_eq!(message, format!("BadParam: output: {}", problem.replace("TASK", reader)));
    let batch = json!({"tasks": [task_of("https://8.8.8.8/y.mp4", "y.mp4"), task_of(input, output)]});
    app.post("create_batch", batch).await.refusal(400, 1001);
    assert_eq!(app.get("list_task").await.data()["total"], 1);

    // what is like it and takes nothing away
    app.post("create_task", task_of("file://b/in/cat.mp4", "cat.mp4")).await.data();
    app.post("create_task", task_of("https://8.8.8.8/x.mp4", "a.hls/720p/mine.mp4")).await.data();
    app.post(&format!("cancel_task?task_id={reader}"), Value::Null).await.data();
    app.post("create_task", task_of("https://8.8.8.8/x.mp4", "in/read.mp4")).await.data();
}

#[tokio::test]
async fn a_task_may_read_what_an_earlier_one_writes() {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    app.create_task(&storage, "first.mp4").await;
    let mut next = task(&storage, "second.mp4");
    next["input"] = json!("file://b/first.mp4");
    app.post("create_task", next).await.data();
}
