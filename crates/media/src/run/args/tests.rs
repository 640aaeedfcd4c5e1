//! Whole command lines, for templates and sources that differ in what has to be done.

use std::path::Path;

use model::{ExtraOptions, Rational};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::run::passes::loudness;
use crate::{
    fixtures,
    source::{FieldOrder, Orientation, Source, TimestampCorrection},
};

pub(in crate::run) fn full_hd() -> Source {
    let mut source =
        fixtures::source(Some(fixtures::video(1920, 1080, "25")), vec![fixtures::audio(1, 2, "eng")]);
    source.title = "A title, with = and \"quotes\"".to_owned();
    source.has_chapters = true;
    source
}

/// A phone held upright: HLG, 10 bits, turned.
fn phone() -> Source {
    let mut video = fixtures::video(3840, 2160, "30000/1001");
    video.orientation = Orientation { quarters: 1, mirrored: true };
    video.pixel_format = "yuv420p10le".to_owned();
    video.color_space = "bt2020nc".to_owned();
    video.color_transfer = "arib-std-b67".to_owned();
    video.color_primaries = "bt2020".to_owned();
    fixtures::source(Some(video), vec![fixtures::audio(1, 1, "")])
}

/// Interlaced PAL, 16:9, with three audios, of which one begins late and ends early.
pub(in crate::run) fn broadcast() -> Source {
    let mut video = fixtures::video(720, 576, "25");
    video.sample_aspect = Rational::new(64, 45).expect("an aspect");
    video.field_order = FieldOrder::Interlaced;
    video.color_space = String::new();
    let mut late = fixtures::audio(2, 2, "fre");
    (late.start, late.end) = (24.0, 28.0);
    late.title = "Commentaire".to_owned();
    let mut source =
        fixtures::source(Some(video), vec![fixtures::audio(1, 6, "eng"), late, fixtures::audio(3, 1, "")]);
    source.start_offset = 1.25;
    source
}

/// A screen recording: full-range RGB, at a rate that varies.
fn screen() -> Source {
    let mut video = fixtures::video(1366, 768, "120");
    video.pixel_format = "bgra".to_owned();
    video.color_range = "pc".to_owned();
    video.color_space = "gbr".to_owned();
    video.color_transfer = "iec61966-2-1".to_owned();
    fixtures::source(Some(video), vec![])
}

/// The same as a copy needs it: what it is in all detail.
pub(in crate::run) fn with_layouts(mut source: Source) -> Source {
    for audio in &mut source.audios {
        audio.layout = crate::codecs::layout(audio.channels).to_owned();
    }
    if let Some(video) = source.video.as_mut().filter(|video| video.pixel_format == "yuv420p10le") {
        (video.codec, video.profile) = ("hevc".to_owned(), "Main 10".to_owned());
    }
    source
}

fn audio_alone() -> Source {
    fixtures::source(None, vec![fixtures::audio(0, 2, "")])
}

#[rstest]
#[case::mp4("mp4", json!({"format": "mp4"}), full_hd())]
#[case::mp4_720p_capped("mp4_720p_capped", json!({"format": "mp4", "resolution": "720p", "quality": 7, "video_bitrate": 2500}), full_hd())]
#[case::mp4_phone("mp4_phone", json!({"format": "mp4", "resolution": "1280x720", "framerate": 25}), phone())]
#[case::mp4_broadcast("mp4_broadcast", json!({"format": "mp4", "audio_channels": 6, "gop_seconds": 4}), broadcast())]
#[case::mp4_audio_alone("mp4_audio_alone", json!({"format": "mp4"}), audio_alone())]
#[case::flv_screen("flv_screen", json!({"format": "flv", "video_bitrate": 1500}), screen())]
#[case::hls_ladder("hls_ladder", json!({"format": "hls"}), full_hd())]
#[case::hls_fmp4_broadcast("hls_fmp4_broadcast", json!({"format": "hls", "seg_type": "fmp4", "seg_time": 4}), broadcast())]
#[case::hls_phone_two_rates("hls_phone_two_rates", json!({"format": "hls", "adaptive_streams": [
    {"resolution": "720p"}, {"resolution": "360p", "framerate": 15, "video_bitrate": 500}]}), phone())]
#[case::hls_thumbnails("hls_thumbnails", json!({"format": "hls", "adaptive_streams": [{"resolution": "720p"}],
    "thumbnail": {"start_point": 2, "interval": 5, "width": 320, "height": 320}}), phone())]
#[case::hls_logo("hls_logo", json!({"format": "hls", "adaptive_streams": [{"resolution": "720p"}, {"resolution": "360p"}],
    "logo_path": "https://example.com/logo.png", "logo_size": "10%x", "logo_offset": "-5%x16"}), full_hd())]
#[case::hls_audio_alone("hls_audio_alone", json!({"format": "hls"}), audio_alone())]
#[case::dash("dash", json!({"format": "dash", "resolution": "540p"}), full_hd())]
#[case::dash_broadcast("dash_broadcast", json!({"format": "dash", "resolution": "360p"}), broadcast())]
#[case::mp4_copy("mp4_copy", json!({"format": "mp4", "vcodec": "copy", "acodec": "copy"}), with_layouts(phone()))]
#[case::mp4_copy_of_audio("mp4_copy_of_audio", json!({"format": "mp4", "acodec": "copy"}), with_layouts(full_hd()))]
#[case::hls_copy("hls_copy", json!({"format": "hls", "seg_type": "ts", "vcodec": "copy", "acodec": "copy"}), with_layouts(full_hd()))]
#[case::hls_copy_of_audio("hls_copy_of_audio", json!({"format": "hls", "resolution": "234p", "acodec": "copy"}), with_layouts(full_hd()))]
#[case::flv_copy_of_video("flv_copy_of_video", json!({"format": "flv", "vcodec": "copy"}), full_hd())]
fn command_lines(#[case] name: &str, #[case] fields: Value, #[case] source: Source) {
    let plan = fixtures::plan(fields, &source);
    let commands = commands(&context(&plan));
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, shown(&commands));
    });
}

/// Everything in one folder, and nothing known from another pass.
pub(in crate::run) fn context(plan: &Plan) -> CommandContext<'_> {
    let (input, work) = (Path::new("/job/input"), Path::new("/job"));
    CommandContext { plan, input, work, resampled: &[], gains: &[] }
}

/// One call of FFmpeg alone.
pub(in crate::run) fn shown_ffmpeg(ffmpeg: Vec<OsString>) -> String {
    shown(&Commands { ffmpeg, packager: None, pipes: Vec::new() })
}

/// Each argument on a line of its own; an option's value beside it.
pub(in crate::run) fn shown(commands: &Commands) -> String {
    let mut text = String::from("ffmpeg");
    for argument in &commands.ffmpeg {
        let argument = argument.to_string_lossy();
        let is_option = argument.starts_with('-') && argument.chars().nth(1).is_some_and(char::is_alphabetic);
        // the list of demuxers is the same everywhere
        let argument = if argument.starts_with("3dostr,") { "<media>".into() } else { argument };
        text.push_str(if is_option { "\n  " } else { " " });
        text.push_str(&argument);
    }
    for argument in commands.packager.iter().flatten() {
        text.push_str(if text.contains("\npackager") { "\n  " } else { "\npackager\n  " });
        text.push_str(&argument.to_string_lossy());
    }
    for pipe in &commands.pipes {
        text.push_str(&format!("\npipe {}", pipe.display()));
    }
    text
}

/// From 100 s on, 7.5 s.
#[rstest]
#[case::index("clip", full_hd())]
#[case::no_index("clip_no_index", Source { container: "mpegts".to_owned(), ..full_hd() })]
fn command_lines_of_a_piece(#[case] name: &str, #[case] mut source: Source) {
    source.duration = 120.0;
    source.video.as_mut().expect("video").end = 120.0;
    source.audios[0].end = 105.0;
    let options = ExtraOptions { start: Some(100.0), duration: Some(7.5), ..ExtraOptions::default() };
    let source = source.clip(&options).expect("within");
    let plan = fixtures::plan(json!({"format": "mp4"}), &source);
    let commands = commands(&context(&plan));
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, shown(&commands));
    });
}

/// By the numbers of packets, so that the file is read from its start.
#[test]
fn time_stamps_are_put_right_where_they_are_wrong() {
    let off = |stream, packet, offset, pts_only| TimestampCorrection { stream, packet, offset, pts_only };
    let corrections =
        vec![off(1, 4, 900, false), off(0, 7, 90, true), off(1, 6, -900, false), off(9, 0, 1, false)];
    let options = ExtraOptions { start: Some(10.0), ..ExtraOptions::default() };
    let source = Source { corrections, ..full_hd() };
    let source = source.clip(&options).expect("within");
    let plan = fixtures::plan(json!({"format": "mp4"}), &source);
    let expected = [
        "-bsf:0",
        "setts=pts='if(eq(PTS,NOPTS),NOPTS,PTS-(90*gte(N,7)))':dts='if(eq(DTS,NOPTS),NOPTS,DTS)'",
        "-bsf:1",
        "setts=pts='if(eq(PTS,NOPTS),NOPTS,PTS-(900*gte(N,4))-(-900*gte(N,6)))'\
         :dts='if(eq(DTS,NOPTS),NOPTS,DTS-(900*gte(N,4))-(-900*gte(N,6)))'",
    ];
    for args in [commands(&context(&plan)).ffmpeg, loudness::args(&context(&plan))] {
        let before_input = args.split(|argument| argument == "-i").next().expect("its options");
        assert!(before_input.windows(4).any(|words| words == expected), "{args:?}");
        assert!(!before_input.contains(&"-ss".into()));
    }
}

#[test]
fn threads_are_passed_on() {
    let plan = Plan { threads: 3, ..fixtures::plan(json!({"format": "mp4"}), &full_hd()) };
    let ffmpeg = commands(&context(&plan)).ffmpeg;
    assert!(ffmpeg.windows(2).any(|pair| pair[0] == "-threads:v" && pair[1] == "3"));
}

#[test]
fn playlists_and_devices_are_not_among_the_demuxers() {
    let opened = crate::tool::ffmpeg::open_input(Path::new("/job/input"), true);
    let list = opened.iter().skip_while(|argument| *argument != "-format_whitelist").nth(1);
    let list = list.and_then(|list| list.to_str()).expect("a list");
    let forbidden = [
        "hls", "dash", "concat", "sdp", "rtsp", "rtp", "imf", "image2", "lavfi", "x11grab", "tty", "data",
        "avisynth",
    ];
    for name in forbidden {
        assert!(list.split(',').all(|media| media != name), "{name}");
    }
}
