//! Inputs from and outputs to the object stores that customers have, each as a real server.

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc};

use model::{Storage, StorageType, TenantId, Timestamp};
use net::{Client, ClientOptions, Guard, IpNet};
use reqwest::{Method, StatusCode, header};
use rstest::rstest;
use serde_json::{Value, json};
use storage::{Storages, testing::ObjectStoreServer};

use super::{media_files::clip, receiver::Receiver, session::Session};

pub(super) const BUCKET: &str = "videos";

/// A client that may reach the servers of this test.
pub(super) fn net_client() -> Client {
    let loopback = IpNet::new(Ipv4Addr::LOCALHOST.into(), 8).expect("a network");
    Client::new(Arc::new(Guard::new(vec![loopback])), ClientOptions::default()).expect("a client")
}

async fn start(kind: StorageType) -> ObjectStoreServer {
    match kind {
        StorageType::S3 => ObjectStoreServer::s3(&net_client(), &[BUCKET]).await,
        StorageType::Azblob => ObjectStoreServer::azblob(&net_client(), &[BUCKET]).await,
        other => panic!("there is no server for {other}"),
    }
}

/// The bucket, as the test itself sees it.
pub(super) fn test_storage(server: &ObjectStoreServer, kind: StorageType) -> Storage {
    server.storage(Storage::new(
        "0123456789abcdef".parse().expect("an id"),
        TenantId::main(),
        kind,
        BUCKET,
        Timestamp::from_millis(0),
    ))
}

pub(super) fn storage_fields(server: &ObjectStoreServer, kind: StorageType, notify: &str) -> Value {
    json!({
        "type": kind, "bucket": BUCKET, "prefix": "out", "endpoint": server.endpoint, "notify": notify,
        "storage_ak": server.access_key, "storage_sk": server.secret_key,
    })
}

#[rstest]
#[case(StorageType::S3)]
#[case(StorageType::Azblob)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_becomes_objects(#[case] kind: StorageType) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(kind).await;
    let bucket = Storages::new(folder.path().join("storage"), net_client())
        .open(&test_storage(&server, kind))
        .expect("the bucket opens");
    let clip = std::fs::File::open(clip(folder.path(), 2)).expect("a clip");
    bucket.put_file("in/a b+é.mp4", clip, &|_| ()).await.expect("put");

    let session = Session::start(&[], HashMap::new()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(storage_fields(&server, kind, &receiver.url)).await;
    let checked = session.post(&format!("check_storage?storage_id={}", storage.id), Value::Null).await;
    assert_eq!(checked["ok"], true, "{checked}");
    let input = format!("{kind}://{BUCKET}/in/a b+é.mp4");
    let id = session.create_task(&storage.id, "hls-h264", &input, "cat").await;
    let callback = receiver.next().await.body();
    assert_eq!(
        (&callback["data"][0]["status"], &callback["data"][0]["task_id"]),
        (&json!("succeeded"), &json!(id)),
        "{callback}"
    );
    assert_eq!(callback["data"][0]["output"], format!("{kind}://{BUCKET}/out/cat/master.m3u8"));

    let keys = bucket.list("out/").await.expect("listed");
    assert!(keys.iter().any(|key| key == "out/cat/master.m3u8") && keys.len() > 10, "{keys:?}");
    let listed = session.get(&format!("list_object?storage_id={}&prefix=cat/", storage.id)).await;
    assert_eq!(listed["num"], keys.len(), "{listed}");

    if kind == StorageType::S3 {
        server.disable_authentication(&net_client()).await;
    }
    let to = folder.path().join("down");
    let downloaded = session
        .server
        .run_command(&["task", "download", &id, "--to", to.to_str().expect("text")])
        .await
        .expect_success();
    assert_eq!(downloaded.lines().count(), keys.len());
    super::media_files::assert_decodes(&to.join("master.m3u8"));

    session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_bucket_is_said_in_the_stores_own_words() {
    let server = start(StorageType::S3).await;
    let session = Session::start(&[], HashMap::new()).await;
    let check = async |changes: Value| {
        let mut fields = storage_fields(&server, StorageType::S3, "");
        for (name, value) in changes.as_object().expect("fields") {
            fields[name] = value.clone();
        }
        let added = session.post("add_storage", fields).await;
        let id = added["storage_id"].as_str().expect("an id").to_owned();
        session.post(&format!("check_storage?storage_id={id}"), Value::Null).await
    };
    let wrong = check(json!({"storage_sk": "another"})).await;
    assert_eq!((&wrong["ok"], &wrong["steps"][1]["code"]), (&json!(false), &json!(1202)), "{wrong}");
    let message = wrong["steps"][1]["message"].as_str().expect("text");
    assert!(message.contains("403 SignatureDoesNotMatch") && message.contains("(request "), "{message}");
    let missing = check(json!({"bucket": "nowhere"})).await;
    assert_eq!(missing["steps"][1]["code"], 1203, "{missing}");
    let nobody = check(json!({"endpoint": "http://127.0.0.1:9"})).await;
    assert_eq!(nobody["steps"][0]["code"], 1201, "{nobody}");
    session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the customer's client, which has no guard")]
async fn file_outputs_are_served_to_who_signs_in_and_to_signed_links() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = std::fs::read(clip(folder.path(), 1)).expect("readable");
    let session = Session::start(&[], [("clip.mp4", input)].into()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let id = session.create_task(&storage.id, "hls-h264", &session.url("clip.mp4"), "a b/cat.m3u8").await;
    receiver.next().await;

    let plain = format!("{}/storage/{}/a%20b/cat.m3u8", session.server.url, storage.id);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let get = async |url: &str, headers: &[(header::HeaderName, &str)]| {
        let mut request = client.request(Method::GET, url);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request.send().await.expect("an answer")
    };
    assert_eq!(get(&plain, &[]).await.status(), StatusCode::UNAUTHORIZED);
    let mine = client
        .get(&plain)
        .basic_auth(crate::program::ACCESS_KEY, Some(crate::program::SECRET_KEY))
        .send()
        .await
        .expect("an answer");
    assert_eq!(mine.status(), StatusCode::OK);

    let signed = session.get(&format!("sign_output?task_id={id}&all=true")).await;
    let url = signed["url"].as_str().expect("an address");
    let playlist = get(url, &[]).await;
    assert_eq!(playlist.status(), StatusCode::OK);
    assert_eq!(playlist.headers()["content-type"], "application/vnd.apple.mpegurl");
    assert_eq!(playlist.headers()["access-control-allow-origin"], "*");
    let tag = playlist.headers()["etag"].to_str().expect("text").to_owned();
    let text = playlist.text().await.expect("text");
    let beside = text.lines().find(|line| !line.is_empty() && !line.starts_with('#')).expect("a rendition");
    let beside = reqwest::Url::parse(url).expect("a URL").join(beside).expect("a URL");
    assert_eq!(get(beside.as_str(), &[]).await.status(), StatusCode::OK, "{beside}");

    assert_eq!(get(url, &[(header::IF_NONE_MATCH, &tag)]).await.status(), StatusCode::NOT_MODIFIED);
    let part = get(url, &[(header::RANGE, "bytes=1-3")]).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], format!("bytes 1-3/{}", text.len()));
    assert_eq!(part.text().await.expect("text"), text[1..4]);
    let beyond = get(url, &[(header::RANGE, "bytes=9999999-")]).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);

    let (head, key) = url.rsplit_once("/a%20b/").expect("a key");
    for other in
        [format!("{head}/a%20b/dog.mp4"), format!("{head}0/a%20b/{key}"), format!("{head}/a%20b/../x")]
    {
        assert_eq!(get(&other, &[]).await.status(), StatusCode::UNAUTHORIZED, "{other}");
    }
    session.server.stop().await;
}
