//! What the boxes of an MP4 or QuickTime file say beyond what ffprobe tells (ISO/IEC 14496-12): how
//! far into the file its index reaches, whether it is cut into fragments, whether it is encrypted.
//!
//! Everything here comes from an untrusted file: sizes are checked against what is there, and what
//! makes no sense ends the walk without a verdict, since ffprobe judges the file as well.

use std::io::{self, Read, Seek, SeekFrom};

use super::{
    boxes::{child, children, number32, number64},
    interleave,
    sample_table::{is_shown, reach, said, summed, ticks},
};

/// An index is read into memory up to this many bytes.
const MOST_INDEX: u64 = 256 << 20;
/// Milliseconds by which two lengths of a track differ by more than carelessness.
const FAR: u64 = 5000;
/// Boxes at the top that are looked at.
const MOST_BOXES: usize = 10_000;

/// What the boxes say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Boxes {
    /// The scheme of an encrypted track, such as `cenc`.
    pub encrypted: Option<String>,
    /// Whether the samples are indexed by fragments, so that the head vouches for nothing.
    pub fragmented: bool,
    /// Whether there is an index at all.
    pub indexed: bool,
    /// Up to which byte of the file the index names data.
    pub reach: u64,
    /// Milliseconds that a track lasts by its header, and by the times of its samples, where these are far more.
    pub contradiction: Option<(u64, u64)>,
    /// Ticks of a second by a track's header, where FFmpeg takes them for one: it counts them as a positive `int`.
    pub no_clock: Option<u32>,
    /// Seconds by which one track is ahead of another where their data lie side by side; none when that
    /// cannot be said, or when a track's data are not in order.
    /// Only asked of a file that is still arriving.
    pub spread: Option<f64>,
    /// Whether a track is another's chapters, which FFmpeg reads out of their turn.
    pub chapters: bool,
}

/// What the front of a file says that is still arriving.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Front {
    /// Nothing before so many bytes are there.
    Wait(u64),
    /// All of its index.
    Index(Boxes),
    /// That it takes the whole.
    Whole,
}

/// Reads what is there of a file that will have `whole` bytes.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read_front(file: &mut (impl Read + Seek), whole: u64) -> io::Result<Front> {
    let there = file.seek(SeekFrom::End(0))?;
    let mut at = 0_u64;
    for _ in 0..MOST_BOXES {
        let wanted = whole.min(at.saturating_add(HEAD));
        if there < wanted {
            return Ok(Front::Wait(wanted));
        }
        let Some(head) = Head::read(file, at, whole)? else { return Ok(Front::Whole) };
        match &head.kind {
            b"moov" if head.body_length() > MOST_INDEX || head.end > whole => return Ok(Front::Whole),
            b"moov" if head.end > there => return Ok(Front::Wait(head.end)),
            b"moov" => {
                let index = read_body(file, &head)?;
                let mut boxes = Boxes { indexed: true, ..Boxes::default() };
                movie(&index, &mut boxes);
                if boxes.fragmented {
                    return Ok(Front::Whole);
                }
                boxes.spread = interleave::spread(&index);
                return Ok(Front::Index(boxes));
            }
            b"mdat" | b"moof" => return Ok(Front::Whole),
            kind if !FIRST.contains(&kind) => return Ok(Front::Whole),
            _ => at = head.end,
        }
    }
    Ok(Front::Whole)
}

/// Walks a file; none when it is of another kind.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(file: &mut (impl Read + Seek)) -> io::Result<Option<Boxes>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut boxes = Boxes::default();
    let mut at = 0;
    for number in 0..MOST_BOXES {
        let Some(head) = Head::read(file, at, length)? else {
            return Ok((number > 0).then_some(boxes));
        };
        match &head.kind {
            b"moov" if head.body_length() <= MOST_INDEX && head.end <= length => {
                boxes.indexed = true;
                movie(&read_body(file, &head)?, &mut boxes);
            }
            b"moof" => {
                boxes.fragmented = true;
                return Ok(Some(boxes));
            }
            kind if number == 0 && !FIRST.contains(&kind) => return Ok(None),
            _ => {}
        }
        at = head.end;
    }
    Ok(Some(boxes))
}

/// Boxes that such a file begins with.
const FIRST: &[&[u8; 4]] =
    &[b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"uuid", b"sidx", b"junk"];

fn read_body(file: &mut (impl Read + Seek), head: &Head) -> io::Result<Vec<u8>> {
    let mut body = vec![0; usize::try_from(head.body_length()).unwrap_or(0)];
    file.seek(SeekFrom::Start(head.body))?;
    file.read_exact(&mut body)?;
    Ok(body)
}

/// Bytes of the longest head of a box.
const HEAD: u64 = 16;

struct Head {
    kind: [u8; 4],
    body: u64,
    end: u64,
}

impl Head {
    fn read(file: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Option<Self>> {
        if at.checked_add(8).is_none_or(|body| body > length) {
            return Ok(None);
        }
        let mut bytes = [0; 16];
        file.seek(SeekFrom::Start(at))?;
        let there = usize::try_from((length - at).min(HEAD)).unwrap_or(8);
        file.read_exact(&mut bytes[..there])?;
        let short = u64::from(number32(&bytes, 0).unwrap_or(0));
        let kind = [bytes[4], bytes[5], bytes[6], bytes[7]];
        let (body, size) = match short {
            0 if kind == [0; 4] => return Ok(None),
            0 => (at + 8, length - at),
            1 => (at + 16, number64(&bytes, 8).unwrap_or(0)),
            size => (at + 8, size),
        };
        let end = at.saturating_add(size);
        Ok((end >= body && kind.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte == 0xa9))
            .then_some(Self { kind, body, end }))
    }

    fn body_length(&self) -> u64 {
        self.end - self.body
    }
}

fn movie(index: &[u8], boxes: &mut Boxes) {
    for (kind, body) in children(index) {
        match kind {
            b"mvex" => boxes.fragmented = true,
            b"trak" => track(body, boxes),
            _ => {}
        }
    }
}

fn track(body: &[u8], boxes: &mut Boxes) {
    boxes.chapters |= child(body, b"tref").is_some_and(|refers| child(refers, b"chap").is_some());
    let Some(media) = child(body, b"mdia") else { return };
    let Some(table) = child(media, b"minf").and_then(|body| child(body, b"stbl")) else { return };
    if !is_shown(media) {
        return;
    }
    if let Some(scheme) = child(table, b"stsd").and_then(scheme) {
        boxes.encrypted.get_or_insert(scheme);
    }
    boxes.reach = boxes.reach.max(reach(table).unwrap_or(0));
    let header = child(media, b"mdhd");
    let second = header.and_then(ticks).filter(|second| !(1..=i32::MAX as u32).contains(second));
    boxes.no_clock = boxes.no_clock.or(second);
    let lengths = header.and_then(said).zip(child(table, b"stts").and_then(summed));
    if let Some(((second, said), summed)) = lengths {
        let milliseconds = |ticks: u64| (u128::from(ticks) * 1000 / u128::from(second)) as u64;
        let (said, summed) = (milliseconds(said), milliseconds(summed));
        let is_far = said > 0 && summed.saturating_sub(said) > said.max(FAR);
        boxes.contradiction = boxes.contradiction.or(is_far.then_some((said, summed)));
    }
}

/// The protection scheme of encrypted samples: `encv` and `enca` carry it in `sinf/schm`.
fn scheme(descriptions: &[u8]) -> Option<String> {
    let (kind, entry) = children(descriptions.get(8..)?).next()?;
    if kind != b"encv" && kind != b"enca" {
        return None;
    }
    let at = entry.windows(4).position(|window| window == b"schm")?;
    let name = entry.get(at + 8..at + 12).filter(|name| name.iter().all(u8::is_ascii_alphanumeric));
    Some(String::from_utf8_lossy(name.unwrap_or(b"unknown")).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::{
        super::boxes::tests::{boxed, numbers},
        *,
    };

    fn movie_at(offsets: [u32; 2], entry: &[u8; 4]) -> Vec<u8> {
        movie_of(offsets, entry, 100)
    }

    /// Two chunks of two samples each, at these offsets. Each lasts 100 ticks, which are a second; the last one
    /// may do so longer than the header says.
    fn movie_of(offsets: [u32; 2], entry: &[u8; 4], lasts: u32) -> Vec<u8> {
        movie_with(100, offsets, entry, lasts)
    }

    fn movie_with(second: u32, offsets: [u32; 2], entry: &[u8; 4], lasts: u32) -> Vec<u8> {
        let table = [
            boxed(b"stsd", &[numbers(&[0, 1]), boxed(entry, b"....schm\0\0\0\0cenc\0\0")].concat()),
            boxed(b"stts", &numbers(&[0, 2, 3, 100, 1, lasts])),
            boxed(b"stsc", &numbers(&[0, 1, 1, 2, 1])),
            boxed(b"stsz", &numbers(&[0, 0, 4, 10, 20, 30, 40])),
            boxed(b"stco", &numbers(&[0, 2, offsets[0], offsets[1]])),
        ]
        .concat();
        let handler = boxed(b"hdlr", b"\0\0\0\0\0\0\0\0vide\0\0\0\0");
        let header = boxed(b"mdhd", &numbers(&[0, 0, 0, second, 400, 0]));
        let media = [handler, header, boxed(b"minf", &boxed(b"stbl", &table))].concat();
        boxed(b"moov", &boxed(b"trak", &boxed(b"mdia", &media)))
    }

    fn read_bytes(bytes: &[u8]) -> Option<Boxes> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        read(&mut file).expect("readable")
    }

    #[test]
    fn the_index_names_its_last_byte() {
        let file = [boxed(b"ftyp", b"isom"), movie_at([500, 100], b"avc1")].concat();
        let boxes = read_bytes(&file).expect("boxes");
        assert_eq!(boxes, Boxes { indexed: true, reach: 530, ..Boxes::default() });
    }

    #[rstest]
    #[case(500, None)]
    #[case(800, Some((4000, 11_000)))]
    #[case(102_400, Some((4000, 1_027_000)))]
    #[case(u32::MAX, None)]
    fn an_index_that_contradicts_its_header(#[case] lasts: u32, #[case] contradiction: Option<(u64, u64)>) {
        let file = [boxed(b"ftyp", b"isom"), movie_of([0, 0], b"avc1", lasts)].concat();
        assert_eq!(read_bytes(&file).expect("boxes").contradiction, contradiction);
    }

    #[rstest]
    #[case(1, None)]
    #[case(0x7fff_ffff, None)]
    #[case(0, Some(0))]
    #[case(0x8000_0000, Some(0x8000_0000))]
    fn a_clock_that_ffmpeg_does_not_take(#[case] second: u32, #[case] no_clock: Option<u32>) {
        let file = [boxed(b"ftyp", b"isom"), movie_with(second, [0, 0], b"avc1", 100)].concat();
        assert_eq!(read_bytes(&file).expect("boxes").no_clock, no_clock);
    }

    #[test]
    fn encryption_is_named() {
        let file = [boxed(b"ftyp", b"isom"), movie_at([0, 0], b"encv")].concat();
        assert_eq!(read_bytes(&file).and_then(|boxes| boxes.encrypted).as_deref(), Some("cenc"));
    }

    #[test]
    fn fragments_are_seen() {
        let file = [boxed(b"ftyp", b"isom"), boxed(b"moov", b""), boxed(b"moof", b"")].concat();
        assert!(read_bytes(&file).expect("boxes").fragmented);
        let file = [boxed(b"ftyp", b"isom"), boxed(b"moov", &boxed(b"mvex", b""))].concat();
        assert!(read_bytes(&file).expect("boxes").fragmented);
    }

    #[test]
    fn other_files_have_no_boxes() {
        assert_eq!(read_bytes(b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00"), None);
        assert_eq!(read_bytes(b""), None);
    }

    fn front(there: &[u8], whole: u64) -> Front {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(there).expect("written");
        read_front(&mut file, whole).expect("readable")
    }

    #[test]
    fn an_index_in_front_is_read_as_soon_as_it_is_there() {
        let file =
            [boxed(b"ftyp", b"isom"), movie_at([500, 1000], b"avc1"), boxed(b"mdat", &[0; 50])].concat();
        let (end, whole) = (file.len() as u64 - 58, file.len() as u64);
        assert_eq!(front(b"", whole), Front::Wait(16));
        assert_eq!(front(&file[..16], whole), Front::Wait(28));
        assert_eq!(front(&file[..30], whole), Front::Wait(end));
        let Front::Index(boxes) = front(&file[..end as usize], whole) else { panic!("it is there") };
        assert_eq!(boxes.spread, Some(0.0));
        assert_eq!(Some(Boxes { spread: None, ..boxes }), read_bytes(&file));
    }

    #[rstest]
    #[case::data_first(&[boxed(b"mdat", b""), boxed(b"moov", b"")])]
    #[case::fragments(&[boxed(b"moof", b"")])]
    #[case::longer_than_the_file(&[vec![0, 0, 9, 9], b"moov".to_vec()])]
    #[case::a_fragmented_one(&[boxed(b"moov", &boxed(b"mvex", b""))])]
    #[case::endless(&[[&[0, 0, 0, 1][..], b"free", &[0xff; 8]].concat()])]
    #[case::nothing(&[])]
    fn all_else_takes_the_whole(#[case] boxes: &[Vec<u8>]) {
        let file = [boxed(b"ftyp", b"isom"), boxes.concat()].concat();
        assert_eq!(front(&file, file.len() as u64), Front::Whole);
        assert_eq!(front(b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\0\0\0\0\0", 99), Front::Whole);
    }

    proptest! {
        #[test]
        fn any_front_is_read(bytes in prop::collection::vec(any::<u8>(), 0..300), more in 0_u64..300) {
            let file = [boxed(b"ftyp", b"isom"), bytes].concat();
            front(&file, file.len() as u64 + more);
        }

        #[test]
        fn any_bytes_are_walked(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_bytes(&[boxed(b"ftyp", b"isom"), bytes].concat());
        }

        #[test]
        fn any_damage_is_walked(at in 0_usize..260, value in any::<u8>(), cut in 0_usize..260) {
            let mut file = [boxed(b"ftyp", b"isom"), movie_at([500, 100], b"avc1")].concat();
            let at = at % file.len();
            file[at] = value;
            file.truncate(file.len() - cut % file.len());
            let _ = read_bytes(&file);
        }
    }
}
