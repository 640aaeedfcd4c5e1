//! Requests that no one foresaw: never a failure of the server, always the envelope.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use borealis::api;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::server::serve;
use crate::app::{ApiReply, TestApp};

/// Refused or not, it was answered as documented.
#[track_caller]
fn is_answered(reply: &ApiReply, about: &str) {
    assert!(reply.status < 500, "{about}: {reply:?}");
    reply.envelope();
}

/// JSON texts that a field may be given.
fn values() -> Vec<String> {
    let texts = [
        "\u{0}",
        "a\u{0}b",
        "\u{feff}",
        "\u{202e}gpj.exe",
        "e\u{301}\u{327}",
        "\u{10ffff}",
        "👩‍👩‍👧‍👦",
        "ÿ\u{80}",
        "%00",
        "../../etc/passwd",
        "file:///etc/passwd",
        "http://[::1",
        "http://a b/",
        "1e999",
        "-1",
        "NaN",
        " ",
        "\t\r\n",
        "' OR 1=1 --",
        "{{7*7}}",
        "<script>",
        "${jndi:ldap://x}",
    ];
    let mut values: Vec<String> = texts.iter().map(|text| json!(text).to_string()).collect();
    values.push(json!("x".repeat(100_000)).to_string());
    values.push(json!("é".repeat(20_000)).to_string());
    values.push(json!(vec![Value::Null; 10_000]).to_string());
    values.push(format!("{}{}", "[".repeat(100), "]".repeat(100)));
    values.push(format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100)));
    let others = [
        "true",
        "null",
        "[]",
        "{}",
        "[null]",
        "[[]]",
        "{\"\":\"\"}",
        "-0",
        "-1",
        "1.5",
        "1e308",
        "1e999",
        "18446744073709551616",
        "-9223372036854775809",
        "1E-400",
        "99999999999999999999999999999999999999999",
        // halves of a pair, and bytes that UTF-8 does not have
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
    ];
    values.extend(others.map(str::to_owned));
    values
}

/// Every call with its method, its parameters and the fields of its body.
fn calls() -> Vec<(Method, String, Vec<String>, Vec<String>)> {
    let document = serde_json::to_value(api::document()).expect("JSON");
    let mut calls = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let named = |list: &Value| {
                let names = list.as_array().into_iter().flatten();
                names.filter_map(|one| one["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
            };
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let schema = schema.as_str().and_then(|name| document.pointer(name.trim_start_matches('#')));
            let fields = schema.and_then(|schema| schema["properties"].as_object());
            let fields = fields.map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
            calls.push((method, path.clone(), named(&operation["parameters"]), fields));
        }
    }
    calls
}

async fn send(app: &TestApp, method: &Method, uri: &str, body: impl Into<Body>) -> ApiReply {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header(header::AUTHORIZATION, app.admin.basic())
        .body(body.into())
        .expect("a request");
    app.send(request).await
}

#[tokio::test]
async fn every_field_of_every_body_may_hold_anything() {
    let app = TestApp::start().await;
    let (mut sent, values) = (0, values());
    for (method, path, _, fields) in calls() {
        for field in fields {
            // a body that is right but for one field comes farther than one that is not
            let good = json!({
                "type": "file", "bucket": "b", "template_name": "mp4-720p", "format": "mp4", "storage_id": "x",
                "input": "https://8.8.8.8/a.mov", "output": "a.mp4", "tasks": [{}], "since": 1,
            });
            for value in &values {
                let mut pairs: Vec<String> = good
                    .as_object()
                    .expect("an object")
                    .iter()
                    .filter(|(name, _)| **name != field)
                    .map(|(name, value)| format!("{}:{value}", json!(name)))
                    .collect();
                pairs.push(format!("{}:{value}", json!(field)));
                let body = format!("{{{}}}", pairs.join(","));
                is_answered(&send(&app, &method, &path, body).await, &format!("{path} {field}={value:.80}"));
                sent += 1;
            }
        }
    }
    assert!(sent > 1000, "{sent} requests: the document names the fields of bodies");
}

#[tokio::test]
async fn every_parameter_may_hold_anything() {
    let app = TestApp::start().await;
    let encoded = [
        "%",
        "%0",
        "%zz",
        "%00",
        "%ff%fe",
        "%ed%a0%80",
        "%25%32%35",
        "+",
        "%2e%2e%2f",
        "=&=&&",
        "a;b",
        "\u{7f}",
        "1e999",
        "-1",
        "99999999999999999999",
        "0x10",
        "%E2%80%AE",
        "%F0%9F%91%BB",
        "'%22%3C%3E",
        "[]",
        "{}",
    ];
    for (method, path, parameters, _) in calls() {
        for parameter in parameters {
            for value in encoded {
                let uri = format!("{path}?{parameter}={}", value.replace('\u{7f}', "%7f"));
                is_answered(&send(&app, &method, &uri, "").await, &uri);
            }
            let twice = format!("{path}?{parameter}=a&{parameter}=b&%={parameter}&{parameter}");
            is_answered(&send(&app, &method, &twice, "").await, &twice);
        }
    }
}

#[tokio::test]
async fn any_method_on_any_path_is_answered() {
    let app = TestApp::start().await;
    let paths: Vec<String> = calls().into_iter().map(|(_, path, ..)| path).collect();
    let odd = [
        "/vodencoding/v1//add_storage",
        "/vodencoding/v1/%2e%2e/healthz",
        "/%00",
        "/%ff",
        "/storage/x/%2e%2e/y",
    ];
    for path in paths.iter().map(String::as_str).chain(odd) {
        for method in
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "x"]
        {
            let reply = send(&app, &method.parse().expect("a method"), path, "").await;
            assert!(reply.status < 500, "{method} {path}: {reply:?}");
            if reply.status >= 400 && method != "HEAD" {
                reply.envelope();
            }
        }
    }
}

#[tokio::test]
async fn odd_credentials_are_401() {
    let app = TestApp::start().await;
    let encode = |text: &[u8]| format!("Basic {}", BASE64_STANDARD.encode(text));
    let headers: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"Basic".to_vec(),
        b"Basic ".to_vec(),
        b"Basic ====".to_vec(),
        b"Basic \xff\xfe".to_vec(),
        b"Bearer abc".to_vec(),
        b"basic,basic".to_vec(),
        encode(b"").into(),
        encode(b":").into(),
        encode(b"no colon").into(),
        encode(b"\0:\0").into(),
        encode(b"main-admin:\0").into(),
        encode(b"\xff\xff:\xff").into(),
        encode(&[b'x'; 20_000]).into(),
        encode("main-admin:secret of main: admin ".as_bytes()).into(),
    ];
    for value in headers {
        let request =
            Request::get("/vodencoding/v1/list_storage").header(header::AUTHORIZATION, value.as_slice());
        let reply = app.send(request.body(Body::empty()).expect("a request")).await;
        reply.refusal(401, 1002);
        assert!(reply.header("www-authenticate").is_some(), "{reply:?}");
    }
}

#[tokio::test]
async fn ten_thousand_templates_are_listed() {
    let app = TestApp::start().await;
    let example = model::Template::new("t".parse().expect("a name"), model::Format::Mp4);
    let tenant = model::TenantId::main();
    store::testing::add_templates(&app.app.store, &tenant, &example, 10_000).await.expect("added");
    let data = app.get("list_template").await.data();
    assert!(data["num"].as_u64().expect("a number") >= 10_000);
    app.get("query_template?template_name=t-9999").await.data();
}

/// Requests as bytes, and how the answer begins.
#[tokio::test]
async fn odd_bytes_on_the_wire_are_answered_or_cut_off() {
    let app = TestApp::start().await;
    let (address, ..) = serve(&app).await;
    let basic = app.admin.basic();
    let chunked = format!(
        "POST /vodencoding/v1/add_storage HTTP/1.1\r\nHost: x\r\nAuthorization: {basic}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    let cases: Vec<(String, &str)> = vec![
        ("GET /healthz HTTP/1.0\r\n\r\n".into(), "HTTP/1.0 200 OK"),
        ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n".into(), "HTTP/1.1 200 OK"),
        ("GET http://elsewhere/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".into(), "HTTP/1.1 200 OK"),
        (format!("{chunked}10\r\n{{\"type\": \"file\",\r\nd\r\n\"bucket\":\"b\"}}\r\n0\r\n\r\n"), "HTTP/1.1 200 OK"),
        (format!("{chunked}zz\r\n"), "HTTP/1.1 400"),
        (format!("{chunked}ffffffffffffffff\r\n{{"), "HTTP/1.1 4"),
        ("GET /healthz HTTP/9.9\r\n\r\n".into(), "HTTP/1.1 400"),
        ("\u{16}\u{3}\u{1}\u{2}\0".into(), "HTTP/1.1 400"),
        ("GET /\0 HTTP/1.1\r\n\r\n".into(), "HTTP/1.1 400"),
        ("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n".into(), "HTTP/1.1 400"),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200_000)), "HTTP/1.1 4"),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(20_000)), "HTTP/1.1 431"),
        (
            "POST /healthz HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
                .into(),
            "HTTP/1.1 4",
        ),
        ("POST /healthz HTTP/1.1\r\nContent-Length: -1\r\n\r\n".into(), "HTTP/1.1 400"),
        ("POST /healthz HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".into(), "HTTP/1.1 400"),
    ];
    for (request, begins) in cases {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        // the server may have refused it before all is written
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with(begins), "{request:.200?}: {said}");
    }
    app.get("list_storage").await.data();
}
