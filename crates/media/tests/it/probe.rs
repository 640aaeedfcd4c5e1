//! What the probe says of files of the test corpus, held to facts that were established by hand. What becomes of the
//! files is tested by the binary `corpus`.
//!
//! The real files lie in `BOREALIS_TEST_MEDIA`, the made ones in `BOREALIS_MADE_MEDIA` (by default
//! `target/made-media`, filled by `scripts/test-media.sh`). What is absent is counted and printed, and fails when `CI`
//! is set.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use borealis_media::{FieldOrder, Media, MediaError, MediaOptions, Source, growing_input};
use futures::{StreamExt, stream};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_files_are() {
    let corpus = Corpus::find();
    let Some(bench) = corpus.bench().await else { return };
    let mut failures = Vec::new();
    let mut absent = 0;
    for known in KNOWN_FILES {
        let entry = corpus.entries.iter().find(|entry| text(entry, "name") == known.name);
        let Some(path) = entry.and_then(|entry| corpus.path(entry)) else {
            absent += 1;
            continue;
        };
        match probe(&bench.media, &path).await {
            Ok(source) => failures.extend(known.differences(&source)),
            Err(error) => failures.push(format!("{}: {error}", known.name)),
        }
    }
    report_skipped(absent);
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

/// Still frames, gaps, audio that starts late, a clock reset: none of these is corrected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_stamps_of_whole_files_are_left_as_they_are() {
    let corpus = Corpus::find();
    let Some(bench) = corpus.bench().await else { return };
    let paths: Vec<_> = corpus.entries.iter().filter_map(|entry| corpus.path(entry)).collect();
    report_skipped(corpus.entries.len() - paths.len());
    let corrected = stream::iter(&paths).map(async |path| {
        let source = probe(&bench.media, path).await.ok()?;
        let corrections = source.corrections;
        (!corrections.is_empty()).then(|| format!("{}: {corrections:?}", path.display()))
    });
    let corrected: Vec<_> = corrected.buffer_unordered(2).filter_map(std::future::ready).collect().await;
    assert!(corrected.is_empty(), "{}", corrected.join("\n"));
}

/// A growing input whose index is in front probes as the whole file does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_coming_is_what_it_will_be() {
    let corpus = Corpus::find();
    let Some(bench) = corpus.bench().await else { return };
    let paths: Vec<_> = corpus.entries.iter().filter_map(|entry| corpus.path(entry)).collect();
    report_skipped(corpus.entries.len() - paths.len());
    let probed = stream::iter(&paths).map(async |path| {
        let (feed, growing) = growing_input(path);
        let bytes = path.metadata().expect("a file").len();
        feed.received(bytes, Some(bytes));
        let growing = bench.media.probe_growing(&growing, &CancellationToken::new()).await;
        let whole = probe(&bench.media, path).await;
        let is_same = match (&growing, &whole) {
            // it takes the whole file
            (Ok(None), _) => return None,
            (Ok(Some(growing)), Ok(whole)) => growing == whole,
            (Err(growing), Err(whole)) => growing.detail == whole.detail,
            _ => false,
        };
        Some(if is_same { Ok(()) } else { Err(format!("{}: {growing:?}\n{whole:?}", path.display())) })
    });
    let probed: Vec<_> = probed.buffer_unordered(2).filter_map(std::future::ready).collect().await;
    let (same, different): (Vec<_>, Vec<_>) = probed.into_iter().partition(Result::is_ok);
    assert!(different.is_empty(), "{different:#?}");
    assert!(same.len() >= 10, "only {}", same.len());
}

struct Corpus {
    root: PathBuf,
    made: PathBuf,
    entries: Vec<Value>,
}

impl Corpus {
    fn find() -> Self {
        let root = folder("BOREALIS_TEST_MEDIA", "../shared/media");
        let made = folder("BOREALIS_MADE_MEDIA", "target/made-media");
        let manifest = std::fs::read(root.join("manifest.json")).ok();
        let manifest: Option<Value> = manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let entries = manifest.and_then(|manifest| manifest["files"].as_array().cloned()).unwrap_or_default();
        Self { root, made, entries }
    }

    /// With the settings of the product; none where the corpus or the tools are absent.
    async fn bench(&self) -> Option<Bench> {
        if self.entries.is_empty() {
            report_skipped(159);
            return None;
        }
        Bench::with(MediaOptions::default()).await
    }

    fn path(&self, entry: &Value) -> Option<PathBuf> {
        let path = text(entry, "path");
        let file = match path.strip_prefix("made/") {
            Some(name) => self.made.join(name),
            None => self.root.join(path),
        };
        file.canonicalize().ok()
    }
}

async fn probe(media: &Media, path: &Path) -> Result<Source, MediaError> {
    media.probe(path, &CancellationToken::new()).await
}

/// Prints how many files are absent; with `CI` set that is a failure.
fn report_skipped(count: usize) {
    if count > 0 {
        println!(
            "skipped: {count} files of the corpus are absent; scripts/test-media.sh fills `target/made-media`"
        );
        assert!(std::env::var_os("CI").is_none(), "{count} files of the corpus are absent");
    }
}

fn text<'v>(entry: &'v Value, key: &str) -> &'v str {
    entry[key].as_str().unwrap_or_default()
}

/// What is known about a file. Empty text, zero and none are not compared.
struct KnownFile {
    name: &'static str,
    /// As displayed.
    resolution: &'static str,
    /// In seconds.
    duration: f64,
    frame_rate: &'static str,
    is_variable_frame_rate: Option<bool>,
    is_interlaced: Option<bool>,
    /// The indexes of the audio streams, the default first.
    audios: Option<&'static [u32]>,
    /// The index of the video stream, or that there is none.
    video: Option<Option<u32>>,
    /// Seconds from the earlier of video and audio to the video, and to the audio.
    starts: Option<(f64, f64)>,
}

impl KnownFile {
    fn differences(&self, source: &Source) -> Vec<String> {
        let video = source.video.as_ref();
        let mut found: BTreeMap<&str, (String, String)> = BTreeMap::new();
        let mut compare = |what, is: String, should: String| {
            if is != should {
                found.insert(what, (is, should));
            }
        };
        if !self.resolution.is_empty() {
            compare("resolution", source.facts.resolution.clone(), self.resolution.to_owned());
        }
        if self.duration > 0.0 && (source.duration - self.duration).abs() > 0.05 {
            compare("duration", source.duration.to_string(), self.duration.to_string());
        }
        if !self.frame_rate.is_empty() {
            let rate = video.map(|video| video.frame_rate.to_string()).unwrap_or_default();
            compare("frame_rate", rate, self.frame_rate.to_owned());
        }
        if let Some(is_variable) = self.is_variable_frame_rate {
            let is = video.is_some_and(|video| video.is_variable_frame_rate);
            compare("is_variable_frame_rate", is.to_string(), is_variable.to_string());
        }
        if let Some(is_interlaced) = self.is_interlaced {
            let is = video.is_some_and(|video| video.field_order == FieldOrder::Interlaced);
            compare("is_interlaced", is.to_string(), is_interlaced.to_string());
        }
        if let Some(audios) = self.audios {
            let is: Vec<_> = source.audios.iter().map(|audio| audio.index).collect();
            compare("audios", format!("{is:?}"), format!("{audios:?}"));
        }
        if let Some(index) = self.video {
            compare("video", format!("{:?}", video.map(|video| video.index)), format!("{index:?}"));
        }
        if let Some((video_start, audio_start)) = self.starts {
            let is = (
                video.map_or(0.0, |video| video.start),
                source.audios.first().map_or(0.0, |audio| audio.start),
            );
            if (is.0 - video_start).abs() > 0.03 || (is.1 - audio_start).abs() > 0.03 {
                compare("starts", format!("{is:?}"), format!("{:?}", (video_start, audio_start)));
            }
        }
        let difference = |(what, (is, should))| format!("{}: {what} is {is}, should be {should}", self.name);
        found.into_iter().map(difference).collect()
    }
}

const UNKNOWN: KnownFile = KnownFile {
    name: "",
    resolution: "",
    duration: 0.0,
    frame_rate: "",
    is_variable_frame_rate: None,
    is_interlaced: None,
    audios: None,
    video: None,
    starts: None,
};

const KNOWN_FILES: &[KnownFile] = &[
    KnownFile { name: "iphone6_rot90_gps.mov", resolution: "320x568", ..UNKNOWN },
    KnownFile {
        name: "iphone_dolbyvision_hlg_rot90.MOV",
        resolution: "720x1280",
        frame_rate: "30",
        ..UNKNOWN
    },
    KnownFile {
        name: "pixel7_rot180_noaudio.mp4",
        resolution: "1920x1080",
        frame_rate: "30000/1001",
        audios: Some(&[]),
        ..UNKNOWN
    },
    KnownFile {
        name: "android_4k60_rot90.mp4",
        resolution: "2160x3840",
        frame_rate: "60",
        is_variable_frame_rate: Some(false),
        ..UNKNOWN
    },
    KnownFile {
        name: "pixel_motionphoto_2_hevc_tracks_vfr.mp4",
        resolution: "768x1024",
        frame_rate: "30",
        is_variable_frame_rate: Some(true),
        video: Some(Some(0)),
        ..UNKNOWN
    },
    KnownFile {
        name: "oldphone_h263_amrnb_vfr.3gp",
        resolution: "192x144",
        frame_rate: "15000/1001",
        is_variable_frame_rate: Some(true),
        ..UNKNOWN
    },
    KnownFile {
        name: "sony_avchd_1080i_ac3_pgs.mts",
        resolution: "1920x1080",
        frame_rate: "25",
        is_interlaced: Some(true),
        ..UNKNOWN
    },
    KnownFile {
        name: "browser_recording_no_duration.webm",
        frame_rate: "15000/1001",
        duration: 4.94,
        ..UNKNOWN
    },
    KnownFile {
        name: "screen_recording_vfr_1080p_vp8.webm",
        frame_rate: "30",
        is_variable_frame_rate: Some(true),
        duration: 4.24,
        ..UNKNOWN
    },
    KnownFile {
        name: "thermal_phone_vfr_gap2s.mp4",
        frame_rate: "9",
        is_variable_frame_rate: Some(true),
        duration: 11.353,
        ..UNKNOWN
    },
    KnownFile {
        name: "vp9_profile2_10bit_23976.webm",
        frame_rate: "24000/1001",
        is_variable_frame_rate: Some(false),
        ..UNKNOWN
    },
    KnownFile {
        name: "xdcamhd_mpeg2_1440x1080i_sar4-3.mov",
        resolution: "1920x1080",
        is_interlaced: Some(true),
        ..UNKNOWN
    },
    KnownFile {
        name: "mpeg2_pal_sar16-15.mxf",
        resolution: "768x576",
        frame_rate: "25",
        duration: 10.64,
        ..UNKNOWN
    },
    KnownFile { name: "h264_aac_claims_1000fps.flv", frame_rate: "30", duration: 1.07, ..UNKNOWN },
    KnownFile { name: "h264_ac3_ass.mkv", frame_rate: "30", ..UNKNOWN },
    KnownFile {
        name: "animated_vfr_48x22.gif",
        resolution: "48x22",
        frame_rate: "100/7",
        duration: 1.61,
        ..UNKNOWN
    },
    KnownFile {
        name: "h264_422_10bit_8xmono_timecode.mp4",
        audios: Some(&[1, 2, 3, 4, 5, 6, 7, 8]),
        frame_rate: "50",
        ..UNKNOWN
    },
    KnownFile { name: "podcast_cover_art_chapters.m4a", video: Some(None), audios: Some(&[2]), ..UNKNOWN },
    KnownFile { name: "audio_only_flac24.mka", video: Some(None), duration: 2.74, ..UNKNOWN },
    KnownFile {
        name: "edit_list_video_starts_at_1s.mp4",
        starts: Some((1.0, 0.0)),
        duration: 10.005,
        ..UNKNOWN
    },
    KnownFile { name: "fragmented_duration_lies_39h.mp4", duration: 1.068, ..UNKNOWN },
    KnownFile { name: "rotate90_and_mirror.mp4", resolution: "720x1080", ..UNKNOWN },
    KnownFile {
        name: "ts_starts_at_59857s.ts",
        resolution: "853x480",
        starts: Some((0.12, 0.0)),
        duration: 0.62,
        ..UNKNOWN
    },
    KnownFile {
        name: "two_video_two_audio_movtext.mp4",
        video: Some(Some(3)),
        audios: Some(&[1, 4]),
        duration: 13.056,
        ..UNKNOWN
    },
    KnownFile { name: "xhe_aac_breaks_ffprobe_json.mp4", video: Some(None), duration: 3.0, ..UNKNOWN },
    KnownFile {
        name: "sync_20s_2997.mp4",
        frame_rate: "30000/1001",
        is_variable_frame_rate: Some(false),
        duration: 20.02,
        ..UNKNOWN
    },
    KnownFile { name: "one_frame.mp4", frame_rate: "25", duration: 0.04, ..UNKNOWN },
    KnownFile { name: "dims_1x1.mp4", resolution: "1x1", ..UNKNOWN },
    KnownFile {
        name: "anamorphic_720x576.mpg",
        resolution: "1024x576",
        is_interlaced: Some(false),
        ..UNKNOWN
    },
    KnownFile { name: "interlaced_1080i_tff.ts", frame_rate: "25", is_interlaced: Some(true), ..UNKNOWN },
    KnownFile { name: "rotation_90.mp4", resolution: "360x640", ..UNKNOWN },
    KnownFile { name: "rotation_180.mp4", resolution: "640x360", ..UNKNOWN },
    KnownFile { name: "rotation_270.mp4", resolution: "360x640", ..UNKNOWN },
    KnownFile {
        name: "vfr_60_then_2fps.mp4",
        frame_rate: "60",
        is_variable_frame_rate: Some(true),
        duration: 8.0,
        ..UNKNOWN
    },
    KnownFile { name: "fps_1000.mp4", frame_rate: "1000", is_variable_frame_rate: Some(false), ..UNKNOWN },
    KnownFile { name: "fragmented.mp4", frame_rate: "25", duration: 4.02, ..UNKNOWN },
    KnownFile { name: "audio_3_languages_movtext.mp4", audios: Some(&[2, 1, 3]), ..UNKNOWN },
    KnownFile { name: "audio_starts_1500ms_late.mkv", starts: Some((0.0, 1.479)), duration: 3.5, ..UNKNOWN },
    KnownFile { name: "cover_art_in_video.mp4", resolution: "320x180", video: Some(Some(0)), ..UNKNOWN },
    KnownFile { name: "negative_timestamps.mkv", starts: Some((0.023, 0.0)), duration: 4.02, ..UNKNOWN },
    KnownFile { name: "start_at_1h.mkv", duration: 4.02, ..UNKNOWN },
    KnownFile { name: "pts_wraparound.ts", duration: 4.03, ..UNKNOWN },
    KnownFile {
        name: "ts_two_programs.ts",
        resolution: "640x360",
        video: Some(Some(0)),
        audios: Some(&[1]),
        ..UNKNOWN
    },
    KnownFile { name: "ts_resolution_change.ts", frame_rate: "25", duration: 5.963, ..UNKNOWN },
    KnownFile { name: "cut_50.mkv", duration: 2.0, ..UNKNOWN },
    KnownFile { name: "trailing_zeros.mp4", duration: 4.0, ..UNKNOWN },
    KnownFile { name: "video_longer_than_audio.mp4", duration: 6.0, ..UNKNOWN },
    KnownFile { name: "audio_longer_than_video.mp4", duration: 6.0, ..UNKNOWN },
];
