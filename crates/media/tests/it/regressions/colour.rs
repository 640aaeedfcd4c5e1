//! Colours, bit depth and detail are what every player can show.

use std::path::Path;

use serde_json::json;

use crate::bench::Bench;

/// Mean, smallest and largest luma over all frames, of 255.
fn luma(bench: &Bench, file: &Path) -> (f64, f64, f64) {
    let stats = "-map 0:v -vf signalstats,metadata=print -f null";
    let report = bench.report(&[file], stats);
    let values = |name: &str| -> Vec<f64> {
        let name = format!("lavfi.signalstats.{name}=");
        report.lines().filter_map(|line| line.split_once(&name)?.1.trim().parse().ok()).collect()
    };
    let means = values("YAVG");
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    let smallest = values("YMIN").into_iter().fold(f64::INFINITY, f64::min);
    (mean, smallest, values("YMAX").into_iter().fold(0.0, f64::max))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pq_in_10_bits_to_h264() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i testsrc2=s=320x180:r=25:d=1 -vf format=yuv420p10le,setparams=range=limited:\
         colorspace=bt2020nc:color_trc=smpte2084:color_primaries=bt2020 -c:v libx265 -preset ultrafast \
         -tag:v hvc1 -x265-params log-level=error",
    );
    let output = bench.must_transcode(&input, json!({"format": "mp4"})).await;
    let set = bench.parameter_set(&output.main());
    assert_eq!(set.get("bit_depth_luma_minus8").copied().unwrap_or(0), 0);
    let bt709 = ["colour_primaries", "transfer_characteristics", "matrix_coefficients"];
    assert_eq!(bt709.map(|name| set.get(name).copied()), [Some(1); 3]);
    assert_eq!(set.get("video_full_range_flag"), Some(&0));
    let (mean, smallest, largest) = luma(&bench, &output.main());
    assert!((60.0..180.0).contains(&mean), "{mean}");
    assert!(smallest < 50.0 && largest > 200.0, "{smallest} to {largest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hevc_in_10_bits_to_h264() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i testsrc2=s=320x180:r=25:d=1 -vf format=yuv420p10le -c:v libx265 -preset ultrafast \
         -tag:v hvc1 -x265-params log-level=error",
    );
    let output = bench.must_transcode(&input, json!({"format": "mp4"})).await;
    let set = bench.parameter_set(&output.main());
    assert!([66, 77, 100].contains(&set["profile_idc"]), "{set:?}");
    assert_eq!(set.get("bit_depth_luma_minus8").copied().unwrap_or(0), 0);
    let ssim = bench.ssim(&output.main(), &input);
    assert!(ssim > 0.9, "{ssim}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn static_video_at_20_kbit_a_second() {
    let Some(mut bench) = Bench::find().await else { return };
    // the default preset: this is about quality
    bench.media.settings.plan.x264_preset = "medium".to_owned();
    let input = bench.clip(
        "a.mkv",
        "-f lavfi -i testsrc=s=320x180:r=25 -vf trim=end_frame=1,loop=-1:1,setpts=N/25/TB -t 8 -pix_fmt yuv420p \
         -c:v libx264 -qp 0 -preset ultrafast",
    );
    let output = bench.must_transcode(&input, json!({"format": "mp4", "video_bitrate": 20})).await;
    let graph = "-lavfi [0:v][1:v]libvmaf=n_threads=1 -f null";
    let vmaf = bench.reported(&[&output.main(), &input], graph, "VMAF score:");
    assert!(vmaf > 80.0, "{vmaf}");
    assert!(output.measured.bitrate < 30_000.0, "{}", output.measured.bitrate);
}
