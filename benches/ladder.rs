//! A 30 s 1080p25 source becomes an H.264 ladder of four renditions in HLS: submit to callback,
//! storage included, against the one bare FFmpeg command that makes the same renditions with the
//! same presets, and against one FFmpeg run for each rendition, one after the other.

mod product;

use std::time::{Duration, Instant};

use product::{Product, ffmpeg, median, tempdir};
use serde_json::json;

const ROUNDS: usize = 3;
/// Width, height and the level of H.264 that each needs.
const LADDER: [(u32, u32, LevelLimits); 4] =
    [(1920, 1080, L4_0), (1280, 720, L3_1), (960, 540, L3_1), (640, 360, L3_0)];
const ENCODER: &str =
    "-c:v libx264 -preset medium -crf 23 -g 150 -keyint_min 150 -sc_threshold 0 -pix_fmt yuv420p";

/// A level's name, and the bit rate and buffer that it allows in high profile, in kbit (H.264, table A-1).
type LevelLimits = (&'static str, u32, u32);
const L4_0: LevelLimits = ("4.0", 25_000, 31_250);
const L3_1: LevelLimits = ("3.1", 17_500, 17_500);
const L3_0: LevelLimits = ("3.0", 12_500, 12_500);

#[tokio::main]
async fn main() {
    let mut product = Product::start().await;
    let source = product.files.path().join("source.mp4");
    let source = source.to_str().expect("a path");
    ffmpeg(&words(&format!(
        "-f lavfi -i testsrc2=s=1920x1080:r=25:d=30,noise=alls=2:allf=t -f lavfi -i sine=440:d=30 \
         -c:v libx264 -preset veryfast -crf 16 -pix_fmt yuv420p -c:a aac {source}"
    )));
    let storage = product.add_storage().await;
    let streams: Vec<_> = LADDER.iter().map(|(w, h, _)| json!({"resolution": format!("{w}x{h}")})).collect();
    let template =
        json!({"template_name": "ladder", "format": "hls", "seg_time": 6, "adaptive_streams": streams});
    product.call(reqwest::Method::POST, "add_template", template).await;

    let (mut ours, mut bare, mut unlimited, mut singly) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let began = Instant::now();
        let task = product.create_task(&storage, "ladder", "source.mp4", &format!("ladder{round}/")).await;
        ours.push(product.told(&task).await - began);
        bare.push(one_command(source, true));
        unlimited.push(one_command(source, false));
        singly.push(one_run_each(source));
        println!(
            "round {round}: borealis {:.2?}, one command {:.2?}, without levels {:.2?}, one run each {:.2?}",
            ours[round], bare[round], unlimited[round], singly[round]
        );
    }
    let ours = median(ours).as_secs_f64();
    println!("ladder against one bare command: {:.3} x (to reach: 1.05)", ours / median(bare).as_secs_f64());
    println!("the same, held to no level:      {:.3} x", ours / median(unlimited).as_secs_f64());
    println!(
        "ladder against one run each:     {:.3} x (to reach: 0.90)",
        ours / median(singly).as_secs_f64()
    );
    println!("peak memory of the server:       {} MiB", product.peak_memory());
}

/// Makes the renditions; the same as ours only `with_levels`, to which x264 then holds its bit rate.
fn one_command(source: &str, with_levels: bool) -> Duration {
    let out = tempdir();
    let splits: String = (0..LADDER.len()).map(|n| format!("[s{n}]")).collect();
    let scales: Vec<_> =
        LADDER.iter().enumerate().map(|(n, (w, h, _))| format!("[s{n}]scale={w}:{h}[v{n}]")).collect();
    let graph = format!("[0:v]split={}{splits};{}", LADDER.len(), scales.join(";"));
    let maps: String = (0..LADDER.len()).map(|n| format!("-map [v{n}] ")).collect();
    let variants: String =
        (0..LADDER.len()).map(|n| format!("v:{n},agroup:a ")).collect::<String>() + "a:0,agroup:a";
    let folder = out.path().to_str().expect("a path");
    let command = format!(
        "-i {source} -filter_complex {graph} {maps} -map 0:a {ENCODER} -c:a aac -b:a 128k -f hls -hls_time 6 -hls_playlist_type vod -master_pl_name master.m3u8"
    );
    let limits =
        LADDER.iter().enumerate().filter(|_| with_levels).map(|(n, (_, _, (level, rate, buffer)))| {
            format!(
                "-profile:v:{n} high -level:v:{n} {level} -maxrate:v:{n} {rate}k -bufsize:v:{n} {buffer}k "
            )
        });
    let limits: String = limits.collect();
    let mut args = words(&command);
    args.extend(words(&limits));
    let (segments, playlist) = (format!("{folder}/%v_%d.ts"), format!("{folder}/%v.m3u8"));
    args.extend(["-hls_segment_filename", &segments, "-var_stream_map", &variants, &playlist]);
    ffmpeg(&args)
}

fn one_run_each(source: &str) -> Duration {
    let out = tempdir();
    let folder = out.path().to_str().expect("a path");
    LADDER
        .iter()
        .map(|(w, h, (level, rate, buffer))| {
            ffmpeg(&words(&format!(
                "-i {source} -vf scale={w}:{h} {ENCODER} -profile:v high -level:v {level} -maxrate:v {rate}k -bufsize:v {buffer}k -c:a aac -b:a 128k -f hls -hls_time 6 -hls_playlist_type vod {folder}/{h}.m3u8"
            )))
        })
        .sum()
}

fn words(command: &str) -> Vec<&str> {
    command.split_whitespace().collect()
}
