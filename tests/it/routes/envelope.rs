//! Whatever happens, the answer is in the envelope.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn a_request_id_is_new_each_time_and_never_the_clients() {
    let app = TestApp::start().await;
    let request = || {
        let request = Request::get("/healthz").header("x-request-id", "mine").body(Body::empty());
        app.send(request.expect("a request"))
    };
    let (first, second) = (request().await.envelope(), request().await.envelope());
    assert_eq!(first["request_id"].as_str().expect("a text").len(), 32);
    assert_ne!(first["request_id"], second["request_id"]);
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let app = TestApp::start().await;
    let cases: &[&str] =
        &["/", "/vodencoding/v1", "/vodencoding/v1/add_stroage", "/vodencoding/v2/add_storage"];
    for path in cases.iter().cloned() {
        let reply = app.send(Request::get(path).body(Body::empty()).expect("a request")).await;
        assert_eq!(reply.refusal(404, 1004), format!("EmptyResult: there is no `GET {path}`"));
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_says_which_do() {
    let app = TestApp::start().await;
    let cases: &[(Method, &str, &str)] = &[
        (Method::GET, "add_storage", "POST"),
        (Method::POST, "list_storage", "GET,HEAD"),
        (Method::POST, "update_template", "PUT"),
        (Method::GET, "cancel_task", "POST"),
    ];
    for (method, call, allow) in cases.iter().cloned() {
        let reply = app.call_as(&app.admin, method.clone(), call, Value::Null).await;
        let message = reply.refusal(405, 1001);
        assert_eq!(reply.header("allow"), Some(allow));
        assert_eq!(message, format!("BadParam: method: {method} is not allowed here; give {allow}"));
    }
}

async fn post_raw(
    app: &TestApp,
    call: &str,
    content_type: Option<&str>,
    body: impl Into<Body>,
) -> crate::app::ApiReply {
    let mut request =
        Request::post(format!("/vodencoding/v1/{call}")).header(header::AUTHORIZATION, app.admin.basic());
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    app.send(request.body(body.into()).expect("a request")).await
}

#[tokio::test]
async fn malformed_json_is_400_and_says_where() {
    let app = TestApp::start().await;
    let cases: &[(&'static str, &str)] = &[
        ("", "BadParam: body: is empty; give a JSON object"),
        (" \n", "BadParam: body: is empty; give a JSON object"),
        ("{", "BadParam: body: is not JSON: EOF while parsing an object at line 1 column 1"),
        ("{'a': 1}", "BadParam: body: is not JSON: key must be a string at line 1 column 2"),
        ("[]", "BadParam: body: is JSON, but not an object"),
        ("null", "BadParam: body: is JSON, but not an object"),
        ("{} {}", "BadParam: body: is not JSON: trailing characters at line 1 column 4"),
    ];
    for (body, message) in cases.iter().cloned() {
        assert_eq!(post_raw(&app, "create_task", None, body).await.refusal(400, 1001), message);
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_and_deep_nesting_are_400() {
    let app = TestApp::start().await;
    post_raw(&app, "create_task", None, &b"{\"output\": \"\xff\"}"[..]).await.refusal(400, 1001);
    let deeply_nested = format!("{{\"output\": {}", "[".repeat(100_000));
    let message = post_raw(&app, "create_task", None, deeply_nested).await.refusal(400, 1001);
    assert!(message.contains("more than 32 lists and objects within each other"), "{message}");
}

#[tokio::test]
async fn any_content_type_will_do() {
    let app = TestApp::start().await;
    let cases: &[Option<&str>] = &[
        None,
        Some("application/json; charset=utf-8"),
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("nonsense"),
    ];
    for content_type in cases.iter().cloned() {
        let body = r#"{"type": "file", "bucket": "b"}"#;
        post_raw(&app, "add_storage", content_type, body).await.data_without_warnings();
    }
}

#[tokio::test]
async fn odd_json_that_is_still_json_will_do() {
    let app = TestApp::start().await;
    let body = "\u{feff} {\"type\":\"s3\",\"bucket\":\"a\",\"type\":\"fi\\u006ce\",\"region\":null}\n";
    let id = post_raw(&app, "add_storage", None, body).await.data()["storage_id"].clone();
    assert_eq!(app.get("list_storage").await.data()["list"][0]["storage_id"], id);
}

#[tokio::test]
async fn a_nul_is_refused_where_it_is() {
    let app = TestApp::start().await;
    let message = app.post("add_storage", json!({"type": "file", "bucket": "a\0"})).await.refusal(400, 1001);
    assert_eq!(message, "BadParam: bucket: holds a NUL character");
    let message = app.get("list_task?custom_info=%00").await.refusal(400, 1001);
    assert_eq!(message, "BadParam: custom_info: holds a NUL character");
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_announced_or_not() {
    let app = TestApp::with(&["api.body_limit=1KiB"]).await;
    let body = json!({"type": "file", "bucket": "b", "extra": "x".repeat(1024)}).to_string();
    let message = "TooLarge: the body is over the limit of 1024 bytes";

    let announced = Request::post("/vodencoding/v1/add_storage")
        .header(header::AUTHORIZATION, app.admin.basic())
        .header(header::CONTENT_LENGTH, body.len())
        .body(Body::from(body.clone()));
    assert_eq!(app.send(announced.expect("a request")).await.refusal(413, 1008), message);

    let chunks = body
        .into_bytes()
        .chunks(100)
        .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
        .collect::<Vec<_>>();
    let stream = Body::from_stream(futures::stream::iter(chunks));
    assert_eq!(post_raw(&app, "add_storage", None, stream).await.refusal(413, 1008), message);
}

#[tokio::test]
async fn a_head_over_the_limit_is_413() {
    let app = TestApp::start().await;
    let message = app.get(&format!("list_task?custom_info={}", "x".repeat(40_000))).await.refusal(413, 1008);
    assert!(message.starts_with("TooLarge: the path and query have 40"), "{message}");
    let request = Request::get("/healthz").header("x", "y".repeat(70_000)).body(Body::empty());
    app.send(request.expect("a request")).await.refusal(413, 1008);
}

#[tokio::test]
async fn with_error_status_ok_every_error_but_401_is_a_200() {
    let app = TestApp::with(&["api.error_status=ok"]).await;
    app.get("query_task?task_id=x").await.refusal(200, 1004);
    app.post("create_task", json!({})).await.refusal(200, 1001);
    app.get("nothing").await.refusal(200, 1004);
    let wrong_method = app.put("add_storage", Value::Null).await;
    wrong_method.refusal(200, 1001);
    assert_eq!(wrong_method.header("allow"), Some("POST"));
    let without_key = Request::get("/vodencoding/v1/list_storage").body(Body::empty()).expect("a request");
    app.send(without_key).await.refusal(401, 1002);
    app.send(Request::get("/elsewhere").body(Body::empty()).expect("a request")).await.refusal(404, 1004);
}

#[tokio::test]
async fn unknown_fields_and_parameters_are_named() {
    let app = TestApp::start().await;
    let data = app
        .post("add_storage", json!({"type": "file", "bucket": "b", "notifi": "x", "empty": ""}))
        .await
        .data();
    assert_eq!(data["warnings"], json!(["`notifi` is not a known field and was ignored"]));
    let data = app.get("list_task?satus=failed&empty=").await.data();
    assert_eq!(data["warnings"], json!(["`satus` is not a known field and was ignored"]));
}

#[tokio::test]
async fn health_and_metrics_need_no_key() {
    // as a process does at its start: what is counted before is not kept
    borealis::telemetry::metrics_handle();
    let app = TestApp::start().await;
    for path in ["/healthz", "/readyz"] {
        app.send(Request::get(path).body(Body::empty()).expect("a request")).await.data_without_warnings();
    }
    app.get("list_storage").await.data();
    let metrics = app.send(Request::get("/metrics").body(Body::empty()).expect("a request")).await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").expect("a type").starts_with("text/plain"));
    assert!(metrics.text.contains("borealis_http_requests_total{"), "{}", metrics.text);
    assert!(metrics.text.contains("route=\"/vodencoding/v1/list_storage\""), "{}", metrics.text);
}
