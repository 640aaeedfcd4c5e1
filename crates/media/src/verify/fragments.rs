//! The boxes of fragmented MP4 (ISO/IEC 14496-12) as CMAF (ISO/IEC 23000-19) cuts them: what a player
//! relies on that joins at any segment. Read from the bytes; flags of keyframes are not believed.

use std::{fs::File, os::unix::fs::FileExt as _};

use super::listing::Track;
use crate::{
    PictureCodec,
    probe::boxes::{child, children, number32, number64},
};

/// Bytes of a box that is read into memory: a movie's, or a fragment's with a sample for each frame.
const MOST_BOX: u64 = 64 << 20;
/// Boxes of one file that are looked at.
const MOST_BOXES: usize = 10_000;

/// Looks at every segment of a track; says what is wrong.
pub(super) fn check(track: &Track, picture: Option<PictureCodec>) -> Result<(), String> {
    let Some(init) = &track.init else { return Err("has no initialization segment".to_owned()) };
    let defaults = Boxes::open(&init.path, init.bytes).and_then(|boxes| boxes.initialization());
    let default_duration = defaults.map_err(|problem| format!("its initialization segment {problem}"))?;
    let mut clock = Clock { default_duration, ..Clock::default() };
    for (index, segment) in track.segments.iter().enumerate() {
        Boxes::open(&segment.piece.path, segment.piece.bytes)
            .and_then(|boxes| boxes.segment(&mut clock, picture))
            .map_err(|problem| format!("segment {} {problem}", index + 1))?;
    }
    Ok(())
}

/// Where a track stands after the fragments so far.
#[derive(Default)]
struct Clock {
    /// Ticks of a sample of which nothing is said.
    default_duration: u32,
    /// The number of the last fragment.
    number: Option<u32>,
    /// Ticks at which the next one begins.
    next: Option<u64>,
}

impl Clock {
    /// Fragments are numbered upwards (ISO/IEC 14496-12, 8.8.5), and each begins where the one before
    /// it ends (CMAF, 7.3.2.2).
    fn advance(&mut self, fragment: &Fragment) -> Result<(), String> {
        let Fragment { number, begins, lasts, .. } = *fragment;
        if self.number.is_some_and(|last| number <= last) {
            return Err(format!("has fragment {number} after {}", self.number.unwrap_or_default()));
        }
        if self.next.is_some_and(|next| next != begins) {
            let next = self.next.unwrap_or_default();
            return Err(format!("begins at {begins} ticks, and the one before it ends at {next}"));
        }
        (self.number, self.next) = (Some(number), Some(begins + lasts));
        Ok(())
    }
}

/// What is read of a `moof`.
struct Fragment {
    number: u32,
    begins: u64,
    lasts: u64,
    /// Bytes from the start of the `moof` to the first sample.
    first_sample: u64,
}

/// The top boxes of a file, and the file.
struct Boxes {
    file: File,
    /// Kind, start, and bytes with the header.
    top: Vec<([u8; 4], u64, u64)>,
}

impl Boxes {
    fn open(path: &std::path::Path, length: u64) -> Result<Self, String> {
        let unreadable = |error| format!("cannot be read: {error}");
        let file = File::open(path).map_err(unreadable)?;
        let (mut top, mut at) = (Vec::new(), 0);
        while at < length && top.len() < MOST_BOXES {
            let mut head = [0; 8];
            file.read_exact_at(&mut head, at).map_err(unreadable)?;
            let size = u64::from(number32(&head, 0).unwrap_or_default());
            if size < 8 || at + size > length {
                return Err(format!("has a box at byte {at} that does not end in it"));
            }
            top.push(([head[4], head[5], head[6], head[7]], at, size));
            at += size;
        }
        Ok(Self { file, top })
    }

    fn body(&self, (kind, at, size): ([u8; 4], u64, u64)) -> Result<Vec<u8>, String> {
        let name = String::from_utf8_lossy(&kind).into_owned();
        if size > MOST_BOX {
            return Err(format!("has a `{name}` of {size} bytes"));
        }
        let mut body = vec![0; usize::try_from(size - 8).unwrap_or_default()];
        self.file.read_exact_at(&mut body, at + 8).map_err(|error| format!("cannot be read: {error}"))?;
        Ok(body)
    }

    /// `ftyp`, then `moov` with one track that is continued in fragments, and no samples (CMAF,
    /// 7.3.1). Gives the ticks of a sample of which nothing is said.
    fn initialization(&self) -> Result<u32, String> {
        if self.top.first().is_none_or(|(kind, ..)| kind != b"ftyp") {
            return Err("does not begin with `ftyp`".to_owned());
        }
        if self.top.iter().any(|(kind, ..)| kind == b"mdat" || kind == b"moof") {
            return Err("holds samples".to_owned());
        }
        let movie = self.top.iter().find(|(kind, ..)| kind == b"moov").ok_or("has no `moov`")?;
        let movie = self.body(*movie)?;
        let tracks = children(&movie).filter(|(kind, _)| *kind == b"trak").count();
        if tracks != 1 {
            return Err(format!("has {tracks} tracks, not 1"));
        }
        let continued = child(&movie, b"mvex").and_then(|body| child(body, b"trex"));
        let defaults = continued.ok_or("does not say that fragments follow (`mvex`)")?;
        Ok(number32(defaults, 12).unwrap_or_default())
    }

    /// Each `moof` is followed by its `mdat`, and nothing else is there but what may be (CMAF, 7.3.2);
    /// the first sample of a picture can be decoded without any other.
    fn segment(&self, clock: &mut Clock, picture: Option<PictureCodec>) -> Result<(), String> {
        let mut fragments = 0;
        for (index, entry) in self.top.iter().enumerate() {
            match &entry.0 {
                b"moof" => {}
                b"mdat" if index > 0 && &self.top[index - 1].0 == b"moof" => continue,
                b"styp" | b"sidx" | b"emsg" | b"prft" | b"free" => continue,
                other => return Err(format!("has a `{}` out of place", String::from_utf8_lossy(other))),
            }
            if self.top.get(index + 1).is_none_or(|(kind, ..)| kind != b"mdat") {
                return Err("has a `moof` without its `mdat`".to_owned());
            }
            let fragment = fragment(&self.body(*entry)?, clock.default_duration)
                .ok_or("has a `moof` that is not one track's with its time (`traf`, `tfdt`, `trun`)")?;
            clock.advance(&fragment)?;
            if fragments == 0
                && let Some(codec) = picture
                && !self.stands_alone(codec, entry.1 + fragment.first_sample)
            {
                return Err("does not begin with a picture that can be decoded alone".to_owned());
            }
            fragments += 1;
        }
        if fragments == 0 { Err("has no `moof`".to_owned()) } else { Ok(()) }
    }

    /// Whether the sample at this byte is a picture that refers to no other.
    fn stands_alone(&self, codec: PictureCodec, at: u64) -> bool {
        match codec {
            PictureCodec::H264 => self.first_picture(at, |nal| match nal[0] & 0x1f {
                5 => Some(true),
                1..=4 => Some(false),
                _ => None,
            }),
            PictureCodec::H265 => self.first_picture(at, |nal| match (nal[0] >> 1) & 0x3f {
                // IDR, or a broken link: what follows refers to nothing before
                16..=20 => Some(true),
                0..=31 => Some(false),
                _ => None,
            }),
            PictureCodec::Av1 => self.av1_begins(at),
            // frame marker 2, profile, then neither a repeated nor an inter frame (VP9, 6.2)
            PictureCodec::Vp9 => self.byte(at).is_some_and(|byte| {
                let in_profile_3 = u32::from(byte >> 4 & 3 == 3);
                byte >> 6 == 2 && (byte << (4 + in_profile_3)) >> 6 == 0
            }),
        }
    }

    /// Walks units with their length before them (ISO/IEC 14496-15) to the first that `decides`.
    fn first_picture(&self, mut at: u64, decides: impl Fn([u8; 2]) -> Option<bool>) -> bool {
        for _ in 0..MOST_BOXES {
            let mut head = [0; 6];
            if self.file.read_exact_at(&mut head, at).is_err() {
                return false;
            }
            if let Some(decided) = decides([head[4], head[5]]) {
                return decided;
            }
            at += 4 + u64::from(number32(&head, 0).unwrap_or_default());
        }
        false
    }

    /// Walks OBUs (AV1, 5.3) to the first frame: a key frame that is shown.
    fn av1_begins(&self, mut at: u64) -> bool {
        for _ in 0..MOST_BOXES {
            let Some(head) = self.byte(at) else { return false };
            let (kind, has_extension, has_size) = (head >> 3 & 15, head >> 2 & 1, head >> 1 & 1);
            at += 1 + u64::from(has_extension);
            let mut size = 0;
            for byte in 0..8 * has_size {
                let Some(next) = self.byte(at) else { return false };
                size |= u64::from(next & 0x7f) << (7 * byte);
                at += 1;
                if next & 0x80 == 0 {
                    break;
                }
            }
            match kind {
                // a frame, or its header: not one shown again, of type 0, and shown
                3 | 6 => return self.byte(at).is_some_and(|byte| byte >> 4 == 1),
                _ => at += size,
            }
        }
        false
    }

    fn byte(&self, at: u64) -> Option<u8> {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, at).ok().map(|()| byte[0])
    }
}

/// Flags of `tfhd` and `trun` (ISO/IEC 14496-12, 8.8.7 and 8.8.8).
const BASE_DATA_OFFSET: u32 = 0x1;
const DESCRIPTION_INDEX: u32 = 0x2;
const DEFAULT_DURATION: u32 = 0x8;
const DATA_OFFSET: u32 = 0x1;
const FIRST_SAMPLE_FLAGS: u32 = 0x4;
/// Duration, size, flags and time offset of each sample.
const OF_SAMPLES: [u32; 4] = [0x100, 0x200, 0x400, 0x800];

/// One track's fragment, whose offsets count from the start of its `moof`.
fn fragment(body: &[u8], default_duration: u32) -> Option<Fragment> {
    let number = number32(child(body, b"mfhd")?, 4)?;
    let mut tracks = children(body).filter(|(kind, _)| *kind == b"traf").map(|(_, body)| body);
    let (Some(track), None) = (tracks.next(), tracks.next()) else { return None };
    let header = child(track, b"tfhd")?;
    let flags = number32(header, 0)?;
    if flags & BASE_DATA_OFFSET != 0 {
        return None;
    }
    let default = match flags & DEFAULT_DURATION {
        0 => default_duration,
        _ => number32(header, if flags & DESCRIPTION_INDEX == 0 { 8 } else { 12 })?,
    };
    let time = child(track, b"tfdt")?;
    let begins = if time.first()? == &1 { number64(time, 4)? } else { u64::from(number32(time, 4)?) };
    let mut fragment = Fragment { number, begins, lasts: 0, first_sample: 0 };
    for (nth, (_, run)) in children(track).filter(|(kind, _)| *kind == b"trun").enumerate() {
        let (flags, count) = (number32(run, 0)?, number32(run, 4)?);
        let mut at = 8;
        if flags & DATA_OFFSET != 0 {
            if nth == 0 {
                fragment.first_sample = u64::from(number32(run, at)?);
            }
            at += 4;
        }
        if flags & FIRST_SAMPLE_FLAGS != 0 {
            at += 4;
        }
        let width = 4 * OF_SAMPLES.iter().filter(|flag| flags & **flag != 0).count();
        for sample in 0..count as usize {
            let own = flags & OF_SAMPLES[0] != 0;
            let ticks = if own { number32(run, at + sample * width)? } else { default };
            fragment.lasts += u64::from(ticks);
        }
    }
    (fragment.lasts > 0 && fragment.first_sample > 0).then_some(fragment)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::verify::listing::{Claims, Piece, Planned, Segment, Wrapping};

    fn boxed(kind: &str, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).expect("small");
        [&size.to_be_bytes()[..], kind.as_bytes(), body].concat()
    }

    fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    /// A track of two segments with two samples of 100 ticks each.
    #[derive(Clone)]
    struct Output {
        init: Vec<u8>,
        first: Vec<u8>,
        second: Vec<u8>,
    }

    /// A segment with this number, time and first bytes of its first sample.
    fn segment(number: u32, begins: u32, sample: &[u8]) -> Vec<u8> {
        let run = |offset: u32| boxed("trun", &numbers(&[DATA_OFFSET | 0x100, 2, offset, 100, 100]));
        let parts = |offset: u32| {
            let track =
                [boxed("tfhd", &numbers(&[0x2_0000, 1])), boxed("tfdt", &numbers(&[0, begins])), run(offset)];
            boxed("moof", &[boxed("mfhd", &numbers(&[0, number])), boxed("traf", &track.concat())].concat())
        };
        let moof = parts(u32::try_from(parts(1).len() + 8).expect("small"));
        [boxed("styp", b"msdh"), moof, boxed("mdat", sample)].concat()
    }

    const IDR: &[u8] = &[0, 0, 0, 2, 9, 0, 0, 0, 0, 2, 0x65, 0];

    impl Output {
        fn right() -> Self {
            let movie = [boxed("trak", b""), boxed("mvex", &boxed("trex", &numbers(&[0, 1, 1, 100, 0, 0])))];
            let init = [boxed("ftyp", b"iso6"), boxed("moov", &movie.concat())].concat();
            Self { init, first: segment(1, 0, IDR), second: segment(2, 200, IDR) }
        }

        fn check(&self, picture: Option<PictureCodec>) -> Result<(), String> {
            let folder = tempfile::tempdir().expect("a folder");
            let piece = |name: &str, bytes: &[u8]| {
                std::fs::write(folder.path().join(name), bytes).expect("written");
                Piece { path: folder.path().join(name), bytes: bytes.len() as u64 }
            };
            let segment = |piece| Segment { piece, seconds: None, start: None };
            check(
                &Track {
                    name: "360p".to_owned(),
                    planned: vec![Planned::Video(0)],
                    wrapping: Wrapping::Fragments,
                    init: Some(piece("init.mp4", &self.init)),
                    segments: vec![segment(piece("1", &self.first)), segment(piece("2", &self.second))],
                    claims: Claims::default(),
                    i_frames: Vec::new(),
                },
                picture,
            )
        }
    }

    #[test]
    fn what_is_right_is_agreed_to() {
        assert_eq!(Output::right().check(Some(PictureCodec::H264)), Ok(()));
        assert_eq!(Output::right().check(None), Ok(()));
    }

    fn renamed(bytes: &mut [u8], from: &str, to: &str) {
        let at = bytes.windows(4).position(|kind| kind == from.as_bytes()).expect("it is there");
        bytes[at..at + 4].copy_from_slice(to.as_bytes());
    }

    #[rstest]
    #[case::no_type(|o: &mut Output| renamed(&mut o.init, "ftyp", "free"), "initialization segment does not begin with `ftyp`")]
    #[case::two_tracks(|o: &mut Output| { let all = [boxed("trak", b""), boxed("trak", b"")].concat(); o.init = [boxed("ftyp", b""), boxed("moov", &all)].concat(); }, "has 2 tracks")]
    #[case::not_continued(|o: &mut Output| renamed(&mut o.init, "mvex", "free"), "does not say that fragments follow")]
    #[case::samples(|o: &mut Output| o.init.extend(boxed("mdat", b"x")), "initialization segment holds samples")]
    #[case::cut_off(|o: &mut Output| { o.second.pop(); }, "segment 2 has a box at byte")]
    #[case::no_fragment(|o: &mut Output| o.second = boxed("styp", b"msdh"), "segment 2 has no `moof`")]
    #[case::no_samples(|o: &mut Output| renamed(&mut o.second, "mdat", "free"), "without its `mdat`")]
    #[case::a_movie(|o: &mut Output| renamed(&mut o.second, "styp", "moov"), "has a `moov` out of place")]
    #[case::no_time(|o: &mut Output| renamed(&mut o.second, "tfdt", "free"), "is not one track's with its time")]
    #[case::number(|o: &mut Output| o.second = segment(1, 200, IDR), "segment 2 has fragment 1 after 1")]
    #[case::gap(|o: &mut Output| o.second = segment(2, 201, IDR), "begins at 201 ticks, and the one before it ends at 200")]
    #[case::overlap(|o: &mut Output| o.second = segment(2, 199, IDR), "begins at 199 ticks")]
    #[case::no_key(|o: &mut Output| o.second = segment(2, 200, &[0, 0, 0, 2, 0x41, 0]), "segment 2 does not begin with a picture that can be decoded alone")]
    fn what_is_wrong_is_refused(#[case] change: fn(&mut Output), #[case] words: &str) {
        let mut output = Output::right();
        change(&mut output);
        let problem = output.check(Some(PictureCodec::H264)).expect_err("refused");
        assert!(problem.contains(words), "{problem}");
    }

    #[rstest]
    #[case::idr(PictureCodec::H265, &[0, 0, 0, 2, 0x40, 1, 0, 0, 0, 2, 0x26, 1], true)]
    #[case::cra(PictureCodec::H265, &[0, 0, 0, 2, 0x2a, 1], false)]
    #[case::trail(PictureCodec::H265, &[0, 0, 0, 2, 0x02, 1], false)]
    #[case::key(PictureCodec::Av1, &[0x12, 0, 0x0a, 1, 0xff, 0x32, 2, 0x10, 0], true)]
    #[case::inter(PictureCodec::Av1, &[0x12, 0, 0x32, 2, 0x30, 0], false)]
    #[case::shown_again(PictureCodec::Av1, &[0x12, 0, 0x1a, 1, 0x80], false)]
    #[case::key(PictureCodec::Vp9, &[0x82], true)]
    #[case::inter(PictureCodec::Vp9, &[0x86], false)]
    #[case::key_of_ten_bits(PictureCodec::Vp9, &[0x92], true)]
    #[case::shown_again(PictureCodec::Vp9, &[0x88], false)]
    fn pictures_that_stand_alone(#[case] codec: PictureCodec, #[case] sample: &[u8], #[case] alone: bool) {
        let output = Output { second: segment(2, 200, sample), ..Output::right() };
        let output = Output { first: segment(1, 0, sample), ..output };
        assert_eq!(output.check(Some(codec)).is_ok(), alone);
    }
}
