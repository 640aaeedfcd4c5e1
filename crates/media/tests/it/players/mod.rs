//! Outputs in real browsers: every format with every codec, by the players that people use, plays, seeks, switches its
//! renditions and ends, with decoded frames, a video that is not flat, and audio. Audio that plays without frames is no
//! pass: so does a file whose video the browser cannot decode. What a browser says it cannot play stands in
//! `docs/figures/players.md` as well, which has to be what is seen.
//!
//! Debian's Chromium and Firefox, driven by puppeteer; `scripts/test-packages.sh` installs what is needed. What is
//! absent is printed, and fails when `CI` is set. `UPDATE_DOCS` writes the page.

mod browser;
mod outputs;
mod seen;
mod table;

use std::{fs, path::Path};

use serde_json::json;

use self::{browser::Browser, outputs::PlayedOutput};
use crate::bench::Bench;

const DURATION_SECS: f64 = 3.0;
const BROWSERS: [&str; 2] = ["chromium", "firefox"];

/// An output and the player of a row.
type PlayerRow = (PlayedOutput, &'static str);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_plays() {
    let Some(bench) = Bench::find().await else { return };
    let Some(modules) = browser::modules() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut browsers = BROWSERS.map(|name| Browser::open(name, &modules, folder.path()));
    let rows = play_all(&bench, folder.path(), &mut browsers).await;
    let mut columns = Vec::new();
    for browser in browsers {
        let name = browser.name;
        let (version, results) = browser.results().await;
        println!("{version}");
        columns.push(seen::column(name, &rows, results));
    }
    let wrong: Vec<_> = columns.iter().flatten().filter_map(|cell| cell.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{} of {} rows: {wrong:#?}", wrong.len(), rows.len() * BROWSERS.len());
    let cells: Vec<Vec<&str>> =
        columns.iter().map(|column| column.iter().flatten().copied().collect()).collect();
    table::check_or_write(&rows, &cells);
}

/// Makes one output after the other; each is played while the next is made. Gives the rows.
async fn play_all(bench: &Bench, folder: &Path, browsers: &mut [Browser]) -> Vec<PlayerRow> {
    let clip = |name: &str, encoded: &str| {
        let inputs = format!(
            "-f lavfi -i testsrc2=s=320x180:r=25:d={DURATION_SECS} -f lavfi -i sine=440:r=48000:d={DURATION_SECS}"
        );
        bench.clip(name, &format!("{inputs} -c:v libx264 -pix_fmt yuv420p -c:a aac {encoded}"))
    };
    let input = clip("clip.mp4", "-preset ultrafast -af pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0");
    // with B-frames, and with key frames within segments
    let to_copy = clip("to_copy.mp4", "-preset veryfast -g 15 -ac 2");
    let mut rows = Vec::new();
    for output in outputs::all() {
        let name = output.name();
        let input = if output.is_copy() { &to_copy } else { &input };
        let transcoded = bench.must_transcode(input, output.template()).await;
        fs::rename(&transcoded.dir, folder.join(&name)).expect("moved");
        for player in output.players().iter().copied() {
            let heights = if output.is_ladder() { &outputs::HEIGHTS[..] } else { &[] };
            let request = json!({
                "id": rows.len(), "main": format!("{name}/{}", output.main(player)), "player": player, "types": output.types(player),
                "seconds": DURATION_SECS, "segment": outputs::SEGMENT_SECS, "heights": heights,
            });
            for browser in browsers.iter_mut() {
                browser.play(&request).await;
            }
            rows.push((output, player));
        }
    }
    rows
}
