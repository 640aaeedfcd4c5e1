//! Colours, bit depth and detail are what every player can show.

use std::path::Path;

use model::ErrorCode;
use rstest::rstest;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, real_clips};

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

/// The RPU (reference processing unit) of each frame says that it is profile 5; the record that would say so in the container
/// is absent.
#[rstest]
#[case::mp4("a.mp4")]
#[case::mkv("a.mkv")]
#[case::ts("a.ts")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dolby_vision_without_its_record(#[case] name: &str) {
    let Some(bench) = Bench::find().await else { return };
    let Some(clips) = real_clips() else { return };
    let phone = clips.join("iphone_dolbyvision_hlg_rot90.MOV");
    let encoded = "-map 0:v:0 -vf scale=320:180 -c:v libx265 -preset ultrafast -dolbyvision 1 -tag:v hvc1 \
                   -x265-params log-level=error:vbv-maxrate=2000:vbv-bufsize=2000";
    let with_base_layer = bench.clip("base.mp4", &format!("-noautorotate -i {} {encoded}", phone.display()));
    bench
        .media
        .probe(&with_base_layer, &CancellationToken::new())
        .await
        .expect("profile 8.4 has a base layer");
    let mut bytes = std::fs::read(&with_base_layer).expect("readable");
    // up to `bl_video_full_range_flag`; the profile is in the four bits before it and the level
    let rpu = [0x7c, 0x01, 0x19, 0x08, 0x09, 0x08, 0x40, 0x61];
    let found: Vec<_> = (0..bytes.len() - 16).filter(|at| bytes[*at..*at + rpu.len()] == rpu).collect();
    assert!(!found.is_empty());
    for at in found {
        bytes[at + 5] = 0;
        bytes[at + 8] |= 0x80;
    }
    let without = bench.work.path().join("without.mp4");
    std::fs::write(&without, bytes).expect("written");
    let input = bench.clip(name, &format!("-i {} -c copy", without.display()));
    for vcodec in ["h264", "h265", "copy"] {
        let error = bench.must_refuse(&input, json!({"format": "mp4", "vcodec": vcodec})).await;
        assert_eq!(error.code, ErrorCode::InvalidInput, "{vcodec}: {error}");
        assert!(error.detail.contains("Dolby Vision profile 5 without a base layer"), "{error}");
    }
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
