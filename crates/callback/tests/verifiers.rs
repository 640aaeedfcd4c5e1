//! Signatures against other implementations: the `standardwebhooks` packages of PyPI and npm, as customers
//! use them, and the receivers in `docs/callbacks.md`. `make test` fetches the packages.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use borealis_callback::{
    send::{AttemptOutcome, Message, SendLimits, send},
    sign,
};
use model::{CallbackId, Clock as _, NotifySuccess, Secret, SystemClock};
use net::{Client, ClientOptions, Guard};
use rstest::rstest;
use serde_json::json;
use tokio::net::TcpStream;

const PYTHON: &str = "
import json, sys
from standardwebhooks import Webhook
callback = json.load(sys.stdin)
Webhook(callback['secret']).verify(callback['body'].encode(), callback['headers'])
";

const NODE: &str = "
const { Webhook } = require('standardwebhooks');
const callback = JSON.parse(require('fs').readFileSync(0));
new Webhook(callback.secret).verify(callback.body, callback.headers);
";

const BODY: &str = r#"{"code":0,"msg":"succeeded","data":[{"custom_info":"订单 é \"7\""}]}"#;

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-servers").join(name);
    assert!(folder.exists(), "{} is missing; scripts/test-servers.sh fetches it", folder.display());
    folder
}

fn python(program: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", program]).env("PYTHONPATH", folder("standardwebhooks-python"));
    command
}

fn node(program: &str) -> Command {
    let mut command = Command::new("node");
    command.args(["-e", program]).current_dir(folder("standardwebhooks-node"));
    command
}

/// Whether a verifier with this secret accepts a body under the signatures of these signers.
fn accepts(mut verifier: Command, secret: &Secret, signers: &[&Secret], body: &str) -> bool {
    let (id, now) = (CallbackId::generate(&mut rand::rng()), SystemClock.now());
    let signatures: Vec<String> = signers
        .iter()
        .map(|signer| sign::sign(signer, &id, now, BODY.as_bytes()).expect("a good secret"))
        .collect();
    let callback = json!({
        "secret": secret.expose(),
        "body": body,
        "headers": {
            sign::ID_HEADER: id.as_str(),
            sign::TIMESTAMP_HEADER: now.as_secs().to_string(),
            sign::SIGNATURE_HEADER: signatures.join(" "),
        },
    });
    let mut child = verifier.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is installed");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(callback.to_string().as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || complaint.contains("No matching signature found"), "{complaint}");
    output.status.success()
}

#[rstest]
#[case::python(python, PYTHON)]
#[case::node(node, NODE)]
fn customers_accept_our_signatures(#[case] language: fn(&str) -> Command, #[case] program: &str) {
    let (secret, other) = (sign::generate_secret(), sign::generate_secret());
    let verifier = || language(program);
    assert!(accepts(verifier(), &secret, &[&secret], BODY));
    // while a secret is rotated out, both match
    assert!(accepts(verifier(), &secret, &[&other, &secret], BODY));
    assert!(accepts(verifier(), &other, &[&other, &secret], BODY));
    assert!(!accepts(verifier(), &secret, &[&other], BODY));
    assert!(!accepts(verifier(), &secret, &[&secret], &BODY.replace('7', "8")));
}

/// A receiver out of the documentation, killed when dropped.
struct DocumentedReceiver {
    process: Child,
    url: String,
}

impl Drop for DocumentedReceiver {
    fn drop(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

impl DocumentedReceiver {
    async fn start(mut program: Command, secret: &Secret) -> Self {
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("bound").port();
        program.env("SECRET", secret.expose()).env("PORT", port.to_string());
        let process = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it is installed");
        until_it_listens(port).await;
        Self { process, url: format!("http://127.0.0.1:{port}/") }
    }
}

/// A program of the documentation does not say when its port is open.
async fn until_it_listens(port: u16) {
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first code block of the documentation in this language.
fn documented(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/callbacks.md");
    let page = std::fs::read_to_string(page).expect("the documentation");
    let (_, code) = page.split_once(&format!("```{language}\n")).expect("a code block in this language");
    code.split_once("```").expect("its end").0.to_owned()
}

#[rstest]
#[case::python(python(&documented("python")))]
#[case::node(node(&documented("js")))]
#[tokio::test]
async fn the_documented_receivers_work(#[case] program: Command) {
    let (secret, other) = (sign::generate_secret(), sign::generate_secret());
    let mut receiver = DocumentedReceiver::start(program, &secret).await;
    let loopback = "127.0.0.0/8".parse().expect("a network");
    let client =
        Client::new(Arc::new(Guard::new(vec![loopback])), ClientOptions::default()).expect("a client");
    let body = br#"{"code":0,"msg":"succeeded","data":[{"task_id":"20220420111542664667cccc3d179880"}]}"#;
    let post = async |id: &CallbackId, secret: &Secret| {
        let (url, secrets) = (receiver.url.clone(), [secret]);
        let message =
            Message { url: &url, id, body, number: 1, secrets: &secrets, success: NotifySuccess::Only200 };
        send(&client, &message, &SystemClock, &SendLimits::default()).await.1
    };
    let [first, second] = [CallbackId::generate(&mut rand::rng()), CallbackId::generate(&mut rand::rng())];
    assert!(matches!(post(&first, &other).await, AttemptOutcome::Rejected { status: 401, .. }));
    // a callback that was received before is accepted again, and handled once
    for id in [&first, &first, &second] {
        assert_eq!(post(id, &secret).await, AttemptOutcome::Accepted);
    }
    let stdout = receiver.process.stdout.take().expect("it is piped");
    drop(receiver);
    let handled: Vec<String> = BufReader::new(stdout).lines().map(|line| line.expect("a text")).collect();
    assert_eq!(handled.len(), 2, "{handled:?}");
    assert!(
        handled
            .iter()
            .all(|line| line.contains("succeeded") && line.contains("20220420111542664667cccc3d179880"))
    );
}
