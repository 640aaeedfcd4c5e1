//! Decisions, each by its rule; and rules that hold whatever is asked for.

use model::{Format, Rational, SegmentType};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{
    colour::Colour,
    fixtures::{self, audio, source, template, video},
    plan::{Coding, Encoding, PlanSettings, RateControl, ThumbnailPlan, VideoPlan},
    source::{AudioStream, FieldOrder, Orientation, VideoStream},
};

fn planned(fields: Value, source: &Source) -> Plan {
    fixtures::plan(fields, source)
}

fn encoding(video: &VideoPlan) -> &Encoding {
    match &video.coding {
        Coding::Encoded(encoding) => encoding,
        Coding::Copied(_) => panic!("{} is copied", video.name),
    }
}

fn sizes(plan: &Plan) -> Vec<String> {
    plan.videos.iter().map(|video| format!("{}={}x{}", video.name, video.width, video.height)).collect()
}

/// A video of 25 frames a second, with stereo.
fn with_audio(width: u32, height: u32) -> Source {
    source(Some(video(width, height, "25")), vec![audio(1, 2, "")])
}

#[rstest]
#[case::as_the_source("", (1920, 1080), "1080p=1920x1080")]
#[case::a_box("1280x720", (1920, 1080), "720p=1280x720")]
#[case::a_box_turns("1280x720", (1080, 1920), "720p=720x1280")]
#[case::a_box_keeps_the_aspect("1280x720", (1440, 1080), "720p=960x720")]
#[case::a_wide_video_in_a_box("1280x720", (1920, 800), "534p=1280x534")]
#[case::literal_width("1280x", (1080, 1920), "1080p=1080x1920")]
#[case::literal_height("x720", (1080, 1920), "404p=404x720")]
#[case::short_side("720p", (1080, 1920), "720p=720x1280")]
#[case::never_larger("1080p", (640, 360), "360p=640x360")]
#[case::odd("", (1164, 767), "766p=1164x766")]
#[case::odd_scaled("720p", (1164, 767), "720p=1092x720")]
#[case::odd_both("", (161, 121), "120p=160x120")]
#[case::one_pixel("", (1, 1), "2p=2x2")]
#[case::a_stripe("1280x720", (4096, 16), "4p=1280x4")]
#[case::more_than_h264_holds("", (8192, 8192), "5930p=5930x5930")]
fn one_file(#[case] resolution: &str, #[case] (width, height): (u32, u32), #[case] size: &str) {
    let plan = planned(json!({"format": "mp4", "resolution": resolution}), &with_audio(width, height));
    assert_eq!(sizes(&plan), [size]);
}

#[test]
fn square_pixels() {
    let mut pal = video(720, 576, "25");
    pal.sample_aspect = "64:45".parse().expect("an aspect");
    assert_eq!(
        sizes(&planned(json!({"format": "mp4"}), &source(Some(pal.clone()), vec![]))),
        ["576p=1024x576"]
    );
    pal.orientation = Orientation { quarters: 1, mirrored: false };
    let plan = planned(json!({"format": "mp4"}), &source(Some(pal), vec![]));
    assert_eq!(sizes(&plan), ["576p=576x1024"]);
    let upright = plan.video_filter.map(|video| (video.width, video.height));
    assert_eq!(upright, Some((576, 720)));
}

#[rstest]
#[case::full_hd((1920, 1080), "", &["1080p=1920x1080", "720p=1280x720", "540p=960x540", "360p=640x360", "234p=416x234"])]
#[case::between_two((1280, 800), "", &["720p=1152x720", "540p=864x540", "360p=576x360", "234p=374x234"])]
#[case::far_above_360((854, 480), "", &["480p=854x480", "360p=640x360", "234p=416x234"])]
#[case::far_above_234((320, 568), "", &["320p=320x568", "234p=234x416"])]
#[case::far_above_them_all((3840, 2160), "", &["1080p=1920x1080", "720p=1280x720", "540p=960x540", "360p=640x360", "234p=416x234"])]
#[case::nearly_720((1276, 718), "", &["718p=1276x718", "540p=960x540", "360p=640x360", "234p=416x234"])]
#[case::below_all((320, 180), "", &["180p=320x180"])]
#[case::portrait((1080, 1920), "", &["1080p=1080x1920", "720p=720x1280", "540p=540x960", "360p=360x640", "234p=234x416"])]
#[case::capped((1920, 1080), "720p", &["720p=1280x720", "540p=960x540", "360p=640x360", "234p=416x234"])]
#[case::capped_between((1920, 1080), "854x480", &["480p=854x480", "360p=640x360", "234p=416x234"])]
#[case::capped_above((640, 360), "1080p", &["360p=640x360", "234p=416x234"])]
fn ladders(#[case] (width, height): (u32, u32), #[case] resolution: &str, #[case] renditions: &[&str]) {
    for format in ["hls", "dash"] {
        let plan = planned(json!({"format": format, "resolution": resolution}), &with_audio(width, height));
        assert_eq!(sizes(&plan), renditions);
    }
}

#[test]
fn requested_renditions() {
    let streams = json!([
        {"resolution": "640x360", "video_bitrate": 700}, {"resolution": "1280x720", "quality": 7},
        {"resolution": "1280x720", "quality": 7}, {"resolution": "720p", "video_bitrate": 3000},
        {"resolution": "1920x1080"},
    ]);
    let plan = planned(json!({"format": "hls", "adaptive_streams": streams}), &with_audio(1280, 720));
    assert_eq!(sizes(&plan), ["720p=1280x720", "720p_2=1280x720", "360p=640x360"]);
    assert_eq!(encoding(&plan.videos[0]).rate_control, RateControl::Crf { crf: 19.0, cap: None });
    assert_eq!(encoding(&plan.videos[1]).rate_control, RateControl::Average(3000));
    let small = planned(json!({"format": "hls", "adaptive_streams": streams}), &with_audio(320, 180));
    assert_eq!(sizes(&small), ["180p=320x180"]);
    assert_eq!(encoding(&small.videos[0]).rate_control, RateControl::Average(700));
}

#[rstest]
#[case(json!({}), RateControl::Crf { crf: 23.0, cap: None })]
#[case(json!({"quality": 10}), RateControl::Crf { crf: 13.0, cap: None })]
#[case(json!({"quality": 7.5, "video_bitrate": 2000}), RateControl::Crf { crf: 18.0, cap: Some(2000) })]
#[case(json!({"video_bitrate": 2000}), RateControl::Average(2000))]
fn bits(#[case] mut fields: Value, #[case] rate_control: RateControl) {
    fields["format"] = json!("mp4");
    let plan = planned(fields, &with_audio(1280, 720));
    assert_eq!(encoding(&plan.videos[0]).rate_control, rate_control);
}

#[test]
fn a_bit_rate_for_the_ladder_is_the_top_renditions() {
    let plan = planned(json!({"format": "hls", "video_bitrate": 4000}), &with_audio(1920, 1080));
    let rates: Vec<_> = plan.videos.iter().map(|video| encoding(video).rate_control).collect();
    let expected = [4000, 2177, 1414, 770, 403].map(RateControl::Average);
    assert_eq!(rates, expected);
}

#[rstest]
#[case::as_the_source("25", 0, "25")]
#[case::under_the_maximum("24000/1001", 25, "24000/1001")]
#[case::a_divisor("50", 30, "25")]
#[case::no_divisor_near("30", 25, "25")]
#[case::ntsc_to_25("30000/1001", 25, "25")]
#[case::ntsc_halved("60000/1001", 30, "30000/1001")]
#[case::sixty_at_most("120", 0, "60")]
#[case::more_when_asked("120", 120, "120")]
#[case::a_thousand("1000", 0, "1000/17")]
#[case::one_at_least("1/10", 0, "1")]
fn frame_rates(#[case] rate: &str, #[case] framerate: u32, #[case] planned_rate: &str) {
    let source = source(Some(video(640, 360, rate)), vec![]);
    let plan = planned(json!({"format": "mp4", "framerate": framerate}), &source);
    assert_eq!(plan.videos[0].frame_rate.to_string(), planned_rate);
}

#[rstest]
#[case("25", json!({}), "6", 50)]
#[case("30000/1001", json!({}), "3003/500", 60)]
#[case("30000/1001", json!({"seg_time": 2}), "1001/500", 60)]
#[case("24000/1001", json!({"seg_time": 3}), "3003/1000", 36)]
#[case("25", json!({"seg_time": 8}), "8", 50)]
#[case("25", json!({"gop_size": 60}), "6", 50)]
#[case("25", json!({"gop_seconds": 1}), "6", 25)]
#[case("25", json!({"gop_seconds": 60}), "6", 150)]
#[case("1", json!({}), "6", 2)]
#[case("25", json!({"seg_time": 1}), "1", 25)]
fn segments(#[case] rate: &str, #[case] mut fields: Value, #[case] seconds: &str, #[case] gop: u32) {
    fields["format"] = json!("hls");
    let plan = planned(fields, &source(Some(video(640, 360, rate)), vec![]));
    let segmenting = plan.segmenting.expect("segments");
    assert_eq!(
        (segmenting.segment_duration.to_string().as_str(), encoding(&plan.videos[0]).gop),
        (seconds, gop)
    );
}

#[test]
fn renditions_of_several_rates_have_their_keyframes_together() {
    let streams = json!([
        {"resolution": "1080p"}, {"resolution": "720p", "framerate": 30}, {"resolution": "360p", "framerate": 12},
    ]);
    let fields = json!({"format": "hls", "adaptive_streams": streams});
    let plan = planned(fields, &source(Some(video(1920, 1080, "60000/1001")), vec![]));
    let rates: Vec<_> =
        plan.videos.iter().map(|video| (video.frame_rate.to_string(), encoding(video).gop)).collect();
    // 12 frames a second have no short common period with 59.94: a fifth of it is the most below
    assert_eq!(
        rates,
        [("60000/1001".to_owned(), 120), ("30000/1001".to_owned(), 60), ("12000/1001".to_owned(), 24)]
    );
}

#[rstest]
#[case((640, 360), "25", json!({}), "3.0")]
#[case((1280, 720), "25", json!({}), "3.1")]
#[case((1280, 720), "60", json!({}), "3.2")]
#[case((1920, 1080), "25", json!({}), "4.0")]
#[case((1920, 1080), "25", json!({"video_bitrate": 20000}), "4.1")]
#[case((1920, 1080), "60", json!({}), "4.2")]
#[case((3840, 2160), "30", json!({}), "5.1")]
#[case((4096, 16), "25", json!({}), "4.0")]
#[case((176, 144), "15", json!({"video_bitrate": 60}), "1.1")]
#[case((64, 64), "15", json!({}), "2.0")]
fn levels(
    #[case] (width, height): (u32, u32),
    #[case] rate: &str,
    #[case] mut fields: Value,
    #[case] level: &str,
) {
    fields["format"] = json!("mp4");
    let plan = planned(fields, &source(Some(video(width, height, rate)), vec![]));
    assert_eq!(plan.videos[0].level, level);
}

#[rstest]
#[case::stereo(2, json!({}), (2, 128, 48_000))]
#[case::mono_stays(1, json!({}), (1, 64, 48_000))]
#[case::mono_to_stereo(1, json!({"audio_channels": 2}), (2, 128, 48_000))]
#[case::mixed_down(6, json!({}), (2, 128, 48_000))]
#[case::surround_stays(6, json!({"audio_channels": 6}), (6, 384, 48_000))]
#[case::surround_of_seven(8, json!({"audio_channels": 6}), (6, 384, 48_000))]
#[case::no_surround_from_stereo(2, json!({"audio_channels": 6}), (2, 128, 48_000))]
#[case::to_mono(2, json!({"audio_channels": 1}), (1, 64, 48_000))]
#[case::a_rate(2, json!({"audio_sample_rate": "44100", "audio_bitrate": 96}), (2, 96, 44_100))]
#[case::as_much_as_a_frame_holds(1, json!({"audio_sample_rate": "8000", "audio_bitrate": 128}), (1, 48, 8_000))]
fn audio_tracks(#[case] channels: u32, #[case] mut fields: Value, #[case] made: (u32, u32, u32)) {
    fields["format"] = json!("mp4");
    let plan = planned(fields, &source(None, vec![audio(0, channels, "")]));
    let audio = &plan.audios[0];
    assert_eq!((audio.channels, audio.bitrate.expect("encoded"), audio.sample_rate), made);
}

#[test]
fn several_audios_are_alternatives_where_there_are_any() {
    let mut tracks = vec![audio(2, 2, "eng"), audio(1, 2, "eng"), audio(3, 1, "")];
    tracks[1].title = "Director, \"cut\"=1".to_owned();
    let source = source(Some(video(640, 360, "25")), tracks);
    let plan = planned(json!({"format": "hls"}), &source);
    let named: Vec<_> =
        plan.audios.iter().map(|audio| (audio.name.as_str(), audio.label.as_str(), audio.index)).collect();
    assert_eq!(named, [("audio", "eng", 2), ("audio_2", "Director cut 1", 1), ("audio_3", "Audio 3", 3)]);
    assert_eq!(planned(json!({"format": "mp4"}), &source).audios.len(), 1);
    assert_eq!(planned(json!({"format": "hls", "acodec": "none"}), &source).audios.len(), 0);
}

#[test]
fn everything_plays_to_the_longest_end() {
    let mut short = audio(1, 2, "");
    short.end = 12.5;
    let plan = planned(json!({"format": "hls"}), &source(Some(video(640, 360, "25")), vec![short]));
    assert_eq!((plan.duration, plan.audios[0].silence), (30.0, 17.5));
    assert_eq!(plan.video_filter.map(|video| video.end_padding), Some(0.0));
    let mut one_frame = video(640, 360, "25");
    one_frame.end = 0.04;
    let plan = planned(json!({"format": "mp4"}), &source(Some(one_frame), vec![audio(1, 2, "")]));
    assert_eq!((plan.duration, plan.video_filter.map(|video| video.end_padding)), (30.0, Some(29.96)));
}

#[rstest]
#[case::untagged_small((640, 360), ["", "", ""], "smpte170m smpte170m smpte170m")]
#[case::untagged_pal((720, 576), ["", "", ""], "bt470bg smpte170m bt470bg")]
#[case::untagged_large((1920, 1080), ["", "", ""], "bt709 bt709 bt709")]
#[case::nonsense((192, 240), ["gbr", "reserved", "reserved"], "smpte170m smpte170m smpte170m")]
#[case::wide((426, 240), ["bt2020nc", "", ""], "bt709 bt709 bt709")]
#[case::pq((640, 360), ["bt2020nc", "smpte2084", "bt2020"], "bt709 bt709 bt709")]
#[case::p3((1920, 1080), ["bt709", "bt709", "smpte432"], "bt709 bt709 bt709")]
#[case::as_tagged((3840, 2160), ["bt470bg", "smpte170m", "bt470bg"], "bt470bg smpte170m bt470bg")]
fn colours(#[case] (width, height): (u32, u32), #[case] tags: [&str; 3], #[case] colour: &str) {
    let [space, transfer, primaries] = tags;
    let mut tagged = video(width, height, "25");
    tagged.color_space = space.to_owned();
    tagged.color_transfer = transfer.to_owned();
    tagged.color_primaries = primaries.to_owned();
    let plan = planned(json!({"format": "mp4"}), &source(Some(tagged), vec![]));
    let video = &plan.videos[0];
    let Colour { full_range, matrix, transfer: curve, primaries } = &video.colour;
    assert_eq!(format!("{matrix} {curve} {primaries}"), colour);
    assert!(!full_range);
    assert_eq!(video.tone_map, transfer == "smpte2084");
}

#[rstest]
#[case(json!({"format": "mp4", "vcodec": "none"}), Some(video(640, 360, "25")), vec![])]
#[case(json!({"format": "mp4", "acodec": "none"}), None, vec![audio(0, 2, "")])]
fn nothing_to_transcode(
    #[case] fields: Value,
    #[case] video: Option<VideoStream>,
    #[case] audios: Vec<AudioStream>,
) {
    let error = fixtures::try_plan(&template(fields), &source(video, audios)).expect_err("nothing");
    assert_eq!(error.code, ErrorCode::NothingToTranscode);
}

#[rstest]
#[case(json!({"format": "mp4"}), Some("vvc"), None, Some("its video (`vvc`)"))]
#[case(json!({"format": "mp4"}), None, Some("ac4"), Some("its audio (`ac4`)"))]
#[case(json!({"format": "mp4", "vcodec": "none"}), Some("vvc"), None, None)]
#[case(json!({"format": "mp4", "acodec": "none"}), None, Some("ac4"), None)]
fn what_cannot_be_decoded_is_not_left_out_in_silence(
    #[case] fields: Value,
    #[case] undecodable_video: Option<&str>,
    #[case] undecodable_audio: Option<&str>,
    #[case] words: Option<&str>,
) {
    let video = if undecodable_video.is_some() { None } else { Some(video(640, 360, "25")) };
    let audios = if undecodable_audio.is_some() { Vec::new() } else { vec![audio(1, 2, "")] };
    let undecodable = crate::source::UndecodableCodecs {
        video: undecodable_video.map(str::to_owned),
        audio: undecodable_audio.map(str::to_owned),
    };
    let source = Source { undecodable, ..source(video, audios) };
    match (fixtures::try_plan(&template(fields), &source), words) {
        (Ok(_), None) => {}
        (Err(error), Some(words)) => {
            assert_eq!(error.code, ErrorCode::InvalidInput);
            assert!(error.detail.starts_with(words), "{}", error.detail);
        }
        (outcome, _) => panic!("{outcome:?}"),
    }
}

#[test]
fn audio_alone_gives_audio_alone() {
    for format in ["mp4", "flv", "hls", "dash"] {
        let plan = planned(json!({"format": format}), &source(None, vec![audio(0, 2, "")]));
        assert!(plan.videos.is_empty() && plan.video_filter.is_none() && plan.audios.len() == 1);
    }
}

#[test]
fn threads_are_shared_out() {
    let settings = PlanSettings { threads: 4, ..PlanSettings::default() };
    let ladder =
        plan(&PlanRequest::new(&template(json!({"format": "hls"})), &with_audio(1920, 1080), &settings))
            .expect("a plan");
    assert_eq!((ladder.videos.len(), ladder.threads), (5, 1));
    let one =
        plan(&PlanRequest::new(&template(json!({"format": "mp4"})), &with_audio(1920, 1080), &settings))
            .expect("a plan");
    assert_eq!(one.threads, 4);
}

fn any_rate() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_u32..=250).prop_map(|rate| rate.to_string()),
        prop::sample::select(vec!["24000/1001", "30000/1001", "60000/1001", "100/7", "1/9", "15/2"])
            .prop_map(str::to_owned),
        (1_u32..100_000, 1_u32..2000).prop_map(|(num, den)| format!("{num}/{den}")),
    ]
}

fn any_size() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        (16_u32..4000, 16_u32..4000).prop_map(|(width, height)| format!("{width}x{height}")),
        (16_u32..4000).prop_map(|side| format!("{side}p")),
        (16_u32..4000).prop_map(|side| format!("{side}x")),
        (16_u32..4000).prop_map(|side| format!("x{side}")),
    ]
}

proptest! {
    #[test]
    fn whatever_is_asked(
        (width, height) in (1_u32..8192, 1_u32..8192),
        aspect in (1_u64..20, 1_u64..20),
        quarters in 0_u8..4,
        rate in any_rate(),
        renditions in prop::collection::vec((any_size(), 0_u32..=240), 1..5),
        seg_time in 1_u32..=60,
        (gop_size, gop_seconds) in (0_u32..600, 0_u32..=60),
        format in prop::sample::select(vec!["mp4", "flv", "hls", "dash"]),
    ) {
        let mut input = video(width, height, &rate);
        input.sample_aspect = Rational::new(aspect.0, aspect.1).expect("an aspect");
        input.orientation = Orientation { quarters, mirrored: false };
        let streams: Vec<_> = renditions
            .iter()
            .map(|(resolution, framerate)| match resolution.as_str() {
                "" => json!({"framerate": framerate.max(&1)}),
                resolution => json!({"resolution": resolution, "framerate": framerate.max(&1)}),
            })
            .collect();
        let mut fields = json!({"format": format, "seg_time": seg_time, "gop_size": gop_size,
            "gop_seconds": gop_seconds, "resolution": renditions[0].0, "framerate": renditions[0].1});
        if matches!(format, "hls" | "dash") {
            fields["adaptive_streams"] = json!(streams);
        }
        let (display_width, display_height) = input.display_size();
        let source = source(Some(input), vec![audio(1, 2, "")]);
        let plan = planned(fields, &source);
        prop_assert!(!plan.videos.is_empty());
        let names: std::collections::BTreeSet<_> = plan.videos.iter().map(|video| &video.name).collect();
        prop_assert_eq!(names.len(), plan.videos.len());
        for video in &plan.videos {
            prop_assert!(video.width.is_multiple_of(2) && video.height.is_multiple_of(2));
            prop_assert!(video.width > 0 && video.height > 0 && encoding(video).gop > 0);
            prop_assert!(f64::from(video.width) <= display_width.max(1.0) + 1.0);
            prop_assert!(f64::from(video.height) <= display_height.max(1.0) + 1.0);
            let (width, height) = (f64::from(video.width), f64::from(video.height));
            // each side is at most one pixel from where the aspect puts it, relative to the other
            let off = width * display_height - height * display_width;
            prop_assert!(off.abs() <= 1.01 * (display_width + display_height) || width.min(height) <= 2.0);
            prop_assert!(video.frame_rate.as_f64() <= 240.0);
        }
        if let Some(Segmenting { segment_duration, segment_type }) = plan.segmenting {
            prop_assert!(segment_type == SegmentType::Fmp4 || plan.format == Format::Hls);
            let gops_in_segment: Vec<_> = plan.videos.iter().map(|video| {
                let frames = segment_duration.as_f64() * video.frame_rate.as_f64();
                (frames, frames / f64::from(encoding(video).gop))
            }).collect();
            for (frames, gops) in &gops_in_segment {
                prop_assert!((frames - frames.round()).abs() < 1e-6, "{frames} frames in a segment");
                prop_assert!((gops - gops_in_segment[0].1).abs() < 1e-6 && (gops - gops.round()).abs() < 1e-6);
            }
        }
    }
}

#[rstest]
#[case::usual(json!({"start_point": 1}), "1 + 10 x 3, 320x180, 320x180 in 3x1")]
#[case::evenly(json!({"number": 4}), "0 + 7.5 x 4, 320x180, 320x180 in 4x1")]
#[case::large(json!({"number": 1, "width": 1280}), "0 + 30 x 1, 1280x720, 320x180 in 1x1")]
#[case::box_of_one_side(json!({"interval": 1, "height": 90}), "0 + 1 x 30, 160x90, 160x90 in 10x3")]
#[case::never_larger(json!({"interval": 30, "width": 4000, "height": 4000}), "0 + 30 x 1, 1920x1080, 320x180 in 1x1")]
#[case::after_the_end(json!({"start_point": 99}), "29.96 + 10 x 1, 320x180, 320x180 in 1x1")]
fn thumbnails_taken_out(#[case] thumbnail: Value, #[case] expected: &str) {
    let plan = planned(json!({"format": "mp4", "thumbnail": thumbnail}), &with_audio(1920, 1080));
    let thumbnails = plan.thumbnails.expect("thumbnails");
    let ThumbnailPlan { start, interval, number, size, cell, columns, rows } = thumbnails;
    let found = format!("{start} + {interval} x {number}, {size}, {cell} in {columns}x{rows}");
    assert_eq!(found, expected);
}

/// A source with this video and this audio, into this format.
fn copied(format: &str, change: impl Fn(&mut VideoStream, &mut AudioStream)) -> Result<Plan, MediaError> {
    let (mut video, mut audio) = (video(1280, 720, "25"), audio(1, 2, ""));
    audio.layout = "stereo".to_owned();
    change(&mut video, &mut audio);
    let fields = json!({"format": format, "vcodec": "copy", "acodec": "copy"});
    fixtures::try_plan(&template(fields), &source(Some(video), vec![audio]))
}

#[rstest]
#[case("mp4", |_: &mut VideoStream, _: &mut AudioStream| {})]
#[case("flv", |_: &mut VideoStream, _: &mut AudioStream| {})]
#[case("hls", |_: &mut VideoStream, _: &mut AudioStream| {})]
#[case("dash", |p: &mut VideoStream, a: &mut AudioStream| (p.start, a.end) = (0.1, 29.0))]
#[case("mp4", |p: &mut VideoStream, a: &mut AudioStream| (p.start, a.end) = (5.0, 6.0))]
#[case("mp4", |p: &mut VideoStream, _: &mut AudioStream| p.orientation.quarters = 1)]
#[case("mp4", |p: &mut VideoStream, _: &mut AudioStream| p.profile = "Constrained Baseline".to_owned())]
#[case("mp4", |p: &mut VideoStream, _: &mut AudioStream| (p.codec, p.profile, p.pixel_format) = ("hevc".to_owned(), "Main 10".to_owned(), "yuv420p10le".to_owned()))]
#[case("mp4", |_: &mut VideoStream, a: &mut AudioStream| (a.codec, a.profile) = ("mp3".to_owned(), String::new()))]
fn what_can_be_copied(#[case] format: &str, #[case] change: fn(&mut VideoStream, &mut AudioStream)) {
    let plan = copied(format, change).expect("a plan");
    assert!(plan.video_filter.is_none() && plan.videos.len() == 1 && plan.audios.len() == 1);
    assert!(plan.videos[0].copied().is_some() && plan.audios[0].is_copied());
}

#[rstest]
#[case::codec("mp4", |p: &mut VideoStream, _: &mut AudioStream| p.codec = "mpeg4".to_owned(),
    "its video is `mpeg4`, which cannot be copied into mp4; vcodec `h264` would encode it")]
#[case::another_format("flv", |p: &mut VideoStream, _: &mut AudioStream| p.codec = "hevc".to_owned(),
    "its video is `hevc`, which cannot be copied into flv; vcodec `h264` would encode it")]
#[case::profile("mp4", |p: &mut VideoStream, _: &mut AudioStream| (p.profile, p.pixel_format) = ("High 10".to_owned(), "yuv420p10le".to_owned()),
    "its video is `h264` of profile `High 10` in `yuv420p10le`, which cannot be copied into mp4; vcodec `h264` would encode it")]
#[case::turned("flv", |p: &mut VideoStream, _: &mut AudioStream| p.orientation.quarters = 1,
    "its video is turned by a matrix, which cannot be copied into flv; vcodec `h264` would encode it, or format `mp4` would copy it")]
#[case::pixels("flv", |p: &mut VideoStream, _: &mut AudioStream| p.sample_aspect = "4:3".parse().expect("an aspect"), "its video has pixels that are not square, ")]
#[case::fields("mp4", |p: &mut VideoStream, _: &mut AudioStream| p.field_order = FieldOrder::Interlaced, "its video is interlaced, ")]
#[case::segments("hls", |p: &mut VideoStream, _: &mut AudioStream| p.codec = "mpeg4".to_owned(),
    "its video is `mpeg4`, which cannot be copied into hls with seg_type `fmp4`; vcodec `h264` would encode it")]
#[case::turned_segments("dash", |p: &mut VideoStream, _: &mut AudioStream| p.orientation.quarters = 2, "its video is turned by a matrix, ")]
#[case::late("hls", |p: &mut VideoStream, _: &mut AudioStream| p.start = 0.11,
    "its video begins 0.11 s late, which cannot be copied into hls with seg_type `fmp4`; vcodec `h264` would encode it, or format `mp4` would copy it")]
#[case::late_audio("dash", |_: &mut VideoStream, a: &mut AudioStream| a.start = 0.5, "its audio begins 0.50 s late, ")]
#[case::short_audio("hls", |_: &mut VideoStream, a: &mut AudioStream| a.end = 28.5, "its audio ends 1.50 s early, ")]
#[case::audio("flv", |_: &mut VideoStream, a: &mut AudioStream| a.codec = "mp3".to_owned(),
    "its audio is `mp3`, which cannot be copied into flv; acodec `aac` would encode it")]
#[case::audio_profile("mp4", |_: &mut VideoStream, a: &mut AudioStream| a.profile = "HE-AAC".to_owned(), "its audio is `aac` of profile `HE-AAC`, ")]
#[case::audio_rate("mp4", |_: &mut VideoStream, a: &mut AudioStream| a.sample_rate = 96_000, "its audio has 96000 Hz, ")]
#[case::layout("mp4", |_: &mut VideoStream, a: &mut AudioStream| (a.channels, a.layout) = (6, "5.1(side)".to_owned()), "its audio has 6 channels (`5.1(side)`), ")]
#[case::surround("flv", |_: &mut VideoStream, a: &mut AudioStream| (a.channels, a.layout) = (6, "5.1".to_owned()), "its audio has 6 channels (`5.1`), ")]
fn what_cannot_be_copied(
    #[case] format: &str,
    #[case] change: fn(&mut VideoStream, &mut AudioStream),
    #[case] words: &str,
) {
    let error = copied(format, change).expect_err("refused");
    assert_eq!(error.code, ErrorCode::NothingToTranscode);
    assert!(error.detail.starts_with(words), "{}", error.detail);
}
