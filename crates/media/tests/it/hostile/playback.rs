//! Outputs as FFmpeg decodes them, beside what it decodes of the input.

use std::{fs, path::Path};

use model::{Format, SegmentType};
use tokio::process::Command;

use crate::bench::{Bench, Transcoded};

/// By which an output may be longer or shorter than what can be decoded of its input: frames of damaged audio and video
/// are left out, held or filled. Where few video frames are left, the frame rate is low, and the last frame is shown for up
/// to one of its intervals longer.
const DURATION_TOLERANCE_SECS: f64 = 0.5;

/// A jump of an input's time stamps. Clips have three seconds in all, so that a gap of more than that says nothing of
/// how long the input is, whatever FFmpeg makes of it.
const MIN_JUMP_SECS: f64 = 5.0;

/// A frame as it is decoded, in seconds.
#[derive(Clone, Copy)]
struct DecodedFrame {
    pts: f64,
    duration: f64,
}

/// What is wrong with an output; none when all is well.
pub(crate) async fn find_fault(bench: &Bench, output: &Transcoded, input: &Path) -> Option<String> {
    let (streams, complaints) = decode(bench, "error", &output_arguments(output)).await;
    if !complaints.is_empty() {
        return Some(format!("cannot be decoded without errors: {complaints}"));
    }
    let (input_streams, _) = decode(bench, "quiet", &input_arguments(output, input)).await;
    let (duration, decodable) =
        (total_duration(&streams, None), total_duration(&input_streams, Some(MIN_JUMP_SECS)));
    let frame = output.plan.videos.first().map_or(0.0, |video| 1.0 / video.frame_rate.as_f64());
    if (duration - decodable).abs() <= DURATION_TOLERANCE_SECS + frame {
        return None;
    }
    Some(format!("has a duration of {duration:.2} s, and {decodable:.2} s of its input can be decoded"))
}

/// FFmpeg's arguments to open an output: its segments one after the other, as players read them. FFmpeg's own readers of
/// playlists and manifests take a segment of two or three TS packets for another format, and read the second of two
/// segments twice.
fn output_arguments(output: &Transcoded) -> Vec<String> {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let open = |format: &str, url: String| ["-f", format, "-i", &url].map(str::to_owned);
    let mut arguments = vec!["-xerror".to_owned()];
    let mut streams = Vec::new();
    if let Some(segmenting) = output.plan.segmenting {
        let format = if segmenting.segment_type == SegmentType::Ts { "mpegts" } else { "mp4" };
        for (number, folder) in fs::read_dir(output.dir.join("files")).expect("a folder").enumerate() {
            let files = fs::read_dir(folder.expect("an entry").path()).expect("a folder");
            let files = files.map(|file| text(&file.expect("an entry").path()));
            let mut segments: Vec<_> = files.filter(|file| !file.ends_with(".m3u8")).collect();
            // `init` comes before `seg_`
            segments.sort();
            arguments.extend(open(format, format!("concat:{}", segments.join("|"))));
            streams.push(number.to_string());
        }
    } else {
        let format = if output.plan.format == Format::Flv { "flv" } else { "mp4" };
        arguments.extend(open(format, text(&output.main())));
        if !output.plan.videos.is_empty() {
            streams.push("0:v".to_owned());
        }
        if !output.plan.audios.is_empty() {
            streams.push("0:a".to_owned());
        }
    }
    arguments.extend(streams.into_iter().flat_map(|stream| ["-map".to_owned(), stream]));
    arguments
}

/// FFmpeg's arguments to open those streams of an input that the plan takes.
fn input_arguments(output: &Transcoded, input: &Path) -> Vec<String> {
    let mut arguments = vec!["-i".to_owned(), input.to_str().expect("UTF-8").to_owned()];
    let video = output.plan.video_filter.iter().map(|video| video.index);
    let streams = video.chain(output.plan.audios.iter().map(|audio| audio.index));
    arguments.extend(streams.flat_map(|stream| ["-map".to_owned(), format!("0:{stream}")]));
    arguments
}

/// The frames of each stream in decoding order, and what FFmpeg complains of.
async fn decode(bench: &Bench, level: &str, opened: &[String]) -> (Vec<Vec<DecodedFrame>>, String) {
    let lists = tempfile::tempdir().expect("a folder");
    let streams = opened.iter().filter(|argument| *argument == "-map").count();
    let list = |stream: usize| lists.path().join(stream.to_string());
    let mut command = Command::new(&bench.media.tools.programs.ffmpeg);
    command.args(["-nostdin", "-v", level]).args(opened).args(["-fps_mode", "passthrough"]);
    command.args(["-c:v", "wrapped_avframe", "-c:a", "pcm_s16le"]);
    for stream in 0..streams {
        // listed in front of the encoders, because muxers would move time stamps that do not grow
        command.arg(format!("-stats_enc_pre:{stream}")).arg(list(stream));
        command.arg(format!("-stats_enc_pre_fmt:{stream}")).arg("{t} {samp} {tb}");
    }
    let ended = command.args(["-f", "null", "-"]).kill_on_drop(true).output().await.expect("FFmpeg runs");
    let mut complaints = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    if level != "quiet" && !ended.status.success() && complaints.is_empty() {
        complaints = ended.status.to_string();
    }
    let frames = |stream: usize| {
        let lines = fs::read_to_string(list(stream)).unwrap_or_default();
        lines.lines().filter_map(parse_frame).collect()
    };
    ((0..streams).map(frames).collect(), complaints)
}

/// A line `pts samples timebase`. The duration is the samples in units of the time base: of audio that is 1 / sample
/// rate; a video frame has 0 samples, and its time base is its interval.
fn parse_frame(line: &str) -> Option<DecodedFrame> {
    let mut fields = line.split_whitespace();
    let pts = fields.next()?.parse().ok()?;
    let samples: f64 = fields.next()?.parse().ok()?;
    let (num, den) = fields.next()?.split_once('/')?;
    let unit = num.parse::<f64>().ok()? / den.parse::<f64>().ok()?;
    Some(DecodedFrame { pts, duration: samples.max(1.0) * unit })
}

/// Seconds from the first frame to the end of the last. Where jumps are looked for, a frame after one counts as if it
/// followed the frame before.
fn total_duration(streams: &[Vec<DecodedFrame>], min_jump: Option<f64>) -> f64 {
    let (mut first, mut last_end) = (f64::INFINITY, f64::NEG_INFINITY);
    for frames in streams {
        let (mut offset, mut end) = (0.0, 0.0);
        for frame in frames {
            if min_jump.is_some_and(|min| (frame.pts - offset - end).abs() > min) {
                offset = frame.pts - end;
            }
            end = frame.pts - offset + frame.duration;
            first = first.min(frame.pts - offset);
            last_end = last_end.max(end);
        }
    }
    (last_end - first).max(0.0)
}
