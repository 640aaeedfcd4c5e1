//! Keys: made, listed and deleted by administrators.

use axum::http::Method;
use model::Role;
use serde_json::{Value, json};

use crate::app::{Key, TestApp};

/// The key that an answer of `add_key` holds.
fn key(added: &Value) -> Key {
    let text = |field: &str| added[field].as_str().expect("a text").to_owned();
    Key { access_key: text("access_key"), secret: text("secret_key") }
}

#[tokio::test]
async fn a_key_works_until_it_is_deleted() {
    let app = TestApp::start().await;
    let added = app.post("add_key", json!({"tenant": "customer", "role": "read"})).await;
    let data = added.data_without_warnings();
    assert_eq!((&data["tenant"], &data["role"]), (&json!("customer"), &json!("read")));
    let made = key(&data);
    app.call_as(&made, Method::GET, "list_storage", Value::Null).await.data();

    let listed = app.get("list_key").await;
    let list = listed.data_without_warnings();
    assert_eq!((&list["num"], &list["list"][0]["access_key"]), (&json!(2), &json!(made.access_key)));
    assert!(!listed.text.contains(&made.secret) && !listed.text.contains("argon2"), "{}", listed.text);

    // the check of its secret is remembered by now, and is of no use
    app.delete(&format!("del_key?access_key={}", made.access_key)).await.data_without_warnings();
    app.call_as(&made, Method::GET, "list_storage", Value::Null).await.refusal(401, 1002);
    app.delete(&format!("del_key?access_key={}", made.access_key)).await.refusal(404, 1004);
}

#[tokio::test]
async fn what_is_not_said_is_a_member_of_ones_own_tenant() {
    let app = TestApp::start().await;
    let data = app.post("add_key", json!({"role": ""})).await.data();
    assert_eq!((&data["tenant"], &data["role"]), (&json!("main"), &json!("member")));
    for (body, problem) in [
        (json!({"tenant": "a b"}), "BadParam: tenant: `a b` is not a tenant"),
        (json!({"role": "root"}), "BadParam: role: `root` is not one of `admin`, `member`, `read`"),
    ] {
        let message = app.post("add_key", body).await.refusal(400, 1001);
        assert!(message.starts_with(problem), "{message}");
    }
}

#[tokio::test]
async fn only_administrators_have_keys_in_hand() {
    let app = TestApp::start().await;
    for role in [Role::Member, Role::Read] {
        let caller = app.add_key("main", role).await;
        for (method, call) in [
            (Method::POST, "add_key".to_owned()),
            (Method::GET, "list_key".to_owned()),
            (Method::DELETE, format!("del_key?access_key={}", app.admin.access_key)),
        ] {
            app.call_as(&caller, method, &call, json!({"role": "read"})).await.refusal(403, 1006);
        }
    }
}

#[tokio::test]
async fn an_administrator_of_another_tenant_has_its_keys_alone() {
    let app = TestApp::start().await;
    let theirs = key(&app.post("add_key", json!({"tenant": "customer", "role": "admin"})).await.data());
    let call = |method: Method, call: &'static str, body: Value| {
        let (app, theirs) = (&app, &theirs);
        async move { app.call_as(theirs, method, call, body).await }
    };
    let own = call(Method::POST, "add_key", json!({"role": "read"})).await.data();
    assert_eq!(own["tenant"], "customer");
    call(Method::POST, "add_key", json!({"tenant": "main"})).await.refusal(403, 1006);
    assert_eq!(call(Method::GET, "list_key", Value::Null).await.data()["num"], 2);
    let first = call(Method::DELETE, "del_key?access_key=main-admin", Value::Null).await.refusal(404, 1004);
    let none = call(Method::DELETE, "del_key?access_key=main-admim", Value::Null).await.refusal(404, 1004);
    assert_eq!(first.replace("main-admin", ""), none.replace("main-admim", ""));
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let app = TestApp::start().await;
    let last = format!("del_key?access_key={}", app.admin.access_key);
    let message = app.delete(&last).await.refusal(409, 1005);
    assert!(message.contains("is the last administrator's key"), "{message}");
    app.post("add_key", json!({"role": "admin"})).await.data();
    app.delete(&last).await.data();
}
