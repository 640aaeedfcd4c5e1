//! A manifest that is right, and the same with one thing wrong.

use std::fs;

use super::*;

const MPD: &str = r#"<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" minBufferTime="PT2S" type="static" mediaPresentationDuration="PT5.000S"><Period>
<AdaptationSet contentType="video" segmentAlignment="true" startWithSAP="1" par="16:9"><SupplementalProperty schemeIdUri="urn:mpeg:mpegB:cicp:TransferCharacteristics" value="16"/><Representation id="0" bandwidth="1000" codecs="avc1.64001e" mimeType="video/mp4" sar="1:1" width="640" height="360">
<SegmentTemplate timescale="10" initialization="files/360p/init.mp4" media="files/360p/$Number$.m4s" startNumber="1"><SegmentTimeline><S t="0" d="30"/><S t="30" d="20"/></SegmentTimeline></SegmentTemplate></Representation></AdaptationSet>
<AdaptationSet contentType="audio" startWithSAP="1" segmentAlignment="true" lang="de"><Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/><Representation id="1" bandwidth="500" codecs="mp4a.40.2" mimeType="audio/mp4" audioSamplingRate="48000">
<AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2"/>
<SegmentTemplate timescale="10" initialization="files/audio/init.mp4" media="files/audio/$Number$.m4s" startNumber="1"><SegmentTimeline><S t="0" d="30"/><S t="30" d="20"/></SegmentTimeline></SegmentTemplate></Representation></AdaptationSet>
</Period></MPD>"#;

fn listing(text: &str) -> Result<Listing, MediaError> {
    listing_of(text, crate::verify::tests::plan())
}

fn listing_of(text: &str, plan: Plan) -> Result<Listing, MediaError> {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["360p", "audio"] {
        let files = folder.path().join("files").join(name);
        fs::create_dir_all(&files).expect("made");
        for file in ["init.mp4", "1.m4s", "2.m4s"] {
            fs::write(files.join(file), "x").expect("written");
        }
    }
    fs::write(folder.path().join("main.mpd"), text).expect("written");
    let dir = WorkFolder::open(folder.path()).expect("opened");
    read(&Plan { format: Format::Dash, ..plan }, &dir, "main.mpd")
}

#[test]
fn what_is_right_is_read() {
    let listing = listing(MPD).expect("right");
    assert_eq!((listing.tracks.len(), listing.duration, listing.min_buffer_time), (2, Some(5.0), Some(2.0)));
    assert_eq!(listing.tracks[0].claims.colour, [None, Some(16), None]);
    let claims = &listing.tracks[1].claims;
    assert_eq!(
        (claims.channels, claims.language.as_deref(), claims.timescale),
        (Some(2), Some("de"), Some(10))
    );
}

/// Where the audio or the video of the source does, a little after 0.
#[test]
fn a_copy_may_begin_late() {
    let text = MPD.replacen("<S t=\"0\" d=\"30\"", "<S t=\"1\" d=\"29\"", 1);
    let mut plan = crate::verify::tests::plan();
    let video = crate::fixtures::video(640, 360, "25");
    plan.videos[0].coding = crate::plan::Coding::Copied(Box::new(video));
    let listing = listing_of(&text, plan).expect("right");
    assert_eq!(listing.tracks[0].segments[0].start, Some(0.1));
    assert_eq!(listing.duration, Some(5.0));
}

#[rstest::rstest]
#[case::root("MPD", "Mpd", "is a `Mpd` of `urn:mpeg:dash:schema:mpd:2011`, not a `MPD`")]
#[case::namespace("mpd:2011\"", "mpd:2012\"", "is a `MPD` of `urn:mpeg:dash:schema:mpd:2012`")]
#[case::no_namespace("xmlns", "xml:base", "is a `MPD` of ``")]
#[case::kind("type=\"static\"", "type=\"dynamic\"", "not static")]
#[case::periods("</Period>", "</Period><Period/>", "with one period")]
#[case::no_profiles("profiles=", "profile=", "the profiles ``")]
#[case::profiles("isoff-live", "isoff-on-demand", "without `urn:mpeg:dash:profile:isoff-live:2011`")]
#[case::buffer("PT2S", "PT0S", "`minBufferTime`")]
#[case::ids("id=\"1\"", "id=\"0\"", "an `id` each")]
#[case::count(
    "<AdaptationSet",
    "<AdaptationSet><Representation/></AdaptationSet><AdaptationSet",
    "has 3 representations, not 2"
)]
#[case::kind_of_content("contentType=\"video\"", "contentType=\"text\"", "contentType `text`, not `video`")]
#[case::mime("audio/mp4", "audio/aac", "mimeType `audio/aac`, not `audio/mp4`")]
#[case::alignment(
    "segmentAlignment=\"true\" startWithSAP",
    "startWithSAP",
    "segmentAlignment ``, not `true`"
)]
#[case::start("startWithSAP=\"1\" par", "startWithSAP=\"3\" par", "startWithSAP `3`, not `1`")]
#[case::pixels("1:1", "4:3", "sar `4:3`, not `1:1`")]
#[case::shape("16:9", "4:3", "`360p` has the `par` 4:3, and the size Some((640.0, 360.0))")]
#[case::role("value=\"main\"", "value=\"alternate\"", "`audio` does not have the role `main`")]
#[case::gap("<S t=\"30\"", "<S t=\"31\"", "goes on at 31 where it was at 30")]
#[case::overlap("<S t=\"30\"", "<S t=\"29\"", "goes on at 29 where it was at 30")]
#[case::begins("<S t=\"0\"", "<S t=\"1\"", "goes on at 1 where it was at 0")]
#[case::moved(
    "startNumber=\"1\"",
    "startNumber=\"1\" presentationTimeOffset=\"7\"",
    "has the `presentationTimeOffset` 7, not 0"
)]
#[case::whole("PT5.000S", "PT5.100S", "has the duration 5.100 s, and lists 5.000 s")]
#[case::no_whole("mediaPresentationDuration", "other", "has the duration 0.000 s, and lists 5.000 s")]
#[case::file("startNumber=\"1\"", "startNumber=\"2\"", "`files/360p/3.m4s` is listed and is not there")]
#[case::rendition("files/360p/$", "files/361p/$", "does not name `360p`")]
fn what_is_wrong_is_refused(#[case] right: &str, #[case] changed: &str, #[case] words: &str) {
    assert!(MPD.contains(right));
    // the root's name stands at its end too
    let times = if right == "MPD" { 2 } else { 1 };
    let error = listing(&MPD.replacen(right, changed, times)).expect_err("refused");
    assert!(error.detail.contains(words), "{error}");
}
