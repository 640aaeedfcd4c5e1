//! Sign-ins with wrong keys are limited by address, and hold up no key.

use std::net::SocketAddr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use model::Role;

use super::{
    server::serve,
    slow::{connect, rest},
};
use crate::app::{Key, TestApp};

/// Calls `info` on a connection of its own; gives the whole answer.
async fn call_info(address: SocketAddr, key: &Key) -> String {
    let head = format!(
        "GET /vodencoding/v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic {}\r\n\r\n",
        BASE64_STANDARD.encode(format!("{}:{}", key.access_key, key.secret))
    );
    rest(connect(address, &head).await).await
}

fn status(answer: &str) -> &str {
    answer.get("HTTP/1.1 ".len()..).and_then(|rest| rest.get(..3)).unwrap_or(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_sign_ins_are_limited_by_address_and_keep_no_key_waiting() {
    let app = TestApp::start().await;
    let (remembered, new) = (app.add_key("a", Role::Admin).await, app.add_key("b", Role::Admin).await);
    let (address, ..) = serve(&app).await;
    assert_eq!(status(&call_info(address, &remembered).await), "200");
    let nobody = |number: u32| Key { access_key: format!("nobody{number}"), secret: "guess".to_owned() };
    assert_eq!(status(&call_info(address, &nobody(999)).await), "401");
    let floods =
        (0..200).map(|number| tokio::spawn(async move { call_info(address, &nobody(number)).await }));
    let floods: Vec<_> = floods.collect();
    // while they are refused, keys are answered: the remembered one and one that was never seen
    for key in [&remembered, &new, &remembered] {
        assert_eq!(status(&call_info(address, key).await), "200");
    }
    let mut statuses = Vec::new();
    for flood in floods {
        let answer = flood.await.expect("an answer");
        statuses.push(status(&answer).to_owned());
        assert!(answer.contains("\"code\":1002") || answer.contains("\"code\":1007"), "{answer}");
    }
    let guessed = statuses.iter().filter(|status| *status == "401").count();
    assert!(guessed <= 60, "{guessed} of {} were looked at", statuses.len());

    let mut refused = call_info(address, &nobody(0)).await;
    while status(&refused) == "401" {
        refused = call_info(address, &nobody(0)).await;
    }
    assert!(status(&refused) == "429" && refused.contains("retry-after: 5"), "{refused}");
    let wrong = call_info(address, &Key { secret: "guess".to_owned(), ..new.clone() }).await;
    assert_eq!(status(&wrong), "429", "a key is told the same as nobody");
    assert_eq!(status(&call_info(address, &new).await), "200");
}
