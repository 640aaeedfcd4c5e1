//! Who calls, and what the key may do.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use borealis::api;
use model::Role;
use serde_json::{Value, json};

use crate::app::{ApiReply, Key, TestApp};

async fn list_with(app: &TestApp, headers: &[(&str, &str)]) -> ApiReply {
    let mut request = Request::get("/vodencoding/v1/list_storage");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn basic_alone_is_enough_however_it_is_written() {
    let app = TestApp::start().await;
    let basic = app.admin.basic();
    let encoded = basic.strip_prefix("Basic ").expect("basic");
    let variants = [
        vec![("authorization", basic.clone())],
        vec![("authorization", basic.clone()), ("auth-type", "use-basic".to_owned())],
        vec![("authorization", basic.clone()), ("Auth-Type", "USE-BASIC".to_owned())],
        vec![("authorization", basic.clone()), ("auth-type", String::new())],
        vec![("authorization", format!("basic {encoded}"))],
        vec![("authorization", format!("BASIC  {encoded} "))],
        vec![("authorization", format!("Basic {}", encoded.trim_end_matches('=')))],
    ];
    for variant in &variants {
        let headers: Vec<_> = variant.iter().map(|(name, value)| (*name, value.as_str())).collect();
        list_with(&app, &headers).await.data_without_warnings();
    }
}

#[tokio::test]
async fn whoever_does_not_sign_in_is_told_what_is_missing() {
    let app = TestApp::start().await;
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "there is no Authorization header"),
        (&[("auth-type", "use-basic")], "there is no Authorization header"),
        (&[("authorization", "")], "is not `Basic`"),
        (&[("authorization", "Basic")], "is not `Basic`"),
        (&[("authorization", "Bearer abc")], "is not `Basic`"),
        (&[("authorization", "Basic ###")], "does not hold base64 of `access_key:secret_key`"),
        (&[("authorization", "Basic bm9jb2xvbg==")], "does not hold base64 of `access_key:secret_key`"),
        (&[("authorization", "Basic /zo=")], "does not hold base64 of `access_key:secret_key`"),
        (&[("authorization", "Basic Og==")], "the access key or the secret key is wrong"),
        (&[("authorization", "Basic ADph")], "the access key or the secret key is wrong"),
    ];
    for (headers, problem) in cases.iter().cloned() {
        let reply = list_with(&app, headers).await;
        let message = reply.refusal(401, 1002);
        assert!(message.starts_with("AuthFail: ") && message.contains(problem), "{message}");
        assert!(reply.header("www-authenticate").expect("a scheme").starts_with("Basic "));
    }
}

#[tokio::test]
async fn unknown_keys_and_wrong_secrets_are_told_the_same() {
    let app = TestApp::start().await;
    app.get("list_storage").await.data();
    let wrong = Key { secret: "guess".to_owned(), ..app.admin.clone() };
    let unknown = Key { access_key: "nobody".to_owned(), ..app.admin.clone() };
    let mut messages = Vec::new();
    for key in [&wrong, &unknown] {
        messages.push(app.call_as(key, Method::GET, "list_storage", Value::Null).await.refusal(401, 1002));
    }
    assert_eq!(messages[0], messages[1]);
    // a success before or after changes nothing
    app.get("list_storage").await.data();
    app.call_as(&wrong, Method::GET, "list_storage", Value::Null).await.refusal(401, 1002);
}

#[tokio::test]
async fn a_secret_may_hold_colons_and_any_letter() {
    let app = TestApp::start().await;
    let known = model::AccessKey {
        access_key: "ключ".to_owned(),
        tenant: model::TenantId::main(),
        role: Role::Member,
        secret_hash: store::hash_secret(&model::Secret::new("a:b:ü")),
        created: app.app.clock.now(),
    };
    app.app.store.add_key(&known).await.expect("a new key");
    let basic = format!("Basic {}", BASE64_STANDARD.encode("ключ:a:b:ü"));
    list_with(&app, &[(header::AUTHORIZATION.as_str(), &basic)]).await.data();
}

/// Every call of the document, with its method.
pub(super) fn calls() -> Vec<(Method, String)> {
    let document = serde_json::to_value(api::document()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .filter_map(|(path, item)| Some((path.strip_prefix("/vodencoding/v1/")?, item)))
        .flat_map(|(call, item)| {
            let methods = item.as_object().expect("operations").keys();
            methods.map(|method| (method.to_uppercase().parse().expect("a method"), call.to_owned()))
        })
        .collect()
}

#[tokio::test]
async fn every_call_signs_in_before_it_looks_at_anything_else() {
    let app = TestApp::start().await;
    let calls = calls();
    assert!(calls.len() >= 15, "{calls:?}");
    for (method, call) in calls {
        let request = Request::builder().method(&method).uri(format!("/vodencoding/v1/{call}?count=x"));
        app.send(request.body(Body::from("{")).expect("a request")).await.refusal(401, 1002);
    }
}

#[tokio::test]
async fn the_role_read_looks_and_changes_nothing() {
    let app = TestApp::start().await;
    let reader = app.add_key("main", Role::Read).await;
    for (method, call) in calls() {
        let reply = app.call_as(&reader, method.clone(), &call, Value::Null).await;
        if call == "list_key" {
            reply.refusal(403, 1006);
        } else if method == Method::GET {
            assert!(reply.status == 200 || reply.status == 400, "{call}: {reply:?}");
        } else {
            let message = reply.refusal(403, 1006);
            assert!(message.starts_with("Forbidden: the key has the role `read`"), "{call}: {message}");
        }
    }
}

#[tokio::test]
async fn a_member_changes_things() {
    let app = TestApp::start().await;
    let member = app.add_key("main", Role::Member).await;
    let body = json!({"type": "file", "bucket": "b"});
    app.call_as(&member, Method::POST, "add_storage", body).await.data();
    assert_eq!(app.get("list_storage").await.data()["num"], 1);
}
