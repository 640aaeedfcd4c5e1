//! What probing says of files of the test corpus: facts that were established by hand. Their outcomes are
//! the `corpus` test's affair.
//!
//! The real files lie in `BOREALIS_TEST_MEDIA`, the made ones in `BOREALIS_MADE_MEDIA` (by default
//! `target/made-media`, filled by `scripts/test-media.sh`). What is absent is counted and said, and fails
//! when `CI` is set.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use borealis_media::{FieldOrder, Media, MediaError, MediaSettings, Programs, Source, growing_input};
use futures::{StreamExt, stream};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_files_are() {
    let corpus = Corpus::find();
    let Some(media) = corpus.media().await else { return };
    let mut failures = Vec::new();
    let mut absent = 0;
    for fact in FACTS {
        let entry = corpus.entries.iter().find(|entry| text(entry, "name") == fact.name);
        let Some(path) = entry.and_then(|entry| corpus.path(entry)) else {
            absent += 1;
            continue;
        };
        match probe(&media, &path).await {
            Ok(source) => failures.extend(fact.differences(&source)),
            Err(error) => failures.push(format!("{}: {error}", fact.name)),
        }
    }
    skipped(absent);
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

/// Stills, gaps, late sound, clocks that begin anew: all of them are right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_stamps_of_whole_files_are_left_as_they_are() {
    let corpus = Corpus::find();
    let Some(media) = corpus.media().await else { return };
    let paths: Vec<_> = corpus.entries.iter().filter_map(|entry| corpus.path(entry)).collect();
    skipped(corpus.entries.len() - paths.len());
    let corrected = stream::iter(&paths).map(async |path| {
        let source = probe(&media, path).await.ok()?;
        let corrections = source.corrections;
        (!corrections.is_empty()).then(|| format!("{}: {corrections:?}", path.display()))
    });
    let corrected: Vec<_> = corrected.buffer_unordered(2).filter_map(std::future::ready).collect().await;
    assert!(corrected.is_empty(), "{}", corrected.join("\n"));
}

/// A file of which the front is there tells the same as the whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_coming_is_what_it_will_be() {
    let corpus = Corpus::find();
    let Some(media) = corpus.media().await else { return };
    let paths: Vec<_> = corpus.entries.iter().filter_map(|entry| corpus.path(entry)).collect();
    skipped(corpus.entries.len() - paths.len());
    let probed = stream::iter(&paths).map(async |path| {
        let (feed, growing) = growing_input(path);
        let bytes = path.metadata().expect("a file").len();
        feed.received(bytes, Some(bytes));
        let soon = media.probe_growing(&growing, &CancellationToken::new()).await;
        let whole = probe(&media, path).await;
        match (soon, whole) {
            (Ok(None), _) => None,
            (Ok(Some(soon)), Ok(whole)) if soon == whole => Some(Ok(())),
            (soon, whole) => Some(match (soon, whole) {
                (Err(soon), Err(whole)) if soon.detail == whole.detail => Ok(()),
                (soon, whole) => Err(format!("{}: {soon:?}\n{whole:?}", path.display())),
            }),
        }
    });
    let probed: Vec<_> = probed.buffer_unordered(2).filter_map(std::future::ready).collect().await;
    let (good, bad): (Vec<_>, Vec<_>) = probed.into_iter().partition(Result::is_ok);
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(good.len() >= 10, "only {}", good.len());
}

struct Corpus {
    root: PathBuf,
    made: PathBuf,
    entries: Vec<Value>,
}

impl Corpus {
    fn find() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = |name: &str, usual: &str| {
            std::env::var_os(name).map_or_else(|| workspace.join(usual), PathBuf::from)
        };
        let root = folder("BOREALIS_TEST_MEDIA", "../shared/media");
        let made = folder("BOREALIS_MADE_MEDIA", "target/made-media");
        let manifest = std::fs::read(root.join("manifest.json")).ok();
        let manifest: Option<Value> = manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let entries = manifest.and_then(|manifest| manifest["files"].as_array().cloned()).unwrap_or_default();
        Self { root, made, entries }
    }

    /// None when there is nothing to look at, or nothing to look with.
    async fn media(&self) -> Option<Media> {
        if self.entries.is_empty() {
            skipped(159);
            return None;
        }
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let tools =
            std::env::var_os("BOREALIS_TOOLS").map_or_else(|| workspace.join(".tools"), PathBuf::from);
        let Ok(tools) = Programs::find(Some(&tools)) else {
            skipped(self.entries.len());
            return None;
        };
        Some(Media::new(tools, MediaSettings::default()).await.expect("media work"))
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

fn skipped(count: usize) {
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

/// What is known about a file. Empty and zero are not looked at.
struct Fact {
    name: &'static str,
    shown: &'static str,
    duration: f64,
    rate: &'static str,
    varies: Option<bool>,
    interlaced: Option<bool>,
    sounds: Option<&'static [u32]>,
    picture: Option<Option<u32>>,
    /// Seconds from the earlier of picture and sound to the picture, and to the sound.
    starts: Option<(f64, f64)>,
}

impl Fact {
    fn differences(&self, source: &Source) -> Vec<String> {
        let picture = source.video.as_ref();
        let mut found: BTreeMap<&str, (String, String)> = BTreeMap::new();
        let mut compare = |what, is: String, should: String| {
            if is != should {
                found.insert(what, (is, should));
            }
        };
        if !self.shown.is_empty() {
            compare("shown", source.facts.resolution.clone(), self.shown.to_owned());
        }
        if self.duration > 0.0 && (source.duration - self.duration).abs() > 0.05 {
            compare("duration", source.duration.to_string(), self.duration.to_string());
        }
        if !self.rate.is_empty() {
            let rate = picture.map(|picture| picture.rate.to_string()).unwrap_or_default();
            compare("rate", rate, self.rate.to_owned());
        }
        if let Some(varies) = self.varies {
            let is = picture.is_some_and(|picture| picture.is_variable_rate);
            compare("varies", is.to_string(), varies.to_string());
        }
        if let Some(interlaced) = self.interlaced {
            let is = picture.is_some_and(|picture| picture.field_order == FieldOrder::Interlaced);
            compare("interlaced", is.to_string(), interlaced.to_string());
        }
        if let Some(sounds) = self.sounds {
            let is: Vec<_> = source.audios.iter().map(|sound| sound.index).collect();
            compare("sounds", format!("{is:?}"), format!("{sounds:?}"));
        }
        if let Some(index) = self.picture {
            compare("picture", format!("{:?}", picture.map(|picture| picture.index)), format!("{index:?}"));
        }
        if let Some((of_picture, of_sound)) = self.starts {
            let is = (
                picture.map_or(0.0, |picture| picture.start),
                source.audios.first().map_or(0.0, |sound| sound.start),
            );
            if (is.0 - of_picture).abs() > 0.03 || (is.1 - of_sound).abs() > 0.03 {
                compare("starts", format!("{is:?}"), format!("{:?}", (of_picture, of_sound)));
            }
        }
        let wrong = |(what, (is, should))| format!("{}: {what} is {is}, should be {should}", self.name);
        found.into_iter().map(wrong).collect()
    }
}

const NO: Fact = Fact {
    name: "",
    shown: "",
    duration: 0.0,
    rate: "",
    varies: None,
    interlaced: None,
    sounds: None,
    picture: None,
    starts: None,
};

const FACTS: &[Fact] = &[
    Fact { name: "iphone6_rot90_gps.mov", shown: "320x568", ..NO },
    Fact { name: "iphone_dolbyvision_hlg_rot90.MOV", shown: "720x1280", rate: "30", ..NO },
    Fact {
        name: "pixel7_rot180_noaudio.mp4",
        shown: "1920x1080",
        rate: "30000/1001",
        sounds: Some(&[]),
        ..NO
    },
    Fact { name: "android_4k60_rot90.mp4", shown: "2160x3840", rate: "60", varies: Some(false), ..NO },
    Fact {
        name: "pixel_motionphoto_2_hevc_tracks_vfr.mp4",
        shown: "768x1024",
        rate: "30",
        varies: Some(true),
        picture: Some(Some(0)),
        ..NO
    },
    Fact {
        name: "oldphone_h263_amrnb_vfr.3gp",
        shown: "192x144",
        rate: "15000/1001",
        varies: Some(true),
        ..NO
    },
    Fact {
        name: "sony_avchd_1080i_ac3_pgs.mts",
        shown: "1920x1080",
        rate: "25",
        interlaced: Some(true),
        ..NO
    },
    Fact { name: "browser_recording_no_duration.webm", rate: "15000/1001", duration: 4.94, ..NO },
    Fact {
        name: "screen_recording_vfr_1080p_vp8.webm",
        rate: "30",
        varies: Some(true),
        duration: 4.24,
        ..NO
    },
    Fact { name: "thermal_phone_vfr_gap2s.mp4", rate: "9", varies: Some(true), duration: 11.353, ..NO },
    Fact { name: "vp9_profile2_10bit_23976.webm", rate: "24000/1001", varies: Some(false), ..NO },
    Fact { name: "xdcamhd_mpeg2_1440x1080i_sar4-3.mov", shown: "1920x1080", interlaced: Some(true), ..NO },
    Fact { name: "mpeg2_pal_sar16-15.mxf", shown: "768x576", rate: "25", duration: 10.64, ..NO },
    Fact { name: "h264_aac_claims_1000fps.flv", rate: "30", duration: 1.07, ..NO },
    Fact { name: "h264_ac3_ass.mkv", rate: "30", ..NO },
    Fact { name: "animated_vfr_48x22.gif", shown: "48x22", rate: "100/7", duration: 1.61, ..NO },
    Fact {
        name: "h264_422_10bit_8xmono_timecode.mp4",
        sounds: Some(&[1, 2, 3, 4, 5, 6, 7, 8]),
        rate: "50",
        ..NO
    },
    Fact { name: "podcast_cover_art_chapters.m4a", picture: Some(None), sounds: Some(&[2]), ..NO },
    Fact { name: "audio_only_flac24.mka", picture: Some(None), duration: 2.74, ..NO },
    Fact { name: "edit_list_video_starts_at_1s.mp4", starts: Some((1.0, 0.0)), duration: 10.005, ..NO },
    Fact { name: "fragmented_duration_lies_39h.mp4", duration: 1.068, ..NO },
    Fact { name: "rotate90_and_mirror.mp4", shown: "720x1080", ..NO },
    Fact {
        name: "ts_starts_at_59857s.ts",
        shown: "853x480",
        starts: Some((0.12, 0.0)),
        duration: 0.62,
        ..NO
    },
    Fact {
        name: "two_video_two_audio_movtext.mp4",
        picture: Some(Some(3)),
        sounds: Some(&[1, 4]),
        duration: 13.056,
        ..NO
    },
    Fact { name: "xhe_aac_breaks_ffprobe_json.mp4", picture: Some(None), duration: 3.0, ..NO },
    Fact { name: "sync_20s_2997.mp4", rate: "30000/1001", varies: Some(false), duration: 20.02, ..NO },
    Fact { name: "one_frame.mp4", rate: "25", duration: 0.04, ..NO },
    Fact { name: "dims_1x1.mp4", shown: "1x1", ..NO },
    Fact { name: "anamorphic_720x576.mpg", shown: "1024x576", interlaced: Some(false), ..NO },
    Fact { name: "interlaced_1080i_tff.ts", rate: "25", interlaced: Some(true), ..NO },
    Fact { name: "rotation_90.mp4", shown: "360x640", ..NO },
    Fact { name: "rotation_180.mp4", shown: "640x360", ..NO },
    Fact { name: "rotation_270.mp4", shown: "360x640", ..NO },
    Fact { name: "vfr_60_then_2fps.mp4", rate: "60", varies: Some(true), duration: 8.0, ..NO },
    Fact { name: "fps_1000.mp4", rate: "1000", varies: Some(false), ..NO },
    Fact { name: "fragmented.mp4", rate: "25", duration: 4.02, ..NO },
    Fact { name: "audio_3_languages_movtext.mp4", sounds: Some(&[2, 1, 3]), ..NO },
    Fact { name: "audio_starts_1500ms_late.mkv", starts: Some((0.0, 1.479)), duration: 3.5, ..NO },
    Fact { name: "cover_art_in_video.mp4", shown: "320x180", picture: Some(Some(0)), ..NO },
    Fact { name: "negative_timestamps.mkv", starts: Some((0.023, 0.0)), duration: 4.02, ..NO },
    Fact { name: "start_at_1h.mkv", duration: 4.02, ..NO },
    Fact { name: "pts_wraparound.ts", duration: 4.03, ..NO },
    Fact { name: "ts_two_programs.ts", shown: "640x360", picture: Some(Some(0)), sounds: Some(&[1]), ..NO },
    Fact { name: "ts_resolution_change.ts", rate: "25", duration: 5.963, ..NO },
    Fact { name: "cut_50.mkv", duration: 2.0, ..NO },
    Fact { name: "trailing_zeros.mp4", duration: 4.0, ..NO },
    Fact { name: "video_longer_than_audio.mp4", duration: 6.0, ..NO },
    Fact { name: "audio_longer_than_video.mp4", duration: 6.0, ..NO },
];
