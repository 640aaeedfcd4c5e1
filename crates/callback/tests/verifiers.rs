//! Signatures against implementations that are not ours: the `standardwebhooks` packages of PyPI and
//! npm, as customers use them. `make test` fetches them.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use borealis_callback::sign;
use model::{CallbackId, Clock as _, Secret, SystemClock};
use serde_json::json;

const PYTHON: &str = "
import json, sys
from standardwebhooks import Webhook
said = json.load(sys.stdin)
Webhook(said['secret']).verify(said['body'].encode(), said['headers'])
";

const NODE: &str = "
const { Webhook } = require('standardwebhooks');
const said = JSON.parse(require('fs').readFileSync(0));
new Webhook(said.secret).verify(said.body, said.headers);
";

const BODY: &str = r#"{"code":0,"msg":"succeeded","data":[{"custom_info":"订单 é \"7\""}]}"#;

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-servers").join(name);
    assert!(folder.exists(), "{} is missing; scripts/test-servers.sh fetches it", folder.display());
    folder
}

fn python() -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", PYTHON]).env("PYTHONPATH", folder("standardwebhooks-python"));
    command
}

fn node() -> Command {
    let mut command = Command::new("node");
    command.args(["-e", NODE]).current_dir(folder("standardwebhooks-node"));
    command
}

/// Whether it believes a body under these signatures.
fn believes(mut verifier: Command, secret: &Secret, signers: &[&Secret], body: &str) -> bool {
    let (id, now) = (CallbackId::generate(&mut rand::rng()), SystemClock.now());
    let signatures: Vec<String> = signers
        .iter()
        .map(|signer| sign::signature(signer, &id, now, BODY.as_bytes()).expect("a good secret"))
        .collect();
    let said = json!({
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
    input.write_all(said.to_string().as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || complaint.contains("No matching signature found"), "{complaint}");
    output.status.success()
}

fn check(verifier: fn() -> Command) {
    let (secret, other) = (sign::generate_secret(), sign::generate_secret());
    assert!(believes(verifier(), &secret, &[&secret], BODY));
    // while a secret is rotated out, both fit
    assert!(believes(verifier(), &secret, &[&other, &secret], BODY));
    assert!(believes(verifier(), &other, &[&other, &secret], BODY));
    assert!(!believes(verifier(), &secret, &[&other], BODY));
    assert!(!believes(verifier(), &secret, &[&secret], &BODY.replace('7', "8")));
}

#[test]
fn python_believes_us() {
    check(python);
}

#[test]
fn node_believes_us() {
    check(node);
}
