//! `early_playlist`: submit to the moment when a ladder's main playlist, all playlists that it names and
//! the first segment of each can be fetched, against the bare FFmpeg command's own first segments; for a
//! source of 30 s and one of an hour. And the memory of the server for an hour of source, whole.

mod product;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use product::{Product, ffmpeg, median, tempdir, tools};
use serde_json::json;

const ROUNDS: usize = 3;
const LADDER: [(u32, u32); 4] = [(1920, 1080), (1280, 720), (960, 540), (640, 360)];
const ENCODER: &str =
    "-c:v libx264 -preset medium -crf 23 -g 150 -keyint_min 150 -sc_threshold 0 -pix_fmt yuv420p";

#[tokio::main]
async fn main() {
    let mut product = Product::start().await;
    let files = product.files.path().to_owned();
    make_sources(&files);
    let storage = product.add_storage().await;
    let ladder: Vec<_> = LADDER.iter().map(|(w, h)| json!({"resolution": format!("{w}x{h}")})).collect();
    for (name, streams) in [("ladder", json!(ladder)), ("small", json!([{"resolution": "128x72"}]))] {
        let template =
            json!({"template_name": name, "format": "hls", "seg_time": 6, "adaptive_streams": streams});
        product.call(reqwest::Method::POST, "add_template", template).await;
    }
    for source in ["30s.mp4", "1h.mp4"] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            ours.push(early(&product, &storage, source, &format!("{source}{round}")).await);
            bare.push(first_segments(&files.join(source)).await);
            println!("{source}, round {round}: borealis {:.2?}, bare {:.2?}", ours[round], bare[round]);
        }
        let ratio = median(ours).as_secs_f64() / median(bare).as_secs_f64();
        println!("{source}, first segments against the bare command's: {ratio:.3} x (to reach: 1.3)");
    }
    let early = json!({"early_playlist": true});
    let task = product.create_task_with(&storage, "small", "1h-small.mp4", "whole", early).await;
    product.told(&task).await;
    println!("peak memory of the server, 1 h of source: {} MiB (to reach: 150)", product.peak_memory());
}

/// 30 s at 1080p, the same again and again for an hour, and an hour at the size of a stamp.
fn make_sources(folder: &Path) {
    let path = |name: &str| folder.join(name).to_str().expect("a path").to_owned();
    let make = |size: &str, seconds: u32, file: &str| {
        ffmpeg(&words(&format!(
            "-f lavfi -i testsrc2=s={size}:r=25:d={seconds} -f lavfi -i sine=440:d={seconds} \
             -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac -movflags +faststart {}",
            path(file)
        )));
    };
    make("1920x1080", 30, "30s.mp4");
    let again = |from: &str, to: &str| {
        let command = format!("-stream_loop 119 -i {} -c copy -movflags +faststart {}", path(from), path(to));
        ffmpeg(&words(&command));
    };
    again("30s.mp4", "1h.mp4");
    make("128x72", 30, "30s-small.mp4");
    again("30s-small.mp4", "1h-small.mp4");
}

/// From submit to the main playlist, which is put when all that it names can be fetched.
async fn early(product: &Product, storage: &str, source: &str, output: &str) -> Duration {
    let began = Instant::now();
    let wish = json!({"early_playlist": true});
    let task = product.create_task_with(storage, "ladder", source, output, wish).await;
    let main = product.objects().join(output).join("master.m3u8");
    while !main.exists() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = began.elapsed();
    product.cancel(&task).await;
    took
}

/// From the start of the one bare command to its first segment of every rendition, and of the audio.
async fn first_segments(source: &Path) -> Duration {
    let out = tempdir();
    let splits: String = (0..LADDER.len()).map(|n| format!("[s{n}]")).collect();
    let scales: Vec<_> =
        LADDER.iter().enumerate().map(|(n, (w, h))| format!("[s{n}]scale={w}:{h}[v{n}]")).collect();
    let graph = format!("[0:v]split={}{splits};{}", LADDER.len(), scales.join(";"));
    let maps: String = (0..LADDER.len()).map(|n| format!("-map [v{n}] ")).collect();
    let variants: String =
        (0..LADDER.len()).map(|n| format!("v:{n},agroup:a ")).collect::<String>() + "a:0,agroup:a";
    let (source, folder) = (source.display(), out.path().to_str().expect("a path"));
    let command = format!(
        "-nostdin -y -v error -i {source} -filter_complex {graph} {maps} -map 0:a {ENCODER} -c:a aac -b:a 128k \
         -f hls -hls_time 6 -hls_playlist_type event -master_pl_name master.m3u8"
    );
    let (segments, playlist) = (format!("{folder}/%v_%d.ts"), format!("{folder}/%v.m3u8"));
    let began = Instant::now();
    let mut child = Command::new(tools().join("ffmpeg"))
        .args(words(&command))
        .args(["-hls_segment_filename", &segments, "-var_stream_map", &variants, &playlist])
        .stdin(Stdio::null())
        .spawn()
        .expect("FFmpeg runs");
    // a playlist is written when a segment is complete
    while !(0..=LADDER.len()).all(|n| out.path().join(format!("{n}.m3u8")).exists()) {
        assert!(child.try_wait().expect("asked").is_none(), "it ended");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = began.elapsed();
    child.kill().expect("killed");
    child.wait().expect("it ends");
    took
}

fn words(command: &str) -> Vec<&str> {
    command.split_whitespace().collect()
}
