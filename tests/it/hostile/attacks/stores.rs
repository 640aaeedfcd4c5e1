//! An object store that is the attacker's own: it speaks S3 and Google's protocol, and answers what it likes.

use std::{io::Write as _, net::Ipv4Addr, process::Stdio, sync::LazyLock};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use rand::RngExt as _;
use serde_json::{Value, json};

use super::{PLANTED_SECRET, inputs::chunks};
use crate::hostile::{
    attacker::{Attacker, Tally, at_once, pace},
    customer::serve,
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 4);

/// What the buckets do.
const BUCKETS: [&str; 7] = ["endless", "bomb", "pages", "error", "retry", "silent", "nested"];

/// A service account's key, of nobody.
const KEY_FILE: &str = include_str!("../../../../crates/storage/tests/it/service-account-of-nobody.pem");

/// Calls that ask the store while they wait, and tasks that read from it and write to it.
pub(super) async fn stores(mut attacker: Attacker) {
    let url = serve(ADDRESS, Router::new().fallback(answer).with_state(attacker.tally.clone())).await;
    let mut storages = Vec::new();
    for bucket in BUCKETS {
        storages.extend(attacker.add_storage(s3(&url, bucket)).await.map(|id| (bucket, id)));
    }
    storages.extend(attacker.add_storage(gcs(&url)).await.map(|id| ("google", id)));
    if storages.is_empty() {
        return;
    }
    at_once(&mut attacker, 4, move |mut attacker| {
        let storages = storages.clone();
        async move {
            let mut pace = pace(300);
            loop {
                pace.tick().await;
                let (bucket, storage) = &storages[attacker.rng.random_range(0..storages.len())];
                let number: u64 = attacker.rng.random();
                match number % 4 {
                    0 => drop(attacker.get(&format!("list_object?storage_id={storage}")).await),
                    1 => {
                        attacker
                            .call(reqwest::Method::POST, &format!("check_storage?storage_id={storage}"), "")
                            .await;
                    }
                    2 => {
                        let input = format!("s3://{bucket}/{number}.mp4");
                        attacker.create_task(storage, &input, &format!("{number}.mp4")).await;
                    }
                    _ => {
                        let input = attacker.target.clip.clone();
                        attacker.create_task(storage, &input, &format!("{number}.mp4")).await;
                    }
                }
            }
        }
    })
    .await;
}

fn s3(endpoint: &str, bucket: &str) -> Value {
    json!({
        "type": "s3", "region": "us-east-1", "bucket": bucket, "endpoint": endpoint, "path_style": true,
        "storage_ak": "ak", "storage_sk": PLANTED_SECRET,
    })
}

fn gcs(endpoint: &str) -> Value {
    let key = json!({"type": "service_account", "client_email": "a@b.example", "private_key": KEY_FILE});
    json!({
        "type": "gcs", "bucket": "google", "endpoint": endpoint, "storage_ak": "ak", "storage_sk": key.to_string(),
    })
}

/// Answers as the bucket in the path does.
async fn answer(State(tally): State<Tally>, method: Method, uri: Uri) -> Response {
    let path = uri.path();
    if path.contains("token") {
        tally.count("token for ever");
        let token = json!({"access_token": "x", "token_type": "Bearer", "expires_in": u64::MAX});
        return axum::Json(token).into_response();
    }
    let bucket = BUCKETS
        .into_iter()
        .find(|bucket| path.strip_prefix('/').is_some_and(|path| path.starts_with(bucket)));
    match bucket {
        Some("endless") => {
            tally.count("answer without an end");
            ([(header::CONTENT_TYPE, "application/xml")], Body::from_stream(chunks(5, 256 << 10)))
                .into_response()
        }
        Some("bomb") => {
            tally.count("gzip bomb");
            ([(header::CONTENT_ENCODING, "gzip"), (header::CONTENT_TYPE, "application/xml")], BOMB.clone())
                .into_response()
        }
        Some("pages")
            if method == Method::GET && uri.query().is_some_and(|query| query.contains("list-type")) =>
        {
            tally.count("list without an end");
            page(uri.query().unwrap_or_default()).into_response()
        }
        Some("error") => {
            tally.count("error without an end");
            (StatusCode::FORBIDDEN, Body::from_stream(chunks(5, 256 << 10))).into_response()
        }
        Some("retry") => {
            tally.count("absurd Retry-After");
            let after = if path.len().is_multiple_of(2) {
                "18446744073709551615"
            } else {
                "Fri, 31 Dec 9999 23:59:59 GMT"
            };
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, after)]).into_response()
        }
        Some("silent") => {
            tally.count("silence");
            std::future::pending().await
        }
        Some("nested") => {
            tally.count("nested XML");
            ([(header::CONTENT_TYPE, "application/xml")], "<a>".repeat(1 << 20)).into_response()
        }
        // Google's protocol, and objects of those whose lists are attacked
        _ => {
            tally.count("something plausible");
            axum::Json(json!({"kind": "storage#objects", "items": [], "nextPageToken": "again"}))
                .into_response()
        }
    }
}

/// A page of 1,000 keys, after which there is always another.
fn page(query: &str) -> String {
    // each key is another one: a server that remembers them does so for ever
    let number =
        query.split("continuation-token=").nth(1).and_then(|rest| rest.split('&').next()?.parse().ok());
    let number: u64 = number.unwrap_or(0);
    let object = |key: u64| {
        format!(
            "<Contents><Key>{}{key:020}</Key><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>\"e\"</ETag><Size>1</Size></Contents>",
            "k".repeat(500)
        )
    };
    let objects: String = (number * 1000..(number + 1) * 1000).map(object).collect();
    format!(
        "<ListBucketResult><Name>pages</Name><KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>\
         <NextContinuationToken>{}</NextContinuationToken>{objects}</ListBucketResult>",
        number + 1
    )
}

/// 256 MiB of spaces, of which gzip makes one.
static BOMB: LazyLock<Bytes> = LazyLock::new(|| {
    let mut gzip = std::process::Command::new("gzip")
        .args(["-1", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip runs");
    let mut input = gzip.stdin.take().expect("it is piped");
    let write = std::thread::spawn(move || {
        let spaces = vec![b' '; 1 << 20];
        for _ in 0..256 {
            input.write_all(&spaces).expect("it reads");
        }
    });
    let output = gzip.wait_with_output().expect("it ends");
    write.join().expect("all was written");
    Bytes::from(output.stdout)
});
