//! Inputs that FFmpeg makes, and outputs that FFmpeg decodes and ffprobe describes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use media::Programs;
use serde_json::Value;

use super::early_segments::uris;

pub(super) fn tools() -> Programs {
    Programs::find(std::env::var_os("BOREALIS_TOOLS").as_deref().map(Path::new)).expect("the media tools")
}

/// A clip of a moving test pattern and a tone, `seconds` long, at 1280x720 and 50 frames a second.
pub(super) fn clip(folder: &Path, seconds: u32) -> PathBuf {
    let file = folder.join("clip.mp4");
    let video = format!("testsrc2=size=1280x720:rate=50:duration={seconds}");
    let audio = format!("sine=frequency=440:duration={seconds}");
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            &video,
            "-f",
            "lavfi",
            "-i",
            &audio,
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
        ]
        .map(String::from)
        .into_iter()
        .chain(["-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest"].map(String::from))
        .chain([file.display().to_string()])
        .collect::<Vec<_>>(),
    );
    file
}

/// 24 s of noise, which gives large outputs: the packager reads 64 KiB at a time. The `moov` is in front.
pub(super) fn noise(folder: &Path) -> Vec<u8> {
    make_with_ffmpeg(
        &folder.join("clip.mp4"),
        "-f lavfi -i testsrc2=s=128x72:r=25:d=24,noise=alls=60:allf=t -f lavfi -i anoisesrc=d=24:a=0.5 \
         -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -b:a 192k -movflags +faststart",
    )
}

/// Makes a file with FFmpeg, from arguments separated by spaces; gives its bytes.
pub(super) fn make_with_ffmpeg(file: &Path, args: &str) -> Vec<u8> {
    let args = args.split_whitespace().map(String::from).chain([file.display().to_string()]);
    ffmpeg(&args.collect::<Vec<_>>());
    std::fs::read(file).expect("readable")
}

/// A red PNG.
pub(super) fn logo(folder: &Path) -> PathBuf {
    let file = folder.join("logo.png");
    let words = ["-f", "lavfi", "-i", "color=red:s=40x20", "-frames:v", "1"].map(String::from);
    ffmpeg(&words.into_iter().chain([file.display().to_string()]).collect::<Vec<_>>());
    file
}

/// Fails unless FFmpeg decodes an output to its end without a warning. Of a master playlist every
/// rendition is decoded by itself: given all, FFmpeg's reader complains about those that it stops reading.
pub(super) fn assert_decodes(main: &Path) {
    if !is_playlist(main) {
        return assert_file_decodes(main, &[]);
    }
    let text = std::fs::read_to_string(main).expect("readable");
    let renditions: Vec<_> = uris(&text).filter(|uri| uri.ends_with("/playlist.m3u8")).collect();
    assert!(!renditions.is_empty(), "{text}");
    for rendition in renditions {
        let path = percent_encoding::percent_decode_str(rendition).decode_utf8().expect("UTF-8");
        assert_file_decodes(&main.with_file_name(path.as_ref()), READS_ANY_NAME);
    }
}

/// FFmpeg refuses segments of unusual names unless this allows them.
const READS_ANY_NAME: &[&str] = &["-allowed_extensions", "ALL"];

fn is_playlist(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "m3u8")
}

fn assert_file_decodes(file: &Path, reading: &[&str]) {
    let file = file.to_str().expect("a text");
    let args = [&["-xerror"], reading, &["-i", file, "-f", "null", "-"]].concat();
    ffmpeg(&args.into_iter().map(String::from).collect::<Vec<_>>());
}

/// Runs FFmpeg; fails when it warns about anything.
pub(super) fn ffmpeg(args: &[String]) {
    let output = Command::new(tools().ffmpeg)
        .args(["-nostdin", "-y", "-v", "error"])
        .args(args)
        .output()
        .expect("FFmpeg runs");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The first stream of a kind (`v` or `a`), as ffprobe describes it.
pub(super) fn probe_stream(file: &Path, kind: &str) -> Value {
    let output = Command::new(tools().ffprobe)
        .args(["-v", "error", "-of", "json", "-show_streams", "-select_streams"])
        .arg(format!("{kind}:0"))
        .args(if is_playlist(file) { READS_ANY_NAME } else { &[] })
        .arg(file)
        .output()
        .expect("ffprobe runs");
    let mut probed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    probed["streams"][0].take()
}
