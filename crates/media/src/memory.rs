//! How much memory a child may need. These are upper bounds and no forecasts: a child that needs more has met an
//! input that was made to need it, and is better ended than left to take the machine's memory.

use model::VideoCodec;

use crate::plan::{Plan, VideoPlan};

const GIB: u64 = 1 << 30;

/// For ffprobe and FFmpeg at an input of which nothing is known yet: decoded frames of 8K.
pub(crate) const PROBE_MEMORY_BYTES: u64 = 8 * GIB;
/// For the program itself, its libraries and audio.
const BASE_BYTES: u64 = 2 * GIB;
/// Frames that a decoder and the filters after it hold: references, and one for each thread.
const DECODED_FRAMES: u64 = 64;
/// What an estimate is multiplied by: encoders hold more than frames.
const SAFETY_FACTOR: u64 = 2;
/// For each thread its stack (8 MiB), of which encoders start some for each processor.
const STACK_BYTES: u64 = 8 << 20;
const THREADS_PER_PROCESSOR: u64 = 4;
/// For each stream of the packager: a cache of 32 MiB in front of its input and of each of its two outputs, the
/// stacks of the threads that fill and empty them, and the segment that is being written.
const PACKAGER_STREAM_BYTES: u64 = 256 << 20;

/// For FFmpeg when it makes the output of a plan.
pub(crate) fn of_run(plan: &Plan) -> u64 {
    let decoded = plan.video_filter.as_ref().map_or(0, |video| {
        frame_bytes(video.width, video.height, if video.pixel_format.contains("10") { 10 } else { 8 })
    });
    let encoded: u64 = plan.videos.iter().map(encoder_bytes).fold(0, u64::saturating_add);
    let frames = decoded.saturating_mul(DECODED_FRAMES).saturating_add(encoded);
    BASE_BYTES.saturating_add(frames.saturating_mul(SAFETY_FACTOR)).saturating_add(stacks(plan))
}

/// For the packager, which reads all streams at once.
pub(crate) fn of_packager(plan: &Plan) -> u64 {
    BASE_BYTES.saturating_add(streams(plan).saturating_mul(PACKAGER_STREAM_BYTES))
}

/// For a child that decodes what was made.
pub(crate) fn of_verification(plan: &Plan) -> u64 {
    let largest =
        plan.videos.iter().map(|video| frame_bytes(video.width, video.height, video.bit_depth)).max();
    let frames = largest.unwrap_or_default().saturating_mul(DECODED_FRAMES);
    BASE_BYTES.saturating_add(frames.saturating_mul(SAFETY_FACTOR))
}

fn encoder_bytes(video: &VideoPlan) -> u64 {
    if video.copied().is_some() {
        return 0;
    }
    // the frames of the lookahead, of the references, and of the threads
    let frames = match video.codec {
        VideoCodec::H264 | VideoCodec::Vp9 => 100,
        VideoCodec::H265 => 150,
        VideoCodec::Av1 => 400,
    };
    frame_bytes(video.width, video.height, video.bit_depth).saturating_mul(frames)
}

/// Of a frame in 4:4:4, which is the most.
fn frame_bytes(width: u32, height: u32, depth: u8) -> u64 {
    let samples = u64::from(width) * u64::from(height) * 3;
    if depth > 8 { samples * 2 } else { samples }
}

fn stacks(plan: &Plan) -> u64 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let threads = processors.saturating_mul(THREADS_PER_PROCESSOR).saturating_mul(1 + streams(plan));
    threads.saturating_mul(STACK_BYTES)
}

fn streams(plan: &Plan) -> u64 {
    (plan.videos.len() + plan.audios.len()) as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures;

    #[test]
    fn larger_frames_need_more() {
        let bytes = |width, height, template| {
            let source = fixtures::source(Some(fixtures::video(width, height, "25")), vec![]);
            of_run(&fixtures::plan(template, &source)) / GIB
        };
        let small = bytes(640, 360, json!({"format": "mp4"}));
        let large = bytes(3840, 2160, json!({"format": "mp4"}));
        let largest = bytes(3840, 2160, json!({"format": "mp4", "vcodec": "av1"}));
        assert!(small < 4 && small < large && large < largest && largest < 64, "{small} {large} {largest}");
    }

    #[test]
    fn the_packager_needs_more_for_each_stream() {
        let bytes = |streams| {
            let audios = (1..streams).map(|index| fixtures::audio(index, 2, "")).collect();
            let source = fixtures::source(Some(fixtures::video(640, 360, "25")), audios);
            let plan = fixtures::plan(json!({"format": "hls"}), &source);
            of_packager(&plan)
        };
        assert_eq!(bytes(33) - bytes(2), 31 * PACKAGER_STREAM_BYTES);
    }
}
