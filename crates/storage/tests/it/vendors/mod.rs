//! Emulators of OSS, COS and OBS, for which no program exists: objects in memory, and the signature of
//! every request checked as the vendor documents it.
//!
//! The bucket is the first label of the host, as with the vendors; names below `localhost` need no name
//! server. A request with a wrong signature gets 403, with the text that should have been signed.

mod signature;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use md5::{Digest as _, Md5};
use model::{ObjectSettings, Secret, Storage, StorageType};
use percent_encoding::percent_decode_str;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

use super::storage;

pub(crate) const ACCESS_KEY: &str = "LTAI-test";
pub(crate) const SECRET_KEY: &str = "planted-vendor-secret";

/// The name of a bucket that does not exist.
pub(crate) const MISSING_BUCKET: &str = "nowhere";

/// A running emulator.
pub(crate) struct Vendor {
    pub(crate) server: MockServer,
    kind: StorageType,
}

impl Vendor {
    pub(crate) async fn start(kind: StorageType) -> Self {
        let server = MockServer::start().await;
        let emulator = Emulator { kind, state: Arc::default() };
        Mock::given(any()).respond_with(emulator).mount(&server).await;
        Self { server, kind }
    }

    /// A storage in a bucket of this emulator.
    pub(crate) fn storage(&self, bucket: &str, objects: ObjectSettings) -> Storage {
        Storage {
            endpoint: format!("http://localhost:{}", self.server.address().port()),
            storage_ak: Secret::new(ACCESS_KEY),
            storage_sk: Secret::new(SECRET_KEY),
            objects,
            ..storage(self.kind, bucket)
        }
    }
}

/// The objects by bucket and key, and the uploads by id.
#[derive(Default)]
struct EmulatorState {
    objects: BTreeMap<(String, String), Vec<u8>>,
    /// The parts of uploads, by number.
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// How many uploads were created.
    upload_count: u32,
}

struct Emulator {
    kind: StorageType,
    state: Arc<Mutex<EmulatorState>>,
}

impl Respond for Emulator {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let host = request.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let bucket = host.split('.').next().unwrap_or_default().to_owned();
        if let Err(problem) = signature::check(self.kind, request, &bucket) {
            return refused(403, "SignatureDoesNotMatch", &problem);
        }
        if bucket == MISSING_BUCKET {
            return refused(404, "NoSuchBucket", "there is no such bucket");
        }
        let key = percent_decode_str(request.url.path().trim_start_matches('/')).decode_utf8_lossy();
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        let mut state = self.state.lock().expect("no panic");
        state.answer(request, &query, (bucket, key.into_owned()))
    }
}

impl EmulatorState {
    fn answer(
        &mut self,
        request: &Request,
        query: &BTreeMap<String, String>,
        at: (String, String),
    ) -> ResponseTemplate {
        let upload = query.get("uploadId").map(String::as_str);
        match request.method.as_str() {
            "GET" if at.1.is_empty() => {
                self.list(&at.0, query.get("prefix").map(String::as_str).unwrap_or_default())
            }
            "GET" | "HEAD" => self.read(request, &at),
            "PUT" => match upload {
                None => self.put(at, &request.body),
                Some(upload) => {
                    let number = query["partNumber"].parse().expect("a number");
                    let Some(parts) = self.uploads.get_mut(upload) else { return no_upload() };
                    parts.insert(number, request.body.clone());
                    with_checksums(&request.body)
                }
            },
            "POST" if query.contains_key("uploads") => self.create_upload(),
            "POST" => match upload.and_then(|upload| self.uploads.remove(upload)) {
                None => no_upload(),
                Some(parts) => {
                    self.put(at, &parts.into_values().flatten().collect::<Vec<_>>());
                    ok(
                        "<CompleteMultipartUploadResult><ETag>\"of-parts\"</ETag></CompleteMultipartUploadResult>",
                    )
                }
            },
            "DELETE" => {
                match upload {
                    Some(upload) => drop(self.uploads.remove(upload)),
                    None => drop(self.objects.remove(&at)),
                }
                ResponseTemplate::new(204)
            }
            other => refused(405, "MethodNotAllowed", other),
        }
    }

    fn create_upload(&mut self) -> ResponseTemplate {
        self.upload_count += 1;
        let id = format!("upload-{}", self.upload_count);
        let text = format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        self.uploads.insert(id, BTreeMap::new());
        ok(&text)
    }

    fn put(&mut self, at: (String, String), content: &[u8]) -> ResponseTemplate {
        self.objects.insert(at, content.to_vec());
        with_checksums(content)
    }

    fn read(&self, request: &Request, at: &(String, String)) -> ResponseTemplate {
        let Some(content) = self.objects.get(at) else {
            return refused(404, "NoSuchKey", "there is no such object");
        };
        let range = request.headers.get("range").and_then(|range| range.to_str().ok());
        let answer = match range.and_then(|range| parse_range(range, content.len())) {
            Some((from, to)) => ResponseTemplate::new(206)
                .set_body_bytes(&content[from..to])
                .insert_header("content-range", format!("bytes {from}-{}/{}", to - 1, content.len())),
            None => ResponseTemplate::new(200).set_body_bytes(content.as_slice()),
        };
        let answer = if request.method.as_str() == "HEAD" {
            ResponseTemplate::new(200).insert_header("content-length", content.len().to_string())
        } else {
            answer
        };
        answer
            .insert_header("etag", format!("\"{}\"", etag_of(content)))
            .insert_header("last-modified", "Wed, 25 Nov 2026 08:00:00 GMT")
    }

    fn list(&self, bucket: &str, prefix: &str) -> ResponseTemplate {
        let contents: String = self
            .objects
            .iter()
            .filter(|((of, key), _)| of == bucket && key.starts_with(prefix))
            .map(|((_, key), content)| {
                let key = key.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-11-25T08:00:00.000Z</LastModified>\
                     <ETag>\"{}\"</ETag><Size>{}</Size></Contents>",
                    etag_of(content),
                    content.len()
                )
            })
            .collect();
        ok(&format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"))
    }
}

/// The first byte and the one after the last of `bytes=from-to`.
fn parse_range(range: &str, size: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let to = to.parse::<usize>().map_or(size, |last| (last + 1).min(size));
    Some((from.parse().ok()?, to)).filter(|(from, to)| from < to)
}

/// The ETag of an object that came in one request: its MD5, in upper case as OSS writes it.
fn etag_of(content: &[u8]) -> String {
    hex::encode_upper(Md5::digest(content))
}

fn ok(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(text)
}

fn with_checksums(content: &[u8]) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .insert_header("etag", format!("\"{}\"", etag_of(content)))
        .insert_header("content-md5", BASE64_STANDARD.encode(Md5::digest(content)))
}

fn no_upload() -> ResponseTemplate {
    refused(404, "NoSuchUpload", "there is no such upload")
}

fn refused(status: u16, code: &str, message: &str) -> ResponseTemplate {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    let text =
        format!("<Error><Code>{code}</Code><Message>{message}</Message><RequestId>5F</RequestId></Error>");
    ResponseTemplate::new(status).set_body_string(text)
}
