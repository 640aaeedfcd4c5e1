//! Every bound of `model::limits`: a value at it goes through, and one beyond is refused with an error that says
//! so. Bounds that no call alone can show are held by a test of their own, which is named here.

use std::{fs, path::Path};

use axum::http::Method;
use model::{
    AccessKey, Role, Storage, StorageType, TenantId,
    limits::{self, Limit, MAX_LIST_BYTES, MAX_TENANT_KEYS, MAX_TENANT_STORAGES, MAX_TENANT_TEMPLATES},
};
use serde_json::{Value, json};

use crate::app::{ApiReply, TestApp, task};

/// The tests that hold the other bounds.
const HELD_ELSEWHERE: &[(&str, &str)] = &[
    ("MAX_BATCH_BYTES", "a_batch_has_so_many_bytes_with_its_templates"),
    ("MAX_NAMED_UNKNOWN_FIELDS", "of_very_many_unknown_fields_a_few_are_named"),
    ("MAX_TENANT_STORAGES", "a_tenant_has_so_much_at_most"),
    ("MAX_TENANT_TEMPLATES", "a_tenant_has_so_much_at_most"),
    ("MAX_TENANT_KEYS", "a_tenant_has_so_much_at_most"),
    ("MAX_LIST_BYTES", "a_page_has_so_many_bytes_and_says_where_the_next_begins"),
    ("MAX_SIGNED_LINKS_BYTES", "links_have_so_many_bytes"),
    ("MAX_SHOWN_ATTEMPTS", "the_newest_attempts_are_shown"),
    ("MAX_FAILURE_DETAIL_BYTES", "a_detail_is_cut_between_characters"),
    ("MAX_STORE_ANSWER_BYTES", "an_answer_may_have_so_many_bytes"),
    ("MAX_STORE_ERROR_BYTES", "of_an_error_without_end_its_beginning_is_read"),
    ("MAX_TOKEN_ANSWER_BYTES", "a_token_without_end_is_refused_at_its_bound"),
    ("MAX_LISTED_OBJECTS", "a_listing_without_end_is_refused_at_its_bound"),
    ("MAX_LISTING_BYTES", "a_listing_without_end_is_refused_at_its_bound"),
    ("MAX_RECEIVER_ANSWER_BYTES", "of_a_huge_answer_only_the_start_is_read"),
    ("MAX_KEPT_ANSWER_BYTES", "of_a_huge_head_only_the_start_is_kept"),
    ("MAX_TOOL_LINE_BYTES", "a_line_without_end_is_refused"),
    ("MAX_OUTPUT_DEPTH", "folders_without_end_are_refused"),
    ("MAX_CLAIMED_BYTES", "a_claim_has_so_many_bytes_and_one_body_at_most"),
    ("MAX_CONCURRENT_HASHES", "a_hash_knows_its_secret_and_no_other"),
];

/// Bounds that files meet and no call, and that no test reaches yet: it takes gigabytes or millions of packets.
const NOT_REACHED: &[&str] = &[
    "MAX_FFPROBE_BYTES",
    "MAX_TOOL_ANSWER_BYTES",
    "MAX_MOOV_BYTES",
    "MAX_COPIED_PACKETS",
    "MAX_MISPLACED_FRAMES",
    "MAX_OUTPUT_ENTRIES",
    "MAX_FINISHED_FILES",
    "MAX_PLAYLIST_BYTES",
    "MAX_JPEG_BYTES",
];

/// Makes calls, each with a name of its own for what it creates.
struct CallMaker<'a> {
    app: &'a TestApp,
    storage: String,
    created: usize,
}

impl CallMaker<'_> {
    /// A call with `size` of what the bound is about; none when no call can show it.
    async fn call(&mut self, limit: &Limit, size: usize) -> Option<ApiReply> {
        self.created += 1;
        let number = self.created;
        let name = format!("t{number}");
        let text = "x".repeat(size);
        let template = |field: &str, value: Value| {
            let mut body = json!({"template_name": name, "format": "hls"});
            body[field] = value;
            ("add_template", body)
        };
        let url = format!("https://8.8.8.8/{}", "x".repeat(size.saturating_sub("https://8.8.8.8/".len())));
        let task_with = |field: &str, value: &str| {
            let mut body = task(&self.storage, &format!("{number}.mp4"));
            body[field] = json!(value);
            ("create_task", body)
        };
        let s3 = |field: &str, value: Value| {
            let mut body = json!({
                "type": "s3", "bucket": "bkt", "region": "us-east-1", "endpoint": "https://8.8.8.8",
                "storage_ak": "ak", "storage_sk": "sk",
            });
            body[field] = value;
            ("add_storage", body)
        };
        let values = |count: usize| vec![json!(0); count];
        let (call, body) = match limit.name {
            "MAX_TEMPLATE_NAME_BYTES" => template("template_name", json!(text)),
            "MAX_DESCRIPTION_BYTES" => template("description", json!(text)),
            "MAX_RENDITIONS" => {
                let renditions: Vec<_> =
                    (0..size).map(|index| json!({"resolution": format!("{}p", 100 + index * 10)})).collect();
                template("adaptive_streams", json!(renditions))
            }
            "MAX_INPUT_BYTES" => task_with("input", &url),
            "MAX_OUTPUT_KEY_BYTES" => {
                let parts = format!("{number:03}{}", "/aaaaaaaaa".repeat(size / 10));
                task_with("output", &format!("{}.mp4", &parts[..size - ".mp4".len()]))
            }
            "MAX_FILE_NAME_BYTES" => task_with("output", &format!("{}.mp4", &text[..size - ".mp4".len()])),
            "MAX_CUSTOM_INFO_BYTES" => task_with("custom_info", &text),
            "MAX_BATCH_TASKS" => {
                let tasks: Vec<_> =
                    (0..size).map(|index| task(&self.storage, &format!("{number}/{index}.mp4"))).collect();
                ("create_batch", json!({ "tasks": tasks }))
            }
            "MAX_BUCKET_NAME_BYTES" => s3("bucket", json!(text)),
            "MAX_PREFIX_BYTES" => s3("prefix", json!(text)),
            "MAX_REGION_BYTES" => s3("region", json!(text)),
            "MAX_ENDPOINT_BYTES" => s3("endpoint", json!(url)),
            "MAX_ACCOUNT_KEY_BYTES" => s3("storage_sk", json!(text)),
            "MAX_OBJECT_SETTING_BYTES" => s3("storage_class", json!(text)),
            "MAX_NOTIFY_BYTES" => s3("notify", json!(url)),
            "MAX_NOTIFY_ATTEMPTS" => s3("notify_attempts", json!(size)),
            "MAX_NOTIFY_INTERVAL_SECS" => s3("notify_interval", json!(size)),
            "MAX_LABEL_BYTES" => s3("name", json!(text)),
            "MAX_FREE_TEXT_BYTES" => s3("extra", json!(text)),
            "MAX_IDEMPOTENCY_KEY_BYTES" => {
                let (call, body) = template("description", json!("named"));
                return Some(self.app.post_named(&self.app.admin, &text, call, &body).await);
            }
            // the object, its three fields and the list itself are values too
            "MAX_BODY_VALUES" => template("unknown", json!(values(size - 4))),
            "MAX_BODY_DEPTH" => {
                let nested = (1..size).fold(json!(1), |inner, _| json!([inner]));
                template("unknown", nested)
            }
            "MAX_PAGE_SIZE" => return Some(self.app.get(&format!("list_task?count={size}")).await),
            _ => return None,
        };
        Some(self.app.post(call, body).await)
    }
}

#[tokio::test]
async fn at_every_bound_a_value_goes_through_and_beyond_it_none_does() {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    let mut caller = CallMaker { app: &app, storage, created: 0 };
    let sources = sources(Path::new(env!("CARGO_MANIFEST_DIR")));
    for limit in limits::ALL {
        let name = limit.name;
        if NOT_REACHED.contains(&name) {
            continue;
        }
        let Some(reply) = caller.call(limit, limit.value).await else {
            let test = HELD_ELSEWHERE.iter().find(|(held, _)| *held == name);
            let (_, test) = test.unwrap_or_else(|| panic!("no test holds {name}"));
            assert!(sources.contains(&format!("fn {test}(")), "{name}: there is no test {test}");
            continue;
        };
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        let beyond = caller.call(limit, limit.value + 1).await.expect("it can be called");
        assert_eq!(beyond.status, 400, "{name}: {beyond:?}");
        let message = beyond.refusal(400, 1001);
        assert!(message.contains(&limit.value.to_string()), "{name}: {message}");
    }
}

/// The text of all tests.
fn sources(workspace: &Path) -> String {
    let mut folders = vec![workspace.join("src"), workspace.join("tests"), workspace.join("crates")];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(path).expect("readable");
            }
        }
    }
    text
}

#[tokio::test]
async fn a_tenant_has_so_much_at_most() {
    let app = TestApp::start().await;
    let store = &app.app.store;
    let tenant: TenantId = "many".parse().expect("a tenant");
    let key = app.add_key("many", Role::Admin).await;
    let hash = store.find_key(&key.access_key).await.expect("the store").expect("a key").secret_hash;
    for number in 1..MAX_TENANT_KEYS {
        let key = AccessKey {
            access_key: format!("key-{number}"),
            tenant: tenant.clone(),
            role: Role::Read,
            secret_hash: hash.clone(),
            created: app.app.clock.now(),
        };
        store.add_key(&key).await.expect("there is room");
    }
    for number in 0..MAX_TENANT_STORAGES {
        let id = format!("{number:016x}").parse().expect("an id");
        let storage = Storage::new(id, tenant.clone(), StorageType::S3, "bkt", app.app.clock.now());
        store.add_storage(&storage).await.expect("there is room");
    }
    for number in 0..MAX_TENANT_TEMPLATES {
        let name = format!("t{number}").parse().expect("a name");
        let template = model::Template::new(name, model::Format::Mp4);
        store.add_template(&tenant, &template, app.app.clock.now()).await.expect("there is room");
    }
    for (call, body) in [
        ("add_key", json!({"role": "read"})),
        ("add_storage", json!({"type": "file", "bucket": "many"})),
        ("add_template", json!({"template_name": "more", "format": "mp4"})),
    ] {
        let message = app.call_as(&key, Method::POST, call, body.clone()).await.refusal(409, 1005);
        assert!(message.contains("the tenant has 1000 "), "{call}: {message}");
        if call != "add_key" {
            app.post(call, body).await.data();
        }
    }
}

#[tokio::test]
async fn a_page_has_so_many_bytes_and_says_where_the_next_begins() {
    let app = TestApp::start().await;
    let storage = app.add_storage_with_notify("b", "https://8.8.8.8/hook").await;
    let info = "c".repeat(limits::MAX_CUSTOM_INFO_BYTES);
    let count = MAX_LIST_BYTES / limits::MAX_CUSTOM_INFO_BYTES + 10;
    for number in 0..count {
        let mut body = task(&storage, &format!("{number}.mp4"));
        body["custom_info"] = json!(info);
        app.post("create_task", body).await.data();
    }
    let (mut listed, mut start, mut pages) = (Vec::new(), 0, 0);
    loop {
        let reply = app.get(&format!("list_task?count=1000&start_num={start}")).await;
        assert!(reply.text.len() < MAX_LIST_BYTES + 10_000, "{} bytes", reply.text.len());
        let page = reply.data();
        let tasks = page["list"].as_array().expect("a list");
        assert_eq!((&page["num"], &page["total"]), (&json!(tasks.len()), &json!(count)));
        listed.extend(tasks.iter().map(|task| task["task_id"].as_str().expect("an id").to_owned()));
        pages += 1;
        match page.get("next_start_num") {
            None => break,
            Some(next) => start = next.as_u64().expect("a number"),
        }
    }
    assert_eq!((listed.len(), pages), (count, 2));
    let mut sorted = listed.clone();
    sorted.sort_by(|one, other| other.cmp(one));
    sorted.dedup();
    assert_eq!(listed, sorted, "each of them once, the newest first");

    // bodies of callbacks are in no list
    for id in &listed {
        app.post(&format!("cancel_task?task_id={id}"), Value::Null).await.data();
    }
    let reply = app.get("list_callback?count=1000").await;
    assert!(reply.text.len() < 100_000, "{} bytes", reply.text.len());
    assert_eq!(reply.data()["num"], count);
}
