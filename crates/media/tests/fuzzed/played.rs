//! Outputs as FFmpeg reads them, beside what it makes of the input.

use std::{collections::BTreeMap, fs, path::Path};

use model::{Format, SegmentType};
use tokio::process::Command;

use crate::bench::{Bench, Made};

/// Seconds by which an output may be longer or shorter than what can be decoded of its input: frames of
/// harmed sound and pictures are left out, held or filled.
const SLACK: f64 = 0.5;

/// Seconds by which frames do not follow each other: all that clips hold lasts three seconds, so that one that
/// says so says nothing of how long it is, whatever FFmpeg makes of that.
const LEAP: f64 = 5.0;

/// What is wrong with an output; none when all is well.
pub(crate) async fn wrong(bench: &Bench, made: &Made, input: &Path) -> Option<String> {
    let (frames, complaints) = decoded(bench, "error", &of_output(made)).await;
    if !complaints.is_empty() {
        return Some(format!("cannot be read without errors: {complaints}"));
    }
    let (input, _) = decoded(bench, "quiet", &of_input(made, input)).await;
    let (lasts, wanted) = (seconds(&frames, f64::INFINITY), seconds(&input, LEAP));
    let off = (lasts - wanted).abs() > SLACK;
    off.then(|| format!("lasts {lasts:.2} s, and {wanted:.2} s of its input can be decoded"))
}

/// FFmpeg's words to open an output; segments as they follow each other, as players read them. FFmpeg's
/// own readers of playlists and manifests take a segment of two or three TS packets for another format, and
/// read the second of two segments twice.
fn of_output(made: &Made) -> Vec<String> {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let opened = |format: &str, url: String| ["-f", format, "-i"].map(str::to_owned).into_iter().chain([url]);
    let main = text(&made.dir.join(format!("main.{}", made.plan.format.extensions()[0])));
    let mut words = vec!["-xerror".to_owned()];
    match (made.plan.format, made.plan.segmenting) {
        (Format::Flv, _) => words.extend(opened("flv", main)),
        (_, None) => words.extend(opened("mp4", main)),
        (_, Some(segmenting)) => {
            let format = if segmenting.kind == SegmentType::Ts { "mpegts" } else { "mp4" };
            for track in fs::read_dir(made.dir.join("files")).expect("a folder") {
                let pieces = fs::read_dir(track.expect("an entry").path()).expect("a folder");
                let pieces = pieces.map(|piece| text(&piece.expect("an entry").path()));
                let mut pieces: Vec<_> = pieces.filter(|piece| !piece.ends_with(".m3u8")).collect();
                // `init` comes before `seg_`
                pieces.sort();
                words.extend(opened(format, format!("concat:{}", pieces.join("|"))));
            }
        }
    }
    let inputs = words.iter().filter(|word| *word == "-i").count();
    words.extend((0..inputs).flat_map(|input| ["-map".to_owned(), input.to_string()]));
    words
}

/// FFmpeg's words to open those streams of an input that were taken.
fn of_input(made: &Made, input: &Path) -> Vec<String> {
    let mut words = vec!["-i".to_owned(), input.to_str().expect("UTF-8").to_owned()];
    let picture = made.plan.picture.iter().map(|picture| picture.index);
    let streams = picture.chain(made.plan.audios.iter().map(|audio| audio.index));
    words.extend(streams.flat_map(|stream| ["-map".to_owned(), format!("0:{stream}")]));
    words
}

/// A list of decoded frames, and what FFmpeg complains of.
async fn decoded(bench: &Bench, level: &str, words: &[String]) -> (String, String) {
    let mut command = Command::new(&bench.media.tools.ffmpeg);
    command.args(["-nostdin", "-v", level]).args(words).args(["-fps_mode", "passthrough"]);
    command.args(["-c:v", "wrapped_avframe", "-c:a", "pcm_s16le", "-f", "framecrc", "-"]);
    let output = command.kill_on_drop(true).output().await.expect("FFmpeg runs");
    let mut complaints = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if level != "quiet" && !output.status.success() && complaints.is_empty() {
        complaints = output.status.to_string();
    }
    (String::from_utf8_lossy(&output.stdout).into_owned(), complaints)
}

/// Seconds from the first frame of a list as `framecrc` writes it to the end of the last. A frame that is a
/// leap away from where the one before led to follows it.
fn seconds(frames: &str, leap: f64) -> f64 {
    let mut ticks = BTreeMap::new();
    let mut places: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    let (mut first, mut end) = (f64::INFINITY, f64::NEG_INFINITY);
    for line in frames.lines() {
        if let Some((stream, base)) = line.strip_prefix("#tb ").and_then(|rest| rest.split_once(": ")) {
            let (num, den) = base.split_once('/').expect("a fraction");
            let number = |text: &str| text.parse::<f64>().expect("a number");
            ticks.insert(stream.to_owned(), number(num) / number(den));
        } else if let [stream, _, shown, lasts, ..] = line.split(',').map(str::trim).collect::<Vec<_>>()[..]
            && let Some(tick) = ticks.get(stream)
            && let (Ok(shown), Ok(lasts)) = (shown.parse::<f64>(), lasts.parse::<f64>())
        {
            let (ahead, next) = places.entry(stream).or_default();
            let step = shown * tick - *next;
            if step.abs() > leap {
                *ahead += step;
            }
            *next = (shown + lasts) * tick;
            first = first.min(shown * tick - *ahead);
            end = end.max(*next - *ahead);
        }
    }
    (end - first).max(0.0)
}
