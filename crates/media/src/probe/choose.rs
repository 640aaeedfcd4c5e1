//! Which streams count: the best real picture, and the sounds that go with it.

use model::Rational;

use super::{
    described::{Described, Stream},
    packets::Packets,
};
use crate::Orientation;

/// Sample aspect ratios beyond this, or its inverse, are not believed.
const STRANGEST_ASPECT: f64 = 16.0;

/// Real pictures, best first: not cover art, not one frame beside a longer one; what can be decoded
/// before what cannot be said, the default before others, large before small.
pub(super) fn pictures<'d>(described: &'d Described, packets: &Packets) -> Vec<&'d Stream> {
    let frames = |stream: &Stream| {
        let counted = packets.streams.get(&stream.index).map(|track| track.count);
        counted.or(stream.frames).unwrap_or(2)
    };
    let mut pictures: Vec<_> = described
        .streams
        .iter()
        .filter(|stream| stream.kind == "video" && !stream.is_still && is_known(stream))
        .filter(|stream| stream.width > 0 && stream.height > 0)
        .collect();
    pictures.sort_by_key(|stream| {
        let area = u64::from(stream.width) * u64::from(stream.height);
        let worse = (frames(stream) < 2, stream.pixel_format.is_empty(), !stream.is_default);
        (worse, std::cmp::Reverse(area), stream.index)
    });
    pictures
}

/// Sounds that may be used, the default first; those of the picture's programme alone, where there
/// are programmes.
pub(super) fn sounds<'d>(described: &'d Described, picture: Option<&Stream>) -> Vec<&'d Stream> {
    let programme = picture
        .and_then(|picture| described.programs.iter().find(|programme| programme.contains(&picture.index)));
    let mut sounds: Vec<_> = described
        .streams
        .iter()
        .filter(|stream| stream.kind == "audio" && is_known(stream))
        .filter(|stream| programme.is_none_or(|programme| programme.contains(&stream.index)))
        .collect();
    sounds.sort_by_key(|stream| (!stream.is_default, stream.index));
    sounds
}

/// Whether a sound has to be tried before it is relied on.
pub(super) fn is_doubtful(sound: &Stream) -> bool {
    const SURE: &[&str] = &[
        "aac", "mp3", "mp2", "mp1", "ac3", "eac3", "opus", "vorbis", "flac", "alac", "wmav1", "wmav2",
        "amr_nb", "amr_wb", "dts", "truehd",
    ];
    let sure = SURE.contains(&sound.codec.as_str()) || sound.codec.starts_with("pcm_");
    !sure || sound.sample_rate == 0 || sound.channels == 0
}

fn is_known(stream: &Stream) -> bool {
    !matches!(stream.codec.as_str(), "" | "none" | "unknown")
}

/// What a file has of a kind, `video` or `audio`, where none of it was chosen: the codec, else what the
/// container calls it.
pub(super) fn undecoded(described: &Described, kind: &str) -> Option<String> {
    let stream = described.streams.iter().find(|stream| stream.kind == kind && !stream.is_still)?;
    Some(if is_known(stream) { stream.codec.clone() } else { stream.tag.clone() })
}

/// What shows a picture upright, from where its display matrix puts the axes (ISO/IEC 14496-12,
/// 8.3.2): (x, y) goes to (a·x + c·y, b·x + d·y), y pointing down.
pub(super) fn turn(matrix: Option<[i64; 4]>) -> Orientation {
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

/// The sample aspect ratio where it is sound, else 1.
pub(super) fn sample_aspect(stream: &Stream) -> Rational {
    stream
        .sample_aspect
        .filter(|aspect| (1.0 / STRANGEST_ASPECT..=STRANGEST_ASPECT).contains(&aspect.as_f64()))
        .unwrap_or(Rational::whole(1))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn picture(index: u32, width: u32, frames: u64) -> Stream {
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

    fn sound(index: u32, is_default: bool) -> Stream {
        Stream { index, kind: "audio".to_owned(), codec: "aac".to_owned(), is_default, ..Stream::default() }
    }

    fn indices(streams: &[&Stream]) -> Vec<u32> {
        streams.iter().map(|stream| stream.index).collect()
    }

    #[test]
    fn a_large_single_frame_and_cover_art_are_no_picture() {
        let cover = Stream { is_still: true, ..picture(2, 3000, 1) };
        let streams = vec![picture(0, 1024, 58), picture(1, 2048, 1), cover];
        let described = Described { streams, ..Described::default() };
        assert_eq!(indices(&pictures(&described, &Packets::default())), [0, 1]);
    }

    #[test]
    fn the_default_goes_before_the_largest() {
        let small = Stream { is_default: true, ..picture(3, 320, 10) };
        let described = Described { streams: vec![picture(0, 640, 10), small], ..Described::default() };
        assert_eq!(indices(&pictures(&described, &Packets::default())), [3, 0]);
    }

    #[test]
    fn sounds_of_other_programmes_are_left_out() {
        let described = Described {
            streams: vec![picture(0, 640, 10), sound(1, false), sound(2, true), sound(3, true)],
            programs: vec![vec![0, 1, 2], vec![3]],
            ..Described::default()
        };
        assert_eq!(indices(&sounds(&described, Some(&described.streams[0]))), [2, 1]);
        assert_eq!(indices(&sounds(&described, None)), [2, 3, 1]);
    }

    #[test]
    fn what_is_not_known_goes_by_its_tag() {
        let strange = Stream { codec: String::new(), tag: "ovc1".to_owned(), ..picture(1, 640, 10) };
        let cover = Stream { is_still: true, ..picture(0, 640, 1) };
        let described = Described { streams: vec![cover, strange], ..Described::default() };
        assert_eq!(pictures(&described, &Packets::default()), [] as [&Stream; 0]);
        assert_eq!(undecoded(&described, "video").as_deref(), Some("ovc1"));
        assert_eq!(undecoded(&described, "audio"), None);
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
        assert_eq!(turn(Some(matrix)), Orientation { quarters, mirrored });
    }
}
