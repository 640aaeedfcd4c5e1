//! Which streams are used: the best real video, and the audio that goes with it.

use model::Rational;

use super::{
    described::{FfprobeOutput, Stream},
    packets::PacketStats,
};
use crate::source::Orientation;

/// Sample aspect ratios beyond this, or below its inverse, are not believed.
const MAX_SAMPLE_ASPECT: f64 = 16.0;

/// Streams of video, best first: not cover art, not a single frame beside a longer stream; those that
/// ffprobe has decoded before others, the default before others, large before small.
pub(super) fn video_candidates<'d>(described: &'d FfprobeOutput, packets: &PacketStats) -> Vec<&'d Stream> {
    let frames = |stream: &Stream| {
        let counted = packets.streams.get(&stream.index).map(|track| track.count);
        counted.or(stream.frames).unwrap_or(2)
    };
    let mut videos: Vec<_> = described
        .streams
        .iter()
        .filter(|stream| stream.kind == "video" && !stream.is_attached_image && has_known_codec(stream))
        .filter(|stream| stream.width > 0 && stream.height > 0)
        .collect();
    videos.sort_by_key(|stream| {
        let pixels = u64::from(stream.width) * u64::from(stream.height);
        let is_single_frame = frames(stream) < 2;
        let was_not_decoded = stream.pixel_format.is_empty();
        let rank = (is_single_frame, was_not_decoded, !stream.is_default);
        (rank, std::cmp::Reverse(pixels), stream.index)
    });
    videos
}

/// Streams of audio, the default first; where there are programs, only those of the video's program.
pub(super) fn audio_candidates<'d>(described: &'d FfprobeOutput, video: Option<&Stream>) -> Vec<&'d Stream> {
    let program =
        video.and_then(|video| described.programs.iter().find(|program| program.contains(&video.index)));
    let mut audios: Vec<_> = described
        .streams
        .iter()
        .filter(|stream| stream.kind == "audio" && has_known_codec(stream))
        .filter(|stream| program.is_none_or(|program| program.contains(&stream.index)))
        .collect();
    audios.sort_by_key(|stream| (!stream.is_default, stream.index));
    audios
}

/// Whether an audio stream has to be decoded before it is relied on: its codec is rare, or its parameters
/// are missing.
pub(super) fn needs_trial_decode(audio: &Stream) -> bool {
    const COMMON_CODECS: &[&str] = &[
        "aac", "mp3", "mp2", "mp1", "ac3", "eac3", "opus", "vorbis", "flac", "alac", "wmav1", "wmav2",
        "amr_nb", "amr_wb", "dts", "truehd",
    ];
    let is_common = COMMON_CODECS.contains(&audio.codec.as_str()) || audio.codec.starts_with("pcm_");
    !is_common || audio.sample_rate == 0 || audio.channels == 0
}

fn has_known_codec(stream: &Stream) -> bool {
    !matches!(stream.codec.as_str(), "" | "none" | "unknown")
}

/// The codec of the first stream of a kind, `video` or `audio`, where none of them was chosen: by FFmpeg's
/// name, else by the container's.
pub(super) fn undecodable_codec(described: &FfprobeOutput, kind: &str) -> Option<String> {
    let stream = described.streams.iter().find(|stream| stream.kind == kind && !stream.is_attached_image)?;
    Some(if has_known_codec(stream) { stream.codec.clone() } else { stream.tag.clone() })
}

/// What shows a video upright, from where its display matrix puts the axes (ISO/IEC 14496-12, 8.3.2): (x,
/// y) goes to (a·x + c·y, b·x + d·y), y pointing down.
pub(super) fn orientation(matrix: Option<[i64; 4]>) -> Orientation {
    let Some([a, b, c, d]) = matrix.map(|matrix| matrix.map(i128::from)) else {
        return Orientation::default();
    };
    // the mirror comes before the turn and leaves the vertical axis alone, so that one tells the turn
    let quarters = match (c.abs() > d.abs(), c > 0, d > 0) {
        (true, false, _) => 1,
        (true, true, _) => 3,
        (false, _, false) if d != 0 => 2,
        _ => 0,
    };
    Orientation { quarters, mirrored: a * d - b * c < 0 }
}

/// The sample aspect ratio where it can be believed, else 1.
pub(super) fn sample_aspect(stream: &Stream) -> Rational {
    stream
        .sample_aspect
        .filter(|aspect| (1.0 / MAX_SAMPLE_ASPECT..=MAX_SAMPLE_ASPECT).contains(&aspect.as_f64()))
        .unwrap_or(Rational::whole(1))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn video(index: u32, width: u32, frames: u64) -> Stream {
        Stream {
            index,
            kind: "video".to_owned(),
            codec: "h264".to_owned(),
            pixel_format: "yuv420p".to_owned(),
            width,
            height: width,
            frames: Some(frames),
            ..Stream::default()
        }
    }

    fn audio(index: u32, is_default: bool) -> Stream {
        Stream { index, kind: "audio".to_owned(), codec: "aac".to_owned(), is_default, ..Stream::default() }
    }

    fn indices(streams: &[&Stream]) -> Vec<u32> {
        streams.iter().map(|stream| stream.index).collect()
    }

    #[test]
    fn a_large_single_frame_and_cover_art_are_no_video() {
        let cover = Stream { is_attached_image: true, ..video(2, 3000, 1) };
        let streams = vec![video(0, 1024, 58), video(1, 2048, 1), cover];
        let described = FfprobeOutput { streams, ..FfprobeOutput::default() };
        assert_eq!(indices(&video_candidates(&described, &PacketStats::default())), [0, 1]);
    }

    #[test]
    fn the_default_goes_before_the_largest() {
        let small = Stream { is_default: true, ..video(3, 320, 10) };
        let described = FfprobeOutput { streams: vec![video(0, 640, 10), small], ..FfprobeOutput::default() };
        assert_eq!(indices(&video_candidates(&described, &PacketStats::default())), [3, 0]);
    }

    #[test]
    fn audios_of_other_programmes_are_left_out() {
        let described = FfprobeOutput {
            streams: vec![video(0, 640, 10), audio(1, false), audio(2, true), audio(3, true)],
            programs: vec![vec![0, 1, 2], vec![3]],
            ..FfprobeOutput::default()
        };
        assert_eq!(indices(&audio_candidates(&described, Some(&described.streams[0]))), [2, 1]);
        assert_eq!(indices(&audio_candidates(&described, None)), [2, 3, 1]);
    }

    #[test]
    fn what_is_not_known_goes_by_its_tag() {
        let strange = Stream { codec: String::new(), tag: "ovc1".to_owned(), ..video(1, 640, 10) };
        let cover = Stream { is_attached_image: true, ..video(0, 640, 1) };
        let described = FfprobeOutput { streams: vec![cover, strange], ..FfprobeOutput::default() };
        assert_eq!(video_candidates(&described, &PacketStats::default()), [] as [&Stream; 0]);
        assert_eq!(undecodable_codec(&described, "video").as_deref(), Some("ovc1"));
        assert_eq!(undecodable_codec(&described, "audio"), None);
    }

    #[rstest]
    #[case([65536, 0, 0, 65536], 0, false)]
    #[case([0, 65536, -65536, 0], 1, false)]
    #[case([-65536, 0, 0, -65536], 2, false)]
    #[case([0, -65536, 65536, 0], 3, false)]
    #[case([-65536, 0, 0, 65536], 0, true)]
    #[case([0, -65536, -65536, 0], 1, true)]
    #[case([65536, 0, 0, -65536], 2, true)]
    #[case([0, 65536, 65536, 0], 3, true)]
    #[case([0, 0, 0, 0], 0, false)]
    fn matrices(#[case] matrix: [i64; 4], #[case] quarters: u8, #[case] mirrored: bool) {
        assert_eq!(orientation(Some(matrix)), Orientation { quarters, mirrored });
    }
}
