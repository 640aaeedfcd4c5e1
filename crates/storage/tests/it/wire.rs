//! Requests to vendors whose object stores no program here emulates, as snapshots. What differs from run to
//! run is blanked: ports, times, signatures. The signatures themselves are checked by [`super::vendors`].

use std::{collections::BTreeMap, fs, time::Duration};

use borealis_storage::{
    Bucket, Storages,
    fetch::{FetchLimits, fetch_object},
};
use bytes::Bytes;
use model::{ObjectSettings, Secret, Storage, StorageType};
use rstest::rstest;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path, path_regex},
};

use super::{ANY_RATE, client, open, storage, vendors::Vendor};

/// The headers in the snapshots, beside all that begin with `x-`; the others are HTTP's own.
const SNAPSHOT_HEADERS: &[&str] =
    &["authorization", "cache-control", "content-md5", "content-type", "host", "if-match", "range"];

/// Everything a task does with a bucket, in this order.
async fn use_bucket(bucket: &Bucket) {
    let folder = tempfile::tempdir().expect("a folder");
    let local = folder.path().join("local");
    fs::write(&local, vec![7; 17 << 20]).expect("a file");
    bucket.put_bytes("out/a b+é/1.ts", Bytes::from_static(b"segment")).await.expect("put");
    bucket.put_file("out/cat.mp4", open(&local), &|_| ()).await.expect("put in parts");
    let limits = FetchLimits {
        max_bytes: 100,
        idle_timeout: Duration::from_secs(20),
        rate: ANY_RATE,
        max_redirects: 0,
    };
    let to = folder.path().join("input");
    fetch_object(bucket, "out/a b+é/1.ts", &to, &limits, &|_, _| ()).await.expect("fetched");
    bucket.list("out/").await.expect("listed");
    bucket.delete("out/a b+é/1.ts").await.expect("deleted");
}

/// A request in a few lines.
fn format_request(request: &Request, port: u16) -> String {
    let url = &request.url;
    let query: Vec<_> =
        url.query_pairs().map(|(name, value)| format!("{name}={}", blanked(&name, &value))).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut text = format!("{} {}{query}\n", request.method, url.path());
    let headers: BTreeMap<_, _> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
        .collect();
    for (name, value) in
        headers.into_iter().filter(|(name, _)| SNAPSHOT_HEADERS.contains(name) || name.starts_with("x-"))
    {
        let value = value.replace(&port.to_string(), "PORT");
        text += &format!("    {name}: {}\n", blanked(name, &value));
    }
    let body = String::from_utf8_lossy(&request.body);
    match request.body.len() {
        0 => {}
        _ if body.starts_with('<') => text += &format!("    {body}\n"),
        _ if url.path() == "/token" => text += "    (a signed claim)\n",
        // opendal chooses a random boundary
        size if size < 2000 && body.contains("multipart") => text += "    (a form)\n",
        size => text += &format!("    ({size} bytes)\n"),
    }
    text
}

/// A value without what differs from run to run.
fn blanked(name: &str, value: &str) -> String {
    match name {
        "Signature" | "Expires" | "q-sign-time" | "q-key-time" | "q-signature" | "X-Goog-Date"
        | "X-Goog-Signature" => "…".to_owned(),
        "X-Goog-Credential" => value.split('/').next().unwrap_or_default().to_owned() + "/…",
        "content-type" if value.starts_with("multipart/") => {
            format!("{}; boundary=…", value.split(';').next().unwrap_or_default())
        }
        "authorization" if value.contains("q-sign-algorithm") => {
            let parts = value.split('&').map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or_default();
                format!("{name}={}", blanked(name, value))
            });
            parts.collect::<Vec<_>>().join("&")
        }
        "authorization" => match value.rsplit_once(':') {
            Some((who, _)) => format!("{who}:…"),
            None => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}

/// All requests; those for parts are sorted, since they are sent concurrently.
async fn received_requests(server: &MockServer) -> String {
    let port = server.address().port();
    let requests = server.received_requests().await.expect("recorded");
    let mut texts: Vec<_> = requests.iter().map(|request| format_request(request, port)).collect();
    let is_part = |text: &String| text.contains("partNumber=");
    let first = texts.iter().position(is_part).unwrap_or(0);
    let last = texts.iter().rposition(is_part).map_or(0, |last| last + 1);
    texts[first..last].sort();
    texts.join("\n")
}

#[rstest]
#[case::oss(StorageType::Oss)]
#[case::cos(StorageType::Cos)]
#[case::obs(StorageType::Obs)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_as_the_vendors_document_them(#[case] kind: StorageType) {
    let vendor = Vendor::start(kind).await;
    let objects = match kind {
        StorageType::Oss => ObjectSettings {
            encryption: "KMS".to_owned(),
            encryption_key: "key-of-theirs".to_owned(),
            ..ObjectSettings::default()
        },
        _ => ObjectSettings::default(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let storages = Storages::new(folder.path().to_owned(), client());
    let bucket = storages.open(&vendor.storage("bkt", objects)).expect("the bucket opens");
    use_bucket(&bucket).await;
    // a presigned URL opens the object: the server checks its signature as well
    bucket.put_bytes("out/a b+é.mp4", Bytes::from_static(b"film")).await.expect("put");
    let url = bucket.presign("out/a b+é.mp4", Duration::from_secs(60)).await.expect("signed").expect("a URL");
    let get = reqwest::Request::new(reqwest::Method::GET, url.parse().expect("a URL"));
    let answer = client().send(get).await.expect("an answer").response;
    assert_eq!(answer.text().await.expect("text"), "film");
    insta::assert_snapshot!(format!("{kind}"), received_requests(&vendor.server).await);
}

/// Google's JSON interface as far as it is used, and its token endpoint.
async fn start_google() -> MockServer {
    let server = MockServer::start().await;
    let token = r#"{"access_token":"token-of-theirs","expires_in":3600,"token_type":"Bearer"}"#;
    let metadata = r#"{"name":"out/a b+é/1.ts","size":"7","etag":"one","updated":"2026-11-25T08:00:00Z","contentType":"video/mp2t"}"#;
    let list = r#"{"items":[{"name":"out/cat.mp4","size":"7","updated":"2026-11-25T08:00:00Z"}]}"#;
    let created =
        "<InitiateMultipartUploadResult><UploadId>upload-1</UploadId></InitiateMultipartUploadResult>";
    let part = ResponseTemplate::new(200).insert_header("etag", "\"part\"");
    let text = |text: &str| ResponseTemplate::new(200).set_body_string(text);
    let media = ResponseTemplate::new(206)
        .set_body_bytes(&b"segment"[..])
        .insert_header("content-range", "bytes 0-6/7");
    for (mock, answer) in [
        (Mock::given(method("POST")).and(path("/token")), text(token)),
        (Mock::given(method("POST")).and(path_regex("^/upload/")), text(metadata)),
        (Mock::given(method("POST")).and(wiremock::matchers::query_param("uploads", "")), text(created)),
        (Mock::given(method("POST")), text("<CompleteMultipartUploadResult/>")),
        (Mock::given(method("PUT")), part),
        (Mock::given(method("GET")).and(wiremock::matchers::query_param("alt", "media")), media),
        (Mock::given(method("GET")).and(path_regex("/o$")), text(list)),
        (Mock::given(method("GET")), text(metadata)),
        (Mock::given(method("DELETE")), ResponseTemplate::new(204)),
    ] {
        mock.respond_with(answer).mount(&server).await;
    }
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_as_google_documents_them() {
    let server = start_google().await;
    let file = serde_json::json!({
        "type": "service_account",
        "client_email": "borealis@project.iam.gserviceaccount.com",
        "private_key": include_str!("service-account-of-nobody.pem"),
        "token_uri": "https://elsewhere.example/token",
    });
    let storage = Storage {
        endpoint: server.uri(),
        storage_ak: Secret::new("any"),
        storage_sk: Secret::new(file.to_string()),
        objects: ObjectSettings {
            storage_class: "NEARLINE".to_owned(),
            acl: "publicRead".to_owned(),
            ..ObjectSettings::default()
        },
        ..storage(StorageType::Gcs, "bkt")
    };
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = Storages::new(folder.path().to_owned(), client()).open(&storage).expect("the bucket opens");
    use_bucket(&bucket).await;
    let url = bucket.presign("out/a b+é.mp4", Duration::from_secs(60)).await.expect("signed").expect("a URL");
    let url: url::Url = url.parse().expect("a URL");
    let signed: Vec<_> =
        url.query_pairs().map(|(name, value)| format!("{name}={}", blanked(&name, &value))).collect();
    let text = format!("{}\nsigned: {}?{}\n", received_requests(&server).await, url.path(), signed.join("&"));
    insta::assert_snapshot!("gcs", text);
}

/// The object settings of a storage are in the request that creates an object, whole and in parts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_is_sent_the_settings_of_each_object() {
    let server = MockServer::start().await;
    let created = "<InitiateMultipartUploadResult><UploadId>up</UploadId></InitiateMultipartUploadResult>";
    let created = ResponseTemplate::new(200).set_body_string(created);
    Mock::given(method("POST"))
        .and(wiremock::matchers::query_param("uploads", ""))
        .respond_with(created)
        .mount(&server)
        .await;
    let done = ResponseTemplate::new(200).set_body_string("<CompleteMultipartUploadResult/>");
    Mock::given(method("POST")).respond_with(done).mount(&server).await;
    let part = ResponseTemplate::new(200).insert_header("etag", "\"part\"");
    Mock::given(method("PUT")).respond_with(part).mount(&server).await;
    let storage = Storage {
        endpoint: server.uri(),
        storage_ak: Secret::new("ak"),
        storage_sk: Secret::new("sk"),
        objects: ObjectSettings {
            storage_class: "STANDARD_IA".to_owned(),
            acl: "public-read".to_owned(),
            encryption: "aws:kms".to_owned(),
            encryption_key: "arn:aws:kms:eu-central-1:1:key/2".to_owned(),
        },
        ..storage(StorageType::S3, "bkt")
    };
    let folder = tempfile::tempdir().expect("a folder");
    let local = folder.path().join("local");
    fs::write(&local, vec![7; 9 << 20]).expect("a file");
    let bucket = Storages::new(folder.path().to_owned(), client()).open(&storage).expect("the bucket opens");
    bucket.put_bytes("1.ts", Bytes::from_static(b"segment")).await.expect("put");
    bucket.put_file("cat.mp4", open(&local), &|_| ()).await.expect("put in parts");
    let requests = server.received_requests().await.expect("recorded");
    let is_whole_put = |request: &&Request| request.method.as_str() == "PUT" && request.url.query().is_none();
    let creates_upload = |request: &&Request| request.url.query().unwrap_or_default().starts_with("uploads");
    let whole = requests.iter().find(is_whole_put).expect("an object that is put whole");
    let created = requests.iter().find(creates_upload).expect("an upload is created");
    for request in [whole, created] {
        for (name, value) in [
            ("x-amz-storage-class", "STANDARD_IA"),
            ("x-amz-acl", "public-read"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:eu-central-1:1:key/2"),
        ] {
            assert_eq!(request.headers[name], value, "{}", request.url);
        }
    }
    // Amazon refuses encryption headers in the requests that belong to an upload
    let later =
        requests.iter().filter(|request| request.url.query().unwrap_or_default().contains("uploadId="));
    let later: Vec<_> = later.collect();
    assert_eq!(later.len(), 3, "two parts and the completion");
    for request in later {
        let encrypts = |name: &str| name.contains("server-side-encryption");
        assert!(!request.headers.keys().any(|name| encrypts(name.as_str())), "{request:?}");
        let signed = request.headers["authorization"].to_str().expect("text");
        assert!(signed.contains("SignedHeaders=") && !encrypts(signed), "{signed}");
    }
}

/// Object settings that a type does not have are refused.
#[rstest]
#[case(StorageType::File, "storage_class", "IA")]
#[case(StorageType::Cos, "acl", "public-read")]
#[case(StorageType::Obs, "encryption", "AES256")]
#[case(StorageType::Azblob, "storage_class", "Cool")]
#[case(StorageType::Oss, "acl", "public-read")]
#[case(StorageType::Gcs, "encryption", "AES256")]
#[case(StorageType::S3, "encryption", "rot13")]
#[case(StorageType::S3, "encryption_key", "alone")]
#[case(StorageType::S3, "storage_class", "two words")]
fn unsupported_object_settings_are_refused(
    #[case] kind: StorageType,
    #[case] field: &str,
    #[case] value: &str,
) {
    let mut objects = ObjectSettings::default();
    let setting = match field {
        "storage_class" => &mut objects.storage_class,
        "acl" => &mut objects.acl,
        "encryption" => &mut objects.encryption,
        _ => &mut objects.encryption_key,
    };
    value.clone_into(setting);
    let storage = Storage {
        region: "eu-central-1".to_owned(),
        storage_ak: Secret::new("ak"),
        storage_sk: Secret::new("c2s="),
        objects,
        ..storage(kind, "bkt")
    };
    let folder = tempfile::tempdir().expect("a folder");
    let opened = Storages::new(folder.path().join("storage"), client()).open(&storage);
    let error = opened.err().expect("refused");
    assert!(error.code == model::ErrorCode::BadParam && error.detail.starts_with(field), "{error}");
}

/// The examples of the documentation can be used as they stand there, keys apart.
#[test]
fn every_example_opens() {
    let text = include_str!("../../../../docs/storages.md");
    let examples: Vec<_> = text.lines().filter(|line| line.starts_with("{\"type\"")).collect();
    assert!(examples.len() >= 13, "{examples:?}");
    let folder = tempfile::tempdir().expect("a folder");
    for line in examples {
        let example: serde_json::Value = serde_json::from_str(line).expect(line);
        let text = |name: &str| example[name].as_str().unwrap_or_default().replace('…', "x");
        let storage = Storage {
            region: text("region"),
            endpoint: text("endpoint"),
            path_style: example["path_style"] == true,
            storage_ak: Secret::new(text("storage_ak")),
            storage_sk: Secret::new(text("storage_sk")),
            ..storage(text("type").parse().expect("a type"), &text("bucket"))
        };
        let opened = Storages::new(folder.path().join("storage"), client()).open(&storage);
        assert!(opened.is_ok(), "{line}: {:?}", opened.err());
    }
}
