//! Playlists as Shaka Packager 3.8.0 writes them.

use proptest::prelude::*;

use super::*;
use crate::{fixtures, playlists::relocate};

const MASTER_TEXT: &str = r##"#EXTM3U
## Generated with https://github.com/shaka-project/shaka-packager version v3.8.0-75b2faf-release

#EXT-X-INDEPENDENT-SEGMENTS

#EXT-X-MEDIA:TYPE=AUDIO,URI="files/audio/main.m3u8",GROUP-ID="audio",NAME="one, two",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2"

#EXT-X-STREAM-INF:BANDWIDTH=894883,AVERAGE-BANDWIDTH=853014,CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=29.970,AUDIO="audio",CLOSED-CAPTIONS=NONE
files/360p/main.m3u8

#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=8114,AVERAGE-BANDWIDTH=13796,CODECS="avc1.64001e",RESOLUTION=640x360,URI="files/360p/iframes.m3u8"
"##;

#[expect(clippy::unnecessary_wraps, reason = "the shape of `measure`")]
fn measured(uri: &str) -> io::Result<Bandwidth> {
    Ok(match uri {
        "files/audio/main.m3u8" => Bandwidth { peak: 140_000.0, average: 130_000.0 },
        "files/360p/main.m3u8" => Bandwidth { peak: 800_000.5, average: 700_000.0 },
        _ => Bandwidth { peak: 20_000.0, average: 13_000.0 },
    })
}

/// 640x360 at 59.94 frames a second, with audio.
fn plan() -> Plan {
    let source =
        fixtures::source(Some(fixtures::video(640, 360, "60000/1001")), vec![fixtures::audio(1, 2, "")]);
    fixtures::plan(serde_json::json!({"format": "hls"}), &source)
}

#[test]
fn a_master_playlist_says_what_is_true() {
    let text = fix_main_playlist(MASTER_TEXT, &PlannedStreams::of(&plan()), measured).expect("readable");
    assert!(text.contains(r#"NAME="one, two",DEFAULT=YES,AUTOSELECT=YES"#), "{text}");
    assert!(text.contains("#EXT-X-STREAM-INF:BANDWIDTH=940001,AVERAGE-BANDWIDTH=830000,CODECS="), "{text}");
    assert!(text.contains("#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=20000,AVERAGE-BANDWIDTH=13000,"), "{text}");
    assert!(text.contains("RESOLUTION=640x360,FRAME-RATE=59.940,AUDIO"), "{text}");
    assert_eq!(text.lines().count(), MASTER_TEXT.lines().count());
}

#[test]
fn audio_alone_has_one_variant() {
    let text = r##"#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,URI="files/audio/main.m3u8",GROUP-ID="audio",LANGUAGE="en",NAME="English",DEFAULT=YES
#EXT-X-MEDIA:TYPE=AUDIO,URI="files/audio_2/main.m3u8",GROUP-ID="audio",LANGUAGE="de",NAME="Deutsch",DEFAULT=NO
#EXT-X-STREAM-INF:BANDWIDTH=132119,AVERAGE-BANDWIDTH=130312,CODECS="mp4a.40.2",AUDIO="audio",CLOSED-CAPTIONS=NONE
files/audio/main.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=74434,AVERAGE-BANDWIDTH=73423,CODECS="mp4a.40.2",AUDIO="audio",CLOSED-CAPTIONS=NONE
files/audio_2/main.m3u8
"##;
    let text = fix_main_playlist(text, &PlannedStreams::of(&plan()), measured).expect("readable");
    assert_eq!(text.matches("#EXT-X-STREAM-INF").count(), 1);
    assert!(text.ends_with("AUDIO=\"audio\",CLOSED-CAPTIONS=NONE\nfiles/audio/main.m3u8\n"), "{text}");
}

#[test]
fn target_durations_hold_and_i_frames_come_with_their_tables() {
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXT-X-I-FRAMES-ONLY\n#EXTINF:2.002,\n#EXT-X-BYTERANGE:8460@376\n1.ts\n#EXTINF:0.3,\n#EXT-X-BYTERANGE:10152@376\n2.ts\n#EXT-X-ENDLIST\n";
    let longer = "#EXTM3U\n#EXTINF:2.499,\n1.ts\n#EXTINF:3.5,\n2.ts\n";
    assert_eq!((target_duration([text].into_iter()), target_duration([text, longer].into_iter())), (2, 4));
    let right = fix_media_playlist(text, 2);
    assert!(right.contains("#EXT-X-TARGETDURATION:2\n"), "{right}");
    let begins =
        "#EXT-X-MAP:URI=\"1.ts\",BYTERANGE=\"376@0\"\n#EXTINF:2.002,\n#EXT-X-BYTERANGE:8460@376\n1.ts";
    assert!(right.contains(begins), "{right}");
    assert_eq!(fix_media_playlist(&right, 2), right);
    let fragmented =
        text.replace("#EXT-X-I-FRAMES-ONLY", "#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI=\"init.mp4\"");
    assert_eq!(fix_media_playlist(&fragmented, 2).matches("#EXT-X-MAP").count(), 1);
}

#[test]
fn a_short_last_segment_is_no_peak_of_its_own() {
    let segments = [(100_000, 2.0), (120_000, 2.0), (30_000, 0.1)];
    let bandwidth = Bandwidth::of(&segments, None);
    assert!((bandwidth.peak - 150_000.0 * 8.0 / 2.1).abs() < 1.0, "{bandwidth:?}");
    assert!((bandwidth.average - 250_000.0 * 8.0 / 4.1).abs() < 1.0, "{bandwidth:?}");
    let longer = Bandwidth::of(&segments, Some(5.0));
    assert!((longer.peak - longer.average).abs() < 1.0, "{longer:?}");
    for (buffer, rate) in [(2.0, bandwidth.peak), (1.0, 120_000.0 * 8.0)] {
        assert!((Bandwidth::peak_with_buffer(&segments, buffer) - rate).abs() < 1.0, "{buffer}");
    }
    assert!(Bandwidth::of(&[], None).peak.abs() < f64::EPSILON);
}

const MPD: &str = r#"<SegmentTemplate timescale="30000" initialization="files/v1/init.mp4" media="files/v1/$Number$.m4s" startNumber="1">"#;

#[test]
fn main_playlists_refer_to_their_folder() {
    let hls = relocate(Format::Hls, MASTER_TEXT, "é #1\".hls");
    assert!(hls.contains("URI=\"%C3%A9%20%231%22.hls/audio/main.m3u8\""), "{hls}");
    assert!(hls.contains("\n%C3%A9%20%231%22.hls/360p/main.m3u8\n"), "{hls}");
    assert!(!hls.contains("files/"));
    let dash = relocate(Format::Dash, MPD, "cash$Number$&.dash");
    assert!(dash.contains(r#"media="cash%24Number%24%26.dash/v1/$Number$.m4s""#), "{dash}");
    assert!(dash.contains(r#"initialization="cash%24Number%24%26.dash/v1/init.mp4""#), "{dash}");
}

proptest! {
    #[test]
    fn any_folder_comes_back_out_of_the_uri(folder in "[^/\\x00-\\x1f]{1,40}") {
        let text = relocate(Format::Hls, "files/a.m3u8\n", &folder);
        let path = text.trim_end().strip_suffix("/a.m3u8").expect("one line");
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8().expect("UTF-8");
        prop_assert_eq!(decoded, folder.as_str());
        prop_assert!(path.bytes().all(|b| b.is_ascii_alphanumeric() || b"%-._~".contains(&b)));
    }
}

#[test]
fn the_level_of_vp9_is_the_plans() {
    let mut plan = plan();
    let video = &mut plan.videos[0];
    (video.codec, video.level) = (model::VideoCodec::Vp9, "3.1".to_owned());
    assert_eq!(
        vp9_level::fix_codecs("vp09.00.30.08.01.02.02.02.00,opus", video),
        "vp09.00.31.08.01.02.02.02.00,opus"
    );
    assert_eq!(vp9_level::fix_codecs("avc1.64001e", video), "avc1.64001e");
    let text = MASTER_TEXT.replace("avc1.64001e", "vp09.00.30.08");
    let right = fix_main_playlist(&text, &PlannedStreams::of(&plan), measured).expect("readable");
    assert_eq!(right.matches("vp09.00.31.08").count(), 2, "{right}");
}
