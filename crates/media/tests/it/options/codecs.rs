//! Every codec in every container that takes it, encoded for real.

use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::Bench;

/// Three seconds with a scene cut, and 5.1 audio.
fn clip(bench: &Bench) -> std::path::PathBuf {
    bench.clip(
        "source.mkv",
        "-f lavfi -i testsrc2=s=256x144:r=25:d=1.4 -f lavfi -i mandelbrot=s=256x144:r=25 \
         -f lavfi -i anoisesrc=r=48000:a=0.1:d=3 -filter_complex [1:v]trim=duration=1.6[m];[0:v][m]concat,format=yuv420p[v];\
         [2:a]pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0[a] -map [v] -map [a] -c:v libx264 -preset ultrafast -c:a aac",
    )
}

#[rstest]
#[case::mp4_h265(json!({"format": "mp4", "vcodec": "h265", "acodec": "ac3", "audio_channels": 6}), "hevc", "ac3")]
#[case::mp4_av1(json!({"format": "mp4", "vcodec": "av1", "acodec": "opus", "audio_channels": 6}), "av1", "opus")]
#[case::mp4_vp9(json!({"format": "mp4", "vcodec": "vp9", "acodec": "mp3"}), "vp9", "mp3")]
#[case::mp3_alone(json!({"format": "mp4", "vcodec": "none", "acodec": "mp3", "audio_sample_rate": "22050"}), "", "mp3")]
#[case::flv_alone(json!({"format": "flv", "vcodec": "none"}), "", "aac")]
#[case::ts_ac3(json!({"format": "hls", "seg_type": "ts", "acodec": "ac3", "audio_channels": 6}), "h264", "ac3")]
#[case::ts_alone(json!({"format": "hls", "vcodec": "none"}), "", "aac")]
#[case::hls_h265(json!({"format": "hls", "vcodec": "h265", "acodec": "ac3", "audio_channels": 6}), "hevc", "ac3")]
#[case::hls_av1(json!({"format": "hls", "vcodec": "av1", "acodec": "opus"}), "av1", "opus")]
#[case::hls_vp9(json!({"format": "hls", "vcodec": "vp9", "video_bitrate": 200}), "vp9", "aac")]
#[case::hls_alone(json!({"format": "hls", "vcodec": "none", "acodec": "opus", "audio_channels": 6}), "", "opus")]
#[case::dash_h265(json!({"format": "dash", "vcodec": "h265", "video_bitrate": 300}), "hevc", "aac")]
#[case::dash_av1(json!({"format": "dash", "vcodec": "av1", "video_bitrate": 300, "quality": 5}), "av1", "aac")]
#[case::dash_vp9(json!({"format": "dash", "vcodec": "vp9", "acodec": "opus", "quality": 3}), "vp9", "opus")]
#[case::dash_alone(json!({"format": "dash", "vcodec": "none", "acodec": "ac3"}), "", "ac3")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_codec_in_every_kind_of_output(
    #[case] mut template: Value,
    #[case] video_codec: &str,
    #[case] audio_codec: &str,
) {
    let Some(bench) = Bench::find().await else { return };
    let input = clip(&bench);
    template["seg_time"] = json!(1);
    let output = bench.must_transcode(&input, template.clone()).await;
    let found = (output.measured.video_codec.as_str(), output.measured.audio_codec.as_str());
    assert_eq!(found, (video_codec, audio_codec), "{template}");
    assert!((output.measured.duration - 3.0).abs() < 0.1, "{}", output.measured.duration);
}

/// The duration of an AAC frame at these sample rates is no whole number in the container's timescale.
#[rstest]
#[case::ts_44100(json!({"format": "hls", "seg_type": "ts", "audio_sample_rate": "44100"}))]
#[case::ts_22050(json!({"format": "hls", "seg_type": "ts", "audio_sample_rate": "22050"}))]
#[case::fmp4_44100(json!({"format": "hls", "seg_type": "fmp4", "audio_sample_rate": "44100"}))]
#[case::flv_44100(json!({"format": "flv", "audio_sample_rate": "44100"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_that_is_off_the_containers_clock(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "source.mkv",
        "-f lavfi -i testsrc=s=64x36:r=10:d=12 -f lavfi -i sine=d=12 -c:v libx264 -preset ultrafast -c:a aac",
    );
    let output = bench.must_transcode(&input, template).await;
    assert!((output.measured.duration - 12.0).abs() < 0.1, "{}", output.measured.duration);
}

/// One ladder of three codecs, each in an adaptation set of its own.
#[rstest]
#[case("hls")]
#[case("dash")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renditions_of_several_codecs(#[case] format: &str) {
    let Some(bench) = Bench::find().await else { return };
    let streams = json!([
        {"vcodec": "av1", "resolution": "144p"}, {"vcodec": "h265", "resolution": "144p"},
        {"vcodec": "h264", "resolution": "144p"}, {"vcodec": "h264", "resolution": "72p"},
    ]);
    let template = json!({"format": format, "seg_time": 1, "adaptive_streams": streams});
    let output = bench.must_transcode(&clip(&bench), template).await;
    assert_eq!(output.plan.videos.len(), 4);
}

/// The same segments, named by both manifests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dash_beside_hls() {
    let Some(bench) = Bench::find().await else { return };
    let template = json!({"format": "hls", "also": "dash", "seg_time": 1, "acodec": "opus"});
    let output = bench.must_transcode(&clip(&bench), template).await;
    let manifest = std::fs::read_to_string(output.dir.join("files/manifest.mpd")).expect("a manifest");
    assert!(manifest.contains("media=\"144p/seg_$Number%05d$.m4s\""), "{manifest}");
    let master = std::fs::read_to_string(output.dir.join("main.m3u8")).expect("a playlist");
    assert!(master.contains("files/144p/playlist.m3u8"), "{master}");
}

/// HDR10 with its metadata, kept in two renditions and tone-mapped in the third.
#[rstest]
#[case::hls(json!({"format": "hls", "adaptive_streams": [
    {"vcodec": "h265", "resolution": "144p"}, {"vcodec": "av1", "resolution": "72p"}, {"vcodec": "h264", "resolution": "72p"}]}))]
#[case::dash(json!({"format": "dash", "adaptive_streams": [
    {"vcodec": "h265", "resolution": "144p"}, {"vcodec": "av1", "resolution": "72p"}, {"vcodec": "h264", "resolution": "72p"}]}))]
#[case::mp4(json!({"format": "mp4", "vcodec": "av1"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hdr_is_kept(#[case] mut template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "hdr.mp4",
        "-f lavfi -i testsrc2=s=256x144:r=25:d=1.4 -vf format=yuv420p10le,setparams=range=limited:colorspace=bt2020nc:\
         color_trc=smpte2084:color_primaries=bt2020 -c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params \
         log-level=error:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400",
    );
    template["hdr"] = json!("keep");
    template["seg_time"] = json!(1);
    let output = bench.must_transcode(&input, template).await;
    for video in &output.plan.videos {
        let kept = video.codec.ffmpeg_name() != "h264";
        assert_eq!(
            (video.colour.transfer == "smpte2084", video.bit_depth, video.tone_map),
            (kept, if kept { 10 } else { 8 }, !kept)
        );
        assert_eq!(video.hdr_metadata.content_light, kept.then_some((1000, 400)));
    }
}
