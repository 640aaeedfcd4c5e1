//! The API as its own document describes it, tried by schemathesis: requests that fit the document and
//! requests that do not, made up by a fixed seed. No answer is a failure of the server, each has a
//! status that is documented for its call, and its body is what the document says.

use std::{path::Path, process::Stdio};

use tokio::process::Command;

use crate::program::{ACCESS_KEY, SECRET_KEY, Server};

const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Where `scripts/test-servers.sh` puts it.
fn installed() -> std::path::PathBuf {
    let servers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-servers");
    let found = std::fs::read_dir(&servers).into_iter().flatten().flatten().map(|entry| entry.path());
    found
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("schemathesis-"))
        })
        .find(|path| path.extension().is_none_or(|end| end != "part"))
        .expect("schemathesis is there; `scripts/test-servers.sh` installs it")
}

#[tokio::test]
async fn the_document_holds_for_what_a_machine_makes_up() {
    let server = Server::start(&["--no-worker"]).await;
    let folder = installed();
    let ran = Command::new("python3")
        .arg(folder.join("bin/schemathesis"))
        .args(["run", &format!("{}/openapi.json", server.url)])
        .args(["--auth", &format!("{ACCESS_KEY}:{SECRET_KEY}"), "--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--max-time", "60"])
        .args(["--seed", "1", "--generation-database", "none", "--continue-on-failure", "--no-color"])
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(server.data.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("python3 is there");
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("Test cases:"), "it says how many requests it made");
    server.stop().await;
}
