//! Outputs in real browsers: every format, by the players that people use, plays, seeks, switches its
//! renditions and ends, with decoded frames and a picture that is not flat. Sound alone running is no
//! pass: that is how a picture looks that a browser cannot decode.
//!
//! Debian's Chromium and Firefox, driven by puppeteer; `scripts/test-packages.sh` installs what is needed.
//! What is absent is said, and fails when `CI` is set.

#[expect(dead_code, reason = "the bench of other tests, of which this one reads no bytes")]
#[path = "../wishes/bench.rs"]
mod bench;

use std::{fs, path::Path, process::Command};

use bench::Bench;
use rstest::rstest;
use serde_json::{Value, json};

const SECONDS: f64 = 4.0;
/// Lines of the two renditions.
const HEIGHTS: [u64; 2] = [180, 90];
/// Standard deviation of luma; the test picture has some 60.
const FLAT: f64 = 15.0;

/// Name, template and players of each output.
fn outputs() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let ladder = json!([{"resolution": "320x180"}, {"resolution": "160x90"}]);
    let hls =
        |kind: &str| json!({"format": "hls", "seg_type": kind, "seg_time": 2, "adaptive_streams": ladder});
    vec![
        ("mp4", json!({"format": "mp4"}), &["element"]),
        ("flv", json!({"format": "flv"}), &["mpegts.js"]),
        ("hls-ts", hls("ts"), &["hls.js", "shaka-player"]),
        ("hls-fmp4", hls("fmp4"), &["hls.js", "shaka-player"]),
        ("dash", json!({"format": "dash", "seg_time": 2, "adaptive_streams": ladder}), &["shaka-player"]),
    ]
}

#[rstest]
#[case::chromium("chromium")]
#[case::firefox("firefox")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_plays(#[case] browser: &str) {
    let Some(bench) = Bench::find().await else { return };
    let modules =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-servers/players/node_modules");
    let program = if browser == "chromium" { "/usr/bin/chromium" } else { "/usr/bin/firefox-esr" };
    if !modules.is_dir() || !Path::new(program).exists() {
        println!("skipped: no {program}, or no players in {}", modules.display());
        assert!(std::env::var_os("CI").is_none(), "a browser or the players are absent");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut played = make(&bench, folder.path()).await;
    for wish in played.iter_mut().filter(|wish| browser == "firefox" && wish["name"] == "dash") {
        // shaka-player stands still there after a switch, with segments that it switches between in HLS
        wish["heights"] = json!([]);
    }
    fs::write(folder.path().join("outputs.json"), Value::from(played.clone()).to_string()).expect("written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/players/play.cjs");
    let modules = modules.canonicalize().expect("a folder");
    let ended = Command::new("node").arg(script).arg(modules).arg(folder.path()).arg(browser).output();
    let ended = ended.expect("node runs");
    let (said, trouble) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{browser}: {said}{trouble}");
    println!("{said}");
    let results: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(results.len(), played.len(), "{said}");
    let wrong: Vec<&Value> = results.iter().filter(|result| !is_right(result)).collect();
    assert!(wrong.is_empty(), "{browser}: {wrong:#?}");
}

/// Makes every output below a folder; gives what is to be played.
async fn make(bench: &Bench, folder: &Path) -> Vec<Value> {
    let input = bench.clip(
        "clip.mp4",
        "-f lavfi -i testsrc2=s=320x180:r=25:d=4 -f lavfi -i sine=440:r=48000:d=4 -c:v libx264 \
         -preset ultrafast -pix_fmt yuv420p -c:a aac",
    );
    let mut played = Vec::new();
    for (name, template, players) in outputs() {
        let made =
            bench.make(&input, template, json!({})).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        fs::rename(&made.dir, folder.join(name)).expect("moved");
        let main = format!("{name}/main.{}", made.plan.format.extensions()[0]);
        for player in players {
            let wish =
                json!({"name": name, "player": player, "main": main, "seconds": SECONDS, "heights": HEIGHTS});
            played.push(wish);
        }
    }
    played
}

/// Sound that runs without a picture has no width and no frames.
fn is_right(result: &Value) -> bool {
    let number = |name: &str| result[name].as_f64().unwrap_or(0.0);
    result["failed"].is_null()
        && number("width") > 0.0
        && number("height") > 0.0
        && number("frames") > 10.0
        && number("variation") > FLAT
        && (number("duration") - SECONDS).abs() < 0.2
        && (number("at") - SECONDS).abs() < 0.2
}
