//! A browser that plays one output after the other, driven by the script `play.cjs`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
};

/// Debian's.
const PROGRAMS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/firefox-esr"];

/// One browser, open until its results are asked for.
pub(crate) struct Browser {
    pub(crate) name: &'static str,
    script: Child,
    input: ChildStdin,
}

/// The folder of the players' packages; none when it or a browser is absent, which is printed.
pub(crate) fn modules() -> Option<PathBuf> {
    let modules =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-servers/players/node_modules");
    if let Some(absent) =
        PROGRAMS.iter().map(Path::new).chain([modules.as_path()]).find(|path| !path.exists())
    {
        println!("skipped: {} is absent", absent.display());
        assert!(std::env::var_os("CI").is_none(), "{} is absent", absent.display());
        return None;
    }
    Some(modules.canonicalize().expect("a folder"))
}

impl Browser {
    /// Opens it on a folder of outputs.
    pub(crate) fn open(name: &'static str, modules: &Path, folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/players/play.cjs");
        let mut command = Command::new("node");
        command.arg(script).arg(modules).arg(folder).arg(name);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut script = command.spawn().expect("node runs");
        let input = script.stdin.take().expect("piped");
        Self { name, script, input }
    }

    /// Has it play one more output.
    pub(crate) async fn play(&mut self, request: &Value) {
        let line = format!("{request}\n");
        // a script that ended too early says why when its results are asked for
        let _ = self.input.write_all(line.as_bytes()).await;
    }

    /// Its version, and what came of each output, in the order in which they ended.
    pub(crate) async fn results(self) -> (String, Vec<Value>) {
        let Self { name, script, input } = self;
        drop(input);
        let ended = script.wait_with_output().await.expect("node runs");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{name}: {stdout}{stderr}");
        let mut lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let version = lines.next().expect("a version")["version"].as_str().expect("a text").to_owned();
        (version, lines.collect())
    }
}
