//! What is asked all the time, from addresses of its own: `/healthz` on a new connection each time, and the first
//! sign-in of a new key of the customer's.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    attacker::{client_from, pace},
    product::{self, Product},
};

/// A time after which it counts as no answer.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What was seen.
pub(crate) struct Watched {
    pub(super) health: Answers,
    pub(super) sign_ins: Answers,
}

/// How long answers took, and how many did not come or were errors.
#[derive(Default)]
pub(crate) struct Answers {
    pub(super) times: Vec<Duration>,
    pub(super) failures: Vec<String>,
}

impl Answers {
    fn add(&mut self, since: Instant, result: Result<(), String>) {
        match result {
            Ok(()) => self.times.push(since.elapsed()),
            Err(problem) => self.failures.push(format!("{problem} after {:.1?}", since.elapsed())),
        }
    }
}

/// The watchers.
pub(super) struct Watch {
    health: JoinHandle<Answers>,
    sign_ins: JoinHandle<Answers>,
}

impl Watch {
    pub(super) fn start(product: &Product, stop: CancellationToken) -> Self {
        Self {
            health: tokio::spawn(ask_health(product.address(), stop.clone())),
            sign_ins: tokio::spawn(sign_in(product.administrator(), stop)),
        }
    }

    /// What was seen until it was to stop.
    pub(super) async fn end(self) -> Watched {
        let (health, sign_ins) = (self.health.await.expect("it ends"), self.sign_ins.await.expect("it ends"));
        Watched { health, sign_ins }
    }
}

fn client(last: u8) -> reqwest::Client {
    client_from(IpAddr::from(Ipv4Addr::new(127, 2, 0, last)), MAX_WAIT)
}

async fn ask_health(server: SocketAddr, stop: CancellationToken) -> Answers {
    let (mut answers, mut pace) = (Answers::default(), pace(100));
    while !stop.is_cancelled() {
        pace.tick().await;
        let (client, since) = (client(2), Instant::now());
        let answer = client.get(format!("http://{server}/healthz")).send().await;
        answers.add(since, answer.and_then(|answer| answer.error_for_status()).map(drop).map_err(describe));
    }
    answers
}

/// Signs in with one new key after the other, so that each is checked against its hash.
async fn sign_in(
    (admin, server, admin_key): (reqwest::Client, SocketAddr, (&'static str, &'static str)),
    stop: CancellationToken,
) -> Answers {
    let (mut answers, mut pace, client) = (Answers::default(), pace(2000), client(3));
    let by_admin =
        async |method, path: &str, body| product::call(&admin, server, admin_key, method, path, body).await;
    while !stop.is_cancelled() {
        pace.tick().await;
        let body = json!({"tenant": super::customer::TENANT, "role": "read"});
        let key = match by_admin(Method::POST, "add_key", body).await {
            Ok(key) => key,
            Err(problem) => {
                answers.failures.push(problem);
                continue;
            }
        };
        let text = |field: &str| key[field].as_str().expect("a text");
        let (key, since) = ((text("access_key"), text("secret_key")), Instant::now());
        let signed_in = product::call(&client, server, key, Method::GET, "info", Value::Null).await;
        answers.add(since, signed_in.map(drop));
        let delete = format!("del_key?access_key={}", key.0);
        answers.failures.extend(by_admin(Method::DELETE, &delete, Value::Null).await.err());
    }
    answers
}

fn describe(error: reqwest::Error) -> String {
    error.status().map_or_else(|| "no answer".to_owned(), |status| status.to_string())
}
