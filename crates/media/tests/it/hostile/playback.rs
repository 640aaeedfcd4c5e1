//! Outputs as FFmpeg reads them, beside what it makes of the input.

use std::{fs, path::Path};

use model::{Format, SegmentType};
use tokio::process::Command;

use crate::bench::{Bench, Made};

/// Seconds by which an output may be longer or shorter than what can be decoded of its input: frames of
/// harmed sound and pictures are left out, held or filled. Where few pictures are left, they are slow, and the
/// last one lasts up to one of them longer.
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
    let picture = made.plan.videos.first().map_or(0.0, |video| 1.0 / video.rate.as_f64());
    let off = (lasts - wanted).abs() > SLACK + picture;
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
    let kinds = [("0:v", made.plan.videos.is_empty()), ("0:a", made.plan.audios.is_empty())];
    let kinds = kinds.iter().filter(|(_, is_none)| !is_none).map(|(kind, _)| (*kind).to_owned());
    let streams: Vec<_> = match made.plan.segmenting {
        None => kinds.collect(),
        Some(_) => (0..inputs).map(|input| input.to_string()).collect(),
    };
    words.extend(streams.into_iter().flat_map(|stream| ["-map".to_owned(), stream]));
    words
}

/// FFmpeg's words to open those streams of an input that were taken.
fn of_input(made: &Made, input: &Path) -> Vec<String> {
    let mut words = vec!["-i".to_owned(), input.to_str().expect("UTF-8").to_owned()];
    let picture = made.plan.video_filter.iter().map(|picture| picture.index);
    let streams = picture.chain(made.plan.audios.iter().map(|audio| audio.index));
    words.extend(streams.flat_map(|stream| ["-map".to_owned(), format!("0:{stream}")]));
    words
}

/// When the frames of each stream begin and how long they last, in seconds and the order that they are decoded
/// in, and what FFmpeg complains of.
async fn decoded(bench: &Bench, level: &str, words: &[String]) -> (Vec<Vec<(f64, f64)>>, String) {
    let lists = tempfile::tempdir().expect("a folder");
    let streams = words.iter().filter(|word| *word == "-map").count();
    let list = |stream: usize| lists.path().join(stream.to_string());
    let mut command = Command::new(&bench.media.tools.programs.ffmpeg);
    command.args(["-nostdin", "-v", level]).args(words).args(["-fps_mode", "passthrough"]);
    command.args(["-c:v", "wrapped_avframe", "-c:a", "pcm_s16le"]);
    for stream in 0..streams {
        // muxers would move what does not follow
        command.arg(format!("-stats_enc_pre:{stream}")).arg(list(stream));
        command.arg(format!("-stats_enc_pre_fmt:{stream}")).arg("{t} {samp} {tb}");
    }
    let output = command.args(["-f", "null", "-"]).kill_on_drop(true).output().await.expect("FFmpeg runs");
    let mut complaints = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if level != "quiet" && !output.status.success() && complaints.is_empty() {
        complaints = output.status.to_string();
    }
    let times = |stream: usize| {
        let list = fs::read_to_string(list(stream)).unwrap_or_default();
        list.lines().filter_map(frame).collect()
    };
    ((0..streams).map(times).collect(), complaints)
}

/// When it begins and how long it lasts: as many ticks as it has samples, or the one of a picture.
fn frame(line: &str) -> Option<(f64, f64)> {
    let mut words = line.split_whitespace();
    let begins = words.next()?.parse().ok()?;
    let samples: f64 = words.next()?.parse().ok()?;
    let (num, den) = words.next()?.split_once('/')?;
    let tick = num.parse::<f64>().ok()? / den.parse::<f64>().ok()?;
    Some((begins, samples.max(1.0) * tick))
}

/// Seconds from the first frame to the end of the last. A frame that is a leap away from the one before follows
/// it.
fn seconds(streams: &[Vec<(f64, f64)>], leap: f64) -> f64 {
    let (mut first, mut end) = (f64::INFINITY, f64::NEG_INFINITY);
    for frames in streams {
        let (mut ahead, mut next) = (0.0, 0.0);
        for (begins, lasts) in frames {
            if (begins - ahead - next).abs() > leap {
                ahead = begins - next;
            }
            next = begins - ahead + lasts;
            first = first.min(begins - ahead);
            end = end.max(next);
        }
    }
    (end - first).max(0.0)
}
