//! One file through the real pipeline, and what came of it held to the manifest: by other means than
//! the product's own, which is FFmpeg's decoding of source and output side by side.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use borealis_media::{
    Media, MediaError, MediaInput, Plan, PlanRequest, RunObserver, RunOutput, Source, plan,
};
use model::{Format, Template};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    decoded::{Comparison, DecodeRequest, DecodedMedia},
    manifest::{DURATION_TOLERANCE_SECS, Entry, Expected, Facts},
};

/// Mean difference of small frames, of 255, that scaling and encoding make; and that large frames
/// without colour tags are BT.709 to us as to players, and BT.601 to FFmpeg.
const MAX_FRAME_DIFFERENCE: f64 = 10.0;
/// What tone mapping leaves of the correlation of small frames is 1 less this.
const MAX_SHAPE_DIFFERENCE: f64 = 0.2;
/// What encoding and a change of channels leave of the correlation of loudness is 1 less this.
const MAX_LOUDNESS_DIFFERENCE: f64 = 0.2;
/// RMS of full scale below which audio is silent.
const SILENCE_LEVEL: f64 = 0.0005;

/// What the table of figures says of a file.
pub(crate) struct CorpusRow {
    pub(crate) expected: &'static str,
    pub(crate) outcome: String,
}

/// Through all four steps and the manifest's facts.
pub(crate) async fn of(media: &Media, entry: &Entry, number: usize) -> Result<CorpusRow, String> {
    let source = probe(media, entry).await;
    let facts = match (entry.expected(), source) {
        (Expected::Transcoded(facts), source) => (facts, source.map_err(|error| with_log(&error))?),
        (Expected::Refused(codes), Ok(source)) => {
            // what only decoding shows is refused later
            let error = match transcode(media, entry, &source, "mp4").await {
                Ok(_) => return Err(format!("was transcoded, and should be refused with {codes:?}")),
                Err(error) => error,
            };
            return refused(&codes, &error);
        }
        (Expected::Refused(codes), Err(error)) => return refused(&codes, &error),
    };
    let (facts, source) = facts;
    let mut words = String::new();
    for format in formats(entry, number) {
        let transcoded = transcode(media, entry, &source, format).await.map_err(|error| with_log(&error))?;
        transcoded.keep(entry, number, format);
        let found =
            transcoded.check(media, entry, &source, &facts).map_err(|wrong| format!("{format}: {wrong}"))?;
        if words.is_empty() {
            words = found;
        } else {
            words.push_str(&format!("; {format}"));
        }
    }
    Ok(CorpusRow { expected: "transcode", outcome: words })
}

fn with_log(error: &MediaError) -> String {
    format!("{error}\n{}", error.log)
}

fn refused(codes: &[model::ErrorCode], error: &MediaError) -> Result<CorpusRow, String> {
    if !codes.contains(&error.code) {
        return Err(format!("was refused with {:?}, not {codes:?}: {}", error.code, with_log(error)));
    }
    Ok(CorpusRow { expected: "reject", outcome: format!("{}: {}", error.code.number(), error.detail) })
}

/// MP4 always, and of odd files one that is cut into segments too, in turn.
fn formats(entry: &Entry, number: usize) -> Vec<&'static str> {
    const SEGMENTED: [&str; 4] = ["ts", "fmp4", "dash", "flv"];
    let second = entry.is_odd().then(|| SEGMENTED[number % SEGMENTED.len()]);
    std::iter::once("mp4").chain(second).collect()
}

fn template(format: &str) -> Template {
    let template: Value = match format {
        "ts" | "fmp4" => json!({"format": "hls", "seg_type": format, "seg_time": 2}),
        "dash" => json!({"format": "dash", "seg_time": 2}),
        single => json!({"format": single}),
    };
    let mut template = template;
    template["template_name"] = "t".into();
    template["resolution"] = "360p".into();
    serde_json::from_value(template).expect("a template")
}

async fn probe(media: &Media, entry: &Entry) -> Result<Source, MediaError> {
    media.probe(&entry.file, &CancellationToken::new()).await
}

struct CorpusOutput {
    _work: TempDir,
    plan: Plan,
    output: RunOutput,
    duration: f64,
}

async fn transcode(
    media: &Media,
    entry: &Entry,
    source: &Source,
    format: &str,
) -> Result<CorpusOutput, MediaError> {
    let (work, never) = (tempfile::tempdir().expect("a folder"), CancellationToken::new());
    let plan = plan(&PlanRequest::new(&template(format), source, &media.settings.plan))?;
    let output =
        media.run(&plan, MediaInput::File(&entry.file), work.path(), RunObserver::default(), &never).await?;
    let measured = media.verify(&plan, source, &output, &never).await?;
    Ok(CorpusOutput { _work: work, plan, output, duration: measured.duration })
}

impl CorpusOutput {
    /// Puts the output where `BOREALIS_KEEP_OUTPUTS` says, to be looked at: in a folder of the file's, beside
    /// a link to the file itself.
    fn keep(&self, entry: &Entry, number: usize, format: &str) {
        let Some(folder) = std::env::var_os("BOREALIS_KEEP_OUTPUTS") else { return };
        let folder = Path::new(&folder).join(format!("{:03}_{}", number + 1, entry.title()));
        fs::create_dir_all(&folder).expect("made");
        // it is there when this is the second format
        let _ = symlink(fs::canonicalize(&entry.file).expect("there"), folder.join("source"));
        let copied = Command::new("cp").arg("-r").arg(&self.output.dir).arg(folder.join(format)).status();
        assert!(copied.expect("`cp` runs").success());
    }

    /// Agrees and says what it is, or says what is wrong.
    fn check(&self, media: &Media, entry: &Entry, source: &Source, facts: &Facts) -> Result<String, String> {
        let main = self.output.dir.join(format!("main.{}", self.plan.format.extensions()[0]));
        if let Some(expected) = facts.duration
            && (self.duration - expected).abs() > DURATION_TOLERANCE_SECS
        {
            return Err(format!("has a duration of {:.3} s instead of {expected:.3} s", self.duration));
        }
        if facts.has_audio == self.plan.audios.is_empty() {
            return Err(format!("has {} audios", self.plan.audios.len()));
        }
        if facts.display_size.is_some() == self.plan.videos.is_empty() {
            return Err(format!("has {} videos", self.plan.videos.len()));
        }
        if self.plan.format != Format::Dash {
            // its ffprobe reads no manifests
            check_headers(&headers(media, &main)?, facts, self.plan.segmenting.is_some())?;
        }
        self.check_content(media, entry, source, facts, &main)?;
        Ok(self.words())
    }

    fn words(&self) -> String {
        let video = match self.plan.videos.first() {
            Some(video) => format!("{}×{}, {} fps, ", video.width, video.height, video.frame_rate),
            None => String::new(),
        };
        let audio = if self.plan.audios.is_empty() { "" } else { ", audio" };
        format!("{video}{:.2} s{audio}", self.duration)
    }

    /// The output beside FFmpeg's own decoding of the source: the same frames and the same audio at the
    /// same times.
    fn check_content(
        &self,
        media: &Media,
        entry: &Entry,
        source: &Source,
        facts: &Facts,
        main: &Path,
    ) -> Result<(), String> {
        let rate = self.plan.videos.first().map(|video| video.frame_rate);
        let decode = |files: Vec<PathBuf>, video: Option<String>, audio: Option<String>| {
            let video = video.zip(rate.map(|rate| rate.to_string()));
            DecodeRequest { ffmpeg: &media.tools.programs.ffmpeg, files, video, audio }.decode()
        };
        let (video, audio) = (self.plan.video_filter.as_ref(), self.plan.audios.first());
        let of_source = decode(
            vec![entry.file.clone()],
            video.map(|video| format!("0:{}", video.index)),
            audio.map(|audio| format!("0:{}", audio.index)),
        );
        let files = self.files(main);
        let audio_of_output = format!("{}:a:0", files.len() - 1);
        let of_output = decode(files, video.map(|_| "0:v:0".to_owned()), audio.map(|_| audio_of_output));
        if let Some(rate) = rate {
            self.check_frame_count(&of_output, rate.as_f64(), facts)?;
        }
        if audio.is_some()
            && !facts.is_silent
            && of_source.level > SILENCE_LEVEL
            && of_output.level < SILENCE_LEVEL
        {
            return Err(format!("is silent: {:.6}, and its source {:.6}", of_output.level, of_source.level));
        }
        if facts.not_comparable {
            return Ok(());
        }
        let rate = rate.map_or(0.0, |rate| rate.as_f64());
        let frames = of_output.compare_frames(&of_source, rate, source.start_offset, facts.is_hdr);
        let audio = of_output.compare_audio(&of_source, source.start_offset);
        check_mean_colour(&of_output, &of_source, facts)?;
        let max_difference = if facts.is_hdr { MAX_SHAPE_DIFFERENCE } else { MAX_FRAME_DIFFERENCE };
        check_difference("frames", &frames, max_difference)?;
        check_difference("audio", &audio, MAX_LOUDNESS_DIFFERENCE)?;
        for (frames_at, audio_at) in frames.iter().zip(&audio) {
            let apart = (frames_at.delay - audio_at.delay).abs();
            // FFmpeg and we may take one of two frames at the edge between them
            if apart > 1.0 / rate + 0.012 {
                return Err(format!("audio and video are {apart:.3} s apart: {frames:?} {audio:?}"));
            }
        }
        Ok(())
    }

    /// What FFmpeg reads: the main file; of DASH the first tracks themselves, since it takes the segments
    /// of a presentation below a second twice.
    fn files(&self, main: &Path) -> Vec<PathBuf> {
        if self.plan.format != Format::Dash {
            return vec![main.to_owned()];
        }
        let video = self.plan.videos.first().map(|video| &video.name);
        let audio = self.plan.audios.first().map(|audio| &audio.name);
        let joined = |name: &String| {
            let folder = self.output.dir.join("files").join(name);
            let mut files: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().collect();
            files.sort_by_key(fs::DirEntry::file_name);
            let all: Vec<u8> = files.iter().flat_map(|file| fs::read(file.path()).expect("read")).collect();
            let file = folder.join("all.mp4");
            fs::write(&file, all).expect("written");
            file
        };
        video.into_iter().chain(audio).map(joined).collect()
    }

    fn check_frame_count(&self, decoded: &DecodedMedia, rate: f64, facts: &Facts) -> Result<(), String> {
        let count = decoded.frame_count() as f64;
        let padding = self.plan.video_filter.as_ref().map_or(0.0, |video| video.start + video.end_padding);
        // frames are added before and after a video that is shorter than the audio
        let native = facts.frames.filter(|_| padding < 0.01 && rate < 59.0);
        let expected = native.map_or((self.duration * rate).round(), |frames| frames as f64);
        if (count - expected).abs() > 1.5 {
            return Err(format!("has {count} frames at {rate:.3} fps instead of {expected}"));
        }
        Ok(())
    }
}

fn check_difference(what: &str, found: &[Comparison], max: f64) -> Result<(), String> {
    match found.iter().find(|comparison| comparison.difference > max) {
        Some(_) => Err(format!("the {what} are not those of the source: {found:?}")),
        None => Ok(()),
    }
}

/// Neither green nor grey nor washed out. What is tone-mapped is not judged by numbers.
fn check_mean_colour(output: &DecodedMedia, source: &DecodedMedia, facts: &Facts) -> Result<(), String> {
    let (is, should) = (output.mean_colour(), source.mean_colour());
    let apart = is.iter().zip(should).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if !facts.is_hdr && apart > MAX_FRAME_DIFFERENCE {
        return Err(format!("its mean colour is {is:.0?}, and the source's {should:.0?}"));
    }
    Ok(())
}

/// What ffprobe says of streams and file.
fn headers(media: &Media, main: &Path) -> Result<Value, String> {
    let mut command = Command::new(&media.tools.programs.ffprobe);
    command.args(["-v", "error", "-of", "json", "-show_streams", "-show_format"]);
    // captions are in the frames
    command.args(["-analyze_frames", "-read_intervals", "%+2"]);
    if main.extension().is_some_and(|extension| extension == "m3u8") {
        command.args(["-allowed_extensions", "ALL"]);
    }
    let output = command.arg(main).output().expect("ffprobe runs");
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

fn check_headers(headers: &Value, facts: &Facts, is_ladder: bool) -> Result<(), String> {
    let streams = headers["streams"].as_array().ok_or("has no streams")?;
    // a master playlist's renditions come in any order
    let of = |kind: &str| {
        let all = streams.iter().filter(|stream| stream["codec_type"] == kind);
        all.max_by_key(|stream| stream["width"].as_u64())
    };
    if let Some(display_size) = facts.display_size {
        check_video(of("video").ok_or("has no video")?, display_size, is_ladder)?;
    }
    if facts.has_audio {
        let audio = of("audio").ok_or("has no audio")?;
        if audio["codec_name"] != "aac" || audio["channel_layout"].as_str().is_none_or(str::is_empty) {
            return Err(format!("has the audio {audio}"));
        }
    }
    let all = streams.iter().chain([&headers["format"]]).filter_map(|part| part["tags"].as_object());
    const PRIVATE: &[&str] = &["location", "make", "model", "serial", "gps", "com.apple", "com.android"];
    let private = |name: &&String| PRIVATE.iter().any(|start| name.to_ascii_lowercase().starts_with(start));
    match all.flat_map(|tags| tags.keys()).find(private) {
        Some(name) => Err(format!("still has the metadata `{name}`")),
        None => Ok(()),
    }
}

fn check_video(video: &Value, (width, height): (f64, f64), is_ladder: bool) -> Result<(), String> {
    let side = |name: &str| video[name].as_f64().unwrap_or(0.0);
    let (is_width, is_height) = (side("width"), side("height"));
    let short = width.min(height);
    // of a ladder the renditions above the source are left out, down to the last one; where that is far below,
    // there is one of the source's own size
    let short_side = if is_ladder && (234.0..234.0 / 0.8).contains(&short) { 234.0 } else { 360.0 };
    let scale = f64::min(1.0, short_side / short);
    // even sides move the shape of a small video by a pixel
    let near = |is: f64, of_source: f64| (is - (of_source * scale).max(2.0)).abs() <= 1.5;
    if !near(is_width, width) || !near(is_height, height) || is_width % 2.0 + is_height % 2.0 > 0.0 {
        return Err(format!("is {is_width}x{is_height}, of a source that is shown as {width}x{height}"));
    }
    let sar = video["sample_aspect_ratio"].as_str().unwrap_or("1:1");
    let tags = ["color_space", "color_transfer", "color_primaries", "color_range"];
    let untagged = tags.iter().find(|tag| video[**tag].as_str().is_none_or(|text| text == "unknown"));
    match (sar, untagged, &video["side_data_list"], video["pix_fmt"].as_str()) {
        // playlists say that there are none
        ("1:1", None, Value::Null, Some("yuv420p")) if video["closed_captions"] == 0 => Ok(()),
        _ => Err(format!("has the video {video}")),
    }
}

/// The clips of other people lie in a folder that nothing is written to.
pub(crate) fn is_there(entry: &Entry) -> bool {
    fs::metadata(&entry.file).is_ok()
}
