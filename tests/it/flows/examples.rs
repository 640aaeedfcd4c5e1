//! The examples of `docs/api.md`, run as they stand there.

use std::{path::Path, process::Stdio};

use tokio::process::Command;

use crate::program::{ACCESS_KEY, SECRET_KEY, Server};

/// The block of this language below the examples' headings.
fn example(language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
    let text = std::fs::read_to_string(path).expect("docs/api.md is there");
    let (_, rest) = text.split_once(&format!("\n```{language}\n")).expect("an example of this language");
    rest.split_once("\n```").expect("the block ends").0.to_owned()
}

/// What an interpreter prints that is given the example.
async fn run(server: &Server, language: &str, command: &[&str]) -> String {
    let file =
        server.data.path().join(format!("example.{}", if language == "js" { "mjs" } else { language }));
    std::fs::write(&file, example(language)).expect("written");
    let ran = Command::new(command[0])
        .args(&command[1..])
        .arg(file)
        .env("BOREALIS_SERVER", &server.url)
        .env("BOREALIS_ACCESS_KEY", ACCESS_KEY)
        .env("BOREALIS_SECRET_KEY", SECRET_KEY)
        .env("INPUT", "https://8.8.8.8/cat.mov")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", command[0]));
    assert!(ran.status.success(), "{language}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

#[tokio::test]
async fn the_examples_of_the_documents_work() {
    let server = Server::start(&["--no-worker"]).await;
    for (language, command) in [("sh", vec!["bash"]), ("python", vec!["python3"]), ("js", vec!["node"])] {
        let output = run(&server, language, &command).await;
        assert!(output.ends_with("pending\n"), "{language}: {output}");
    }
    // Go is no part of what tests install
    match Command::new("go").arg("version").output().await {
        Ok(_) => assert_eq!(run(&server, "go", &["go", "run"]).await, "pending\n"),
        Err(_) => println!("the example in Go was not run: there is no Go on this machine"),
    }
    server.stop().await;
}
