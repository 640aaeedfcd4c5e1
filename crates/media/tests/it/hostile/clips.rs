//! Small clips of many kinds, made once.

use std::path::PathBuf;

use crate::bench::Bench;

/// Three seconds of a moving test pattern.
const VIDEO: &str = "-f lavfi -i testsrc2=s=96x64:r=10:d=3";
/// Three seconds of a tone.
const AUDIO: &str = "-f lavfi -i sine=330:r=44100:d=3";

const H264: &str = "-pix_fmt yuv420p -c:v libx264 -preset veryfast -g 12";

/// Their names, which inputs they have, and FFmpeg's arguments that encode them.
const CLIPS: [(&str, &str, &str); 20] = [
    ("mp4.mp4", "both", "{h264} -c:a aac"),
    ("faststart.mp4", "both", "{h264} -bf 2 -c:a aac -movflags +faststart"),
    ("fragments.mp4", "both", "{h264} -c:a aac -movflags +frag_keyframe+empty_moov+default_base_moof"),
    (
        "hevc.mp4",
        "both",
        "-pix_fmt yuv420p -c:v libx265 -preset ultrafast -x265-params log-level=0 -tag:v hvc1 -c:a ac3 -movflags +faststart",
    ),
    (
        "av1.mp4",
        "both",
        "-pix_fmt yuv420p -c:v libsvtav1 -preset 12 -c:a libopus -movflags +frag_keyframe+empty_moov",
    ),
    ("mjpeg.mov", "both", "-pix_fmt yuvj420p -c:v mjpeg -c:a pcm_s16le -movflags +faststart"),
    (
        "h263.3gp",
        "both",
        "-s 128x96 -c:v h263 -c:a libopencore_amrnb -ar 8000 -ac 1 -b:a 12.2k -movflags +faststart",
    ),
    ("h264.mkv", "both", "{h264} -c:a flac"),
    ("vp9.webm", "both", "-pix_fmt yuv420p -c:v libvpx-vp9 -cpu-used 5 -deadline realtime -c:a libopus"),
    ("vp8.webm", "both", "-pix_fmt yuv420p -c:v libvpx -cpu-used 5 -deadline realtime -c:a libvorbis"),
    ("h264.ts", "both", "{h264} -c:a aac"),
    ("mpeg2.ts", "both", "-r 25 -pix_fmt yuv420p -c:v mpeg2video -c:a mp2"),
    ("mpeg1.mpg", "both", "-r 25 -pix_fmt yuv420p -c:v mpeg1video -c:a mp2"),
    ("mpeg4.avi", "both", "-c:v mpeg4 -c:a libmp3lame"),
    ("h264.flv", "both", "{h264} -c:a aac"),
    ("wmv2.wmv", "both", "-c:v wmv2 -c:a wmav2"),
    ("theora.ogv", "both", "-c:v libtheora -c:a libvorbis"),
    ("mpeg2.mxf", "both", "-r 25 -c:v mpeg2video -c:a pcm_s16le -ar 48000"),
    ("audio.mp3", "audio", "-c:a libmp3lame"),
    ("audio.flac", "audio", "-c:a flac"),
];

/// Makes all of them.
pub(crate) fn all(bench: &Bench) -> Vec<(&'static str, PathBuf)> {
    let make = |(name, streams, codecs): (&'static str, &str, &str)| {
        let inputs = if streams == "both" { format!("{VIDEO} {AUDIO}") } else { AUDIO.to_owned() };
        (name, bench.clip(name, &format!("{inputs} {}", codecs.replace("{h264}", H264))))
    };
    CLIPS.map(make).into()
}
