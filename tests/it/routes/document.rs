//! The OpenAPI document is made from the handlers; a copy is kept to be read, and to be seen when
//! it changes.

use std::path::Path;

use axum::{body::Body, http::Request};
use borealis::api;
use serde_json::{Value, json};

use crate::app::TestApp;

fn document() -> Value {
    serde_json::to_value(api::document()).expect("JSON")
}

#[test]
fn the_generated_openapi_document_is_the_kept_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let mut made = serde_json::to_string_pretty(&document()).expect("JSON");
    made.push('\n');
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("docs/ can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made == kept, "docs/openapi.json is not what the handlers say; `make gen` writes it again");
}

#[test]
fn every_call_says_who_may_call_and_what_can_go_wrong() {
    let document = document();
    assert!(document["openapi"].as_str().expect("a version").starts_with("3.1"));
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.contains_key("200"), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            if path.starts_with(api::BASE_PATH) {
                assert_eq!(operation["security"], json!([{"basic": []}]), "{method} {path}");
                for status in ["401", "429", "500", "503"] {
                    assert!(responses.contains_key(status), "{method} {path}: {status}");
                }
                let may_be_forbidden = method != "get" || path.ends_with("/list_key");
                assert_eq!(responses.contains_key("403"), may_be_forbidden, "{method} {path}");
                assert_eq!(
                    responses.contains_key("413"),
                    operation.get("requestBody").is_some(),
                    "{method} {path}"
                );
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 30);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn it_is_served_to_anyone() {
    let app = TestApp::start().await;
    let reply = app.send(Request::get("/openapi.json").body(Body::empty()).expect("a request")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(serde_json::from_str::<Value>(&reply.text).expect("JSON"), document());
}
