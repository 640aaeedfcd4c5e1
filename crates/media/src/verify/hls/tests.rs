//! Playlists that are right, and the same with one thing wrong.

use std::fs;

use super::*;

const MASTER: &str = r#"#EXTM3U
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,URI="files/audio/playlist.m3u8",GROUP-ID="audio",NAME="Audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2"
#EXT-X-MEDIA:TYPE=AUDIO,URI="files/audio_2/playlist.m3u8",GROUP-ID="audio",LANGUAGE="de",NAME="Ton",DEFAULT=NO,CHANNELS="2"
#EXT-X-STREAM-INF:BANDWIDTH=1000,AVERAGE-BANDWIDTH=900,CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO="audio",CLOSED-CAPTIONS=NONE
files/360p/playlist.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=500,AVERAGE-BANDWIDTH=450,CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=25.000,AUDIO="audio",CLOSED-CAPTIONS=NONE
files/180p/playlist.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=400,AVERAGE-BANDWIDTH=360,CODECS="avc1.64001e",RESOLUTION=640x360,URI="files/360p/iframes.m3u8"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=400,AVERAGE-BANDWIDTH=360,CODECS="avc1.64001e",RESOLUTION=320x180,URI="files/180p/iframes.m3u8"
"#;
const MEDIA: &str = r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:3
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="init.mp4"
#EXTINF:2.500,
1.m4s
#EXTINF:2.500,
2.m4s
#EXT-X-ENDLIST
"#;
const I_FRAMES: &str = r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:3
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-I-FRAMES-ONLY
#EXT-X-MAP:URI="init.mp4"
#EXTINF:2.500,
#EXT-X-BYTERANGE:125@376
1.m4s
#EXTINF:2.500,
#EXT-X-BYTERANGE:100@376
2.m4s
#EXT-X-ENDLIST
"#;

/// Two renditions and two audios, after a change of one of their playlists.
fn listing(kind: SegmentType, file: &str, change: impl Fn(&str) -> String) -> Result<Listing, MediaError> {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let text = if path == file { change(text) } else { text.to_owned() };
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    write("main.m3u8", MASTER);
    for name in ["360p", "180p", "audio", "audio_2"] {
        write(&format!("files/{name}/playlist.m3u8"), MEDIA);
        write(&format!("files/{name}/iframes.m3u8"), I_FRAMES);
        for segment in ["init.mp4", "1.m4s", "2.m4s"] {
            write(&format!("files/{name}/{segment}"), "x");
        }
    }
    let mut plan = crate::verify::tests::plan();
    plan.segmenting =
        plan.segmenting.map(|segmenting| crate::plan::Segmenting { segment_type: kind, ..segmenting });
    plan.videos.push(crate::plan::VideoPlan { name: "180p".to_owned(), ..plan.videos[0].clone() });
    plan.audios.push(crate::plan::AudioPlan { name: "audio_2".to_owned(), ..plan.audios[0].clone() });
    read(&plan, &WorkFolder::open(folder.path()).expect("opened"))
}

#[test]
fn what_is_right_is_read() {
    let listing = listing(SegmentType::Fmp4, "", str::to_owned).expect("right");
    let found = |track: &Track| (track.segments.len(), track.i_frames.len());
    assert_eq!(listing.tracks.iter().map(found).collect::<Vec<_>>(), [(2, 2), (2, 2), (2, 0), (2, 0)]);
    assert_eq!(listing.tracks[3].claims.language.as_deref(), Some("de"));
}

const MAIN: &str = "main.m3u8";
const PLAYLIST: &str = "files/360p/playlist.m3u8";
const FRAMES: &str = "files/360p/iframes.m3u8";

#[rstest::rstest]
#[case::independent(MAIN, "#EXT-X-INDEPENDENT-SEGMENTS\n", "", "segments are independent")]
#[case::not_a_playlist(MAIN, "#EXTM3U", "#EXT", "the master playlist cannot be read")]
#[case::broken_tag(MAIN, "NAME=\"Audio\",", "", "a tag that cannot be read: `#EXT-X-MEDIA:TYPE=AUDIO")]
#[case::no_bandwidth(MAIN, "BANDWIDTH=1000,AVERAGE-", "AVERAGE-", "cannot be read: `#EXT-X-STREAM-INF:AVER")]
#[case::variants(MAIN, "files/180p/pl", "files/360p/pl", "names one of its variants twice")]
#[case::frames_twice(MAIN, "files/180p/if", "files/360p/if", "names one of its playlists of I-frames twice")]
#[case::rendition(MAIN, "files/180p/pl", "files/18p/pl", "does not name the rendition `180p`")]
#[case::frames(MAIN, "files/180p/if", "files/18p/if", "does not name the I-frames of `180p`")]
#[case::no_frames(MAIN, "#EXT-X-I-FRAME-STREAM-INF", "#", "1 playlists of I-frames, not 2")]
#[case::no_group(
    MAIN,
    "AUDIO=\"audio\",C",
    "C",
    "`files/360p/playlist.m3u8` names the audio group ``, not `audio`"
)]
#[case::group(
    MAIN,
    "GROUP-ID=\"audio\",L",
    "GROUP-ID=\"other\",L",
    "`Ton` is not in the audio group of the first"
)]
#[case::captions(MAIN, ",CLOSED-CAPTIONS=NONE", "", "has other captions than the first")]
#[case::kind(MAIN, "TYPE=AUDIO", "TYPE=VIDEO", "`Audio` is not listed as audio")]
#[case::one_name(MAIN, "\"Ton\"", "\"Audio\"", "do not have a name each")]
#[case::no_default(MAIN, "DEFAULT=YES,", "", "`Audio` is not marked with DEFAULT=YES")]
#[case::two_defaults(MAIN, "DEFAULT=NO", "DEFAULT=YES", "`Ton` is not marked with DEFAULT=NO")]
#[case::autoselect(MAIN, "AUTOSELECT=YES,", "", "`Audio` is the default without AUTOSELECT=YES")]
#[case::audio(MAIN, "files/audio_2", "files/audio_3", "does not name the audio `audio_2`")]
#[case::frame_codec(MAIN, "64001e\",RES", "64001f\",RES", "is listed with (Some(\"avc1.64001f\")")]
#[case::frame_size(
    MAIN,
    "640x360,URI",
    "640x362,URI",
    "is listed with (Some(\"avc1.64001e\"), Some(Resolution"
)]
#[case::frame_range(MAIN, "640x360,URI", "640x360,VIDEO-RANGE=PQ,URI", "Some(\"PQ\")), and its rendition")]
#[case::frame_rate(MAIN, "BANDWIDTH=400", "BANDWIDTH=300", "is listed with BANDWIDTH=300, and has 400 bit/s")]
#[case::frame_average(MAIN, "=360,", "=400,", "is listed with AVERAGE-BANDWIDTH=400, and has 360 bit/s")]
#[case::version(PLAYLIST, "VERSION:6", "VERSION:5", "is of version 5, and has what came with version 6")]
#[case::no_version(PLAYLIST, "#EXT-X-VERSION:6\n", "", "is of version 1")]
#[case::incomplete(PLAYLIST, "#EXT-X-ENDLIST\n", "", "is not marked as complete")]
#[case::growing(PLAYLIST, "TYPE:VOD", "TYPE:EVENT", "is not marked as complete")]
#[case::later(PLAYLIST, "#EXT-X-MAP", "#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-MAP", "begin with its first segment")]
#[case::no_length(PLAYLIST, "#EXTINF:2.500,\n1", "1", "lists `1.m4s` without its duration")]
#[case::broken_map(PLAYLIST, "URI=\"init", "URL=\"init", "a tag that cannot be read: `#EXT-X-MAP")]
#[case::target(
    PLAYLIST,
    "DURATION:3",
    "DURATION:2",
    "has the target duration 2, and `1.m4s` has a duration of 2.5 s"
)]
#[case::no_target(PLAYLIST, "#EXT-X-TARGETDURATION:3\n", "", "has the target duration 0")]
#[case::broken_length(PLAYLIST, "#EXTINF:2.500", "#EXTINF:abc", "lists `1.m4s` without its duration")]
#[case::no_init(PLAYLIST, "#EXT-X-MAP:URI=\"init.mp4\"\n", "", "names no initialization segment")]
#[case::two_inits(
    PLAYLIST,
    "00,\n2",
    "00,\n#EXT-X-MAP:URI=\"1.m4s\"\n2",
    "another initialization segment before `2.m4s`"
)]
#[case::discontinuity(
    PLAYLIST,
    "2.m4s",
    "#EXT-X-DISCONTINUITY\n2.m4s",
    "whole segments that follow each other"
)]
#[case::part(PLAYLIST, "2.m4s", "#EXT-X-BYTERANGE:1@0\n2.m4s", "whole segments that follow each other")]
#[case::missing(PLAYLIST, "2.m4s", "3.m4s", "`files/360p/3.m4s` is listed and is not there")]
#[case::outside(PLAYLIST, "2.m4s", "../../../2.m4s", "not a path of the output")]
#[case::frames_version(FRAMES, "VERSION:6", "VERSION:4", "is of version 4, and has what came with version 5")]
#[case::not_frames(FRAMES, "#EXT-X-I-FRAMES-ONLY\n", "", "is not marked as I-frames only")]
#[case::frames_target(FRAMES, "DURATION:3", "DURATION:2", "has the target duration 2")]
#[case::no_frames_init(FRAMES, "#EXT-X-MAP:URI=\"init.mp4\"\n", "", "names no initialization segment")]
#[case::frames_init(FRAMES, "\"init.mp4\"", "\"1.m4s\"", "with something else than its segments")]
#[case::no_bytes(FRAMES, "#EXT-X-BYTERANGE:100@376\n", "", "an I-frame without its bytes")]
fn what_is_wrong_is_refused(
    #[case] file: &str,
    #[case] right: &str,
    #[case] changed: &str,
    #[case] words: &str,
) {
    let change = |text: &str| {
        assert!(text.contains(right), "{text}");
        text.replacen(right, changed, 1)
    };
    let error = listing(SegmentType::Fmp4, file, change).expect_err("refused");
    assert!(error.detail.contains(words), "{error}");
}

/// Of transport streams, I-frames need the tables before the first one.
#[test]
fn i_frames_need_their_tables() {
    let error = listing(SegmentType::Ts, FRAMES, str::to_owned).expect_err("refused");
    assert!(error.detail.contains("with something else than its segments"), "{error}");
}
