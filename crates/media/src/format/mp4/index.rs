//! The index (`moov`) of an MP4 or QuickTime file (ISO/IEC 14496-12), as far as it tells more than ffprobe
//! does: up to which byte of the file it names data, whether samples are in movie fragments, whether they
//! are encrypted.
//!
//! Everything here comes from an untrusted file. Sizes are checked against what is there; what makes no
//! sense ends the reading without a verdict, since ffprobe judges the file as well.

use std::io::{self, Read, Seek, SeekFrom};

use super::{
    boxes::{BoxHeader, MAX_HEADER_BYTES, child, children},
    interleave::max_interleave_gap,
    sample_table::{
        duration_of_samples, is_video_or_audio, last_indexed_byte, timescale, timescale_and_duration,
    },
};

/// Bytes of a `moov`, which is read into memory: 12 h of video of 60 frames a second with audio have 40 MB.
pub(crate) const MAX_MOOV_BYTES: u64 = model::limits::MAX_MOOV_BYTES as u64;
/// Boxes of the top level that are read.
const MAX_TOP_LEVEL_BOXES: usize = 10_000;
/// Milliseconds by which two durations of a track may differ by carelessness.
const DURATION_TOLERANCE_MILLIS: u64 = 5000;

/// What the boxes of a file say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mp4Index {
    /// The scheme of an encrypted track (`schm`), such as `cenc`.
    pub encryption_scheme: Option<String>,
    /// Whether samples are in movie fragments (`mvex` or `moof`), so that `moov` does not vouch for them.
    pub is_fragmented: bool,
    /// Bytes of a `moov` that is too large to be read.
    pub oversized_moov: Option<u64>,
    /// Whether there is a `moov` at all.
    pub has_moov: bool,
    /// Up to which byte of the file the sample tables name data.
    pub last_indexed_byte: u64,
    /// A track whose samples last far longer than its header says.
    pub duration_mismatch: Option<DurationMismatch>,
    /// The timescale of a track (`mdhd`) that FFmpeg does not take: it reads a positive `int`, and takes
    /// all else for 1.
    pub timescale_overflow: Option<u32>,
    /// Seconds by which one track is ahead of another where their data lie side by side; none when that
    /// cannot be said, or when the data of a track are not in order. Only read of a file that is still
    /// growing.
    pub max_interleave_gap: Option<f64>,
    /// Whether a track is another's chapters (`chap`), for which FFmpeg seeks.
    pub has_chapter_track: bool,
}

/// Two durations of a track that contradict each other, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DurationMismatch {
    /// By its header (`mdhd`).
    pub by_header: u64,
    /// By its samples (`stts`).
    pub by_samples: u64,
}

/// What is known from the front of a file that is still growing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FrontIndex {
    /// Nothing before so many bytes are there.
    NeedBytes(u64),
    /// All of the index.
    Complete(Mp4Index),
    /// The file has to be whole before anything can be said.
    NeedWholeFile,
}

/// Reads what is there of a file that will have `file_size` bytes. `moov` has to stand before the media
/// data.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read_front(file: &mut (impl Read + Seek), file_size: u64) -> io::Result<FrontIndex> {
    let available = file.seek(SeekFrom::End(0))?;
    let mut offset = 0_u64;
    for _ in 0..MAX_TOP_LEVEL_BOXES {
        let needed = file_size.min(offset.saturating_add(MAX_HEADER_BYTES));
        if available < needed {
            return Ok(FrontIndex::NeedBytes(needed));
        }
        let Some(header) = BoxHeader::read(file, offset, file_size)? else {
            return Ok(FrontIndex::NeedWholeFile);
        };
        match &header.kind {
            b"moov" if header.body_bytes() > MAX_MOOV_BYTES || header.end > file_size => {
                return Ok(FrontIndex::NeedWholeFile);
            }
            b"moov" if header.end > available => return Ok(FrontIndex::NeedBytes(header.end)),
            b"moov" => {
                let moov = header.read_body(file)?;
                let mut index = Mp4Index { has_moov: true, ..Mp4Index::default() };
                read_moov(&moov, &mut index);
                if index.is_fragmented {
                    return Ok(FrontIndex::NeedWholeFile);
                }
                index.max_interleave_gap = max_interleave_gap(&moov);
                return Ok(FrontIndex::Complete(index));
            }
            b"mdat" | b"moof" => return Ok(FrontIndex::NeedWholeFile),
            kind if !LEADING_BOXES.contains(&kind) => return Ok(FrontIndex::NeedWholeFile),
            _ => offset = header.end,
        }
    }
    Ok(FrontIndex::NeedWholeFile)
}

/// Reads a whole file; none when it is of another format.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(file: &mut (impl Read + Seek)) -> io::Result<Option<Mp4Index>> {
    let file_size = file.seek(SeekFrom::End(0))?;
    let mut index = Mp4Index::default();
    let mut offset = 0;
    for number in 0..MAX_TOP_LEVEL_BOXES {
        let Some(header) = BoxHeader::read(file, offset, file_size)? else {
            return Ok(if number == 0 { None } else { Some(index) });
        };
        match &header.kind {
            b"moov" if header.body_bytes() <= MAX_MOOV_BYTES && header.end <= file_size => {
                index.has_moov = true;
                read_moov(&header.read_body(file)?, &mut index);
            }
            b"moov" if header.body_bytes() > MAX_MOOV_BYTES => {
                index.oversized_moov = Some(header.body_bytes());
                return Ok(Some(index));
            }
            b"moof" => {
                index.is_fragmented = true;
                return Ok(Some(index));
            }
            kind if number == 0 && !LEADING_BOXES.contains(&kind) => return Ok(None),
            _ => {}
        }
        offset = header.end;
    }
    Ok(Some(index))
}

/// Boxes that an MP4 or QuickTime file begins with.
const LEADING_BOXES: &[&[u8; 4]] =
    &[b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"uuid", b"sidx", b"junk"];

fn read_moov(moov: &[u8], index: &mut Mp4Index) {
    for (kind, body) in children(moov) {
        match kind {
            b"mvex" => index.is_fragmented = true,
            b"trak" => read_trak(body, index),
            _ => {}
        }
    }
}

fn read_trak(trak: &[u8], index: &mut Mp4Index) {
    index.has_chapter_track |= child(trak, b"tref").is_some_and(|tref| child(tref, b"chap").is_some());
    let Some(mdia) = child(trak, b"mdia").filter(|mdia| is_video_or_audio(mdia)) else { return };
    let Some(stbl) = child(mdia, b"minf").and_then(|minf| child(minf, b"stbl")) else { return };
    if let Some(scheme) = child(stbl, b"stsd").and_then(encryption_scheme) {
        index.encryption_scheme.get_or_insert(scheme);
    }
    index.last_indexed_byte = index.last_indexed_byte.max(last_indexed_byte(stbl).unwrap_or(0));
    let Some(mdhd) = child(mdia, b"mdhd") else { return };
    if let Some(timescale) = timescale(mdhd)
        && !(1..=i32::MAX as u32).contains(&timescale)
    {
        index.timescale_overflow.get_or_insert(timescale);
    }
    if let Some(mismatch) = duration_mismatch(mdhd, stbl) {
        index.duration_mismatch.get_or_insert(mismatch);
    }
}

/// Whether the samples of a track last more than twice as long as its header says.
fn duration_mismatch(mdhd: &[u8], stbl: &[u8]) -> Option<DurationMismatch> {
    let (timescale, by_header) = timescale_and_duration(mdhd)?;
    let by_samples = duration_of_samples(child(stbl, b"stts")?)?;
    let millis = |units: u64| (u128::from(units) * 1000 / u128::from(timescale)) as u64;
    let (by_header, by_samples) = (millis(by_header), millis(by_samples));
    // a header that says 0 says nothing
    if by_header > 0 && by_samples.saturating_sub(by_header) > by_header.max(DURATION_TOLERANCE_MILLIS) {
        return Some(DurationMismatch { by_header, by_samples });
    }
    None
}

/// The protection scheme of encrypted samples (ISO/IEC 14496-12, 8.12): `encv` and `enca` carry it in
/// `sinf/schm`.
fn encryption_scheme(stsd: &[u8]) -> Option<String> {
    let (kind, entry) = children(stsd.get(8..)?).next()?;
    if kind != b"encv" && kind != b"enca" {
        return None;
    }
    // searched for: how many bytes a sample entry has before its boxes depends on its version
    let schm = entry.windows(4).position(|window| window == b"schm")?;
    let name = entry.get(schm + 8..schm + 12).filter(|name| name.iter().all(u8::is_ascii_alphanumeric));
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

    /// The timescale of all tracks but one.
    const TIMESCALE: u32 = 100;

    fn moov_at(offsets: [u32; 2], entry: &[u8; 4]) -> Vec<u8> {
        moov_of(TIMESCALE, offsets, entry, 100)
    }

    /// Two chunks of two samples each, at these offsets. The header says that the duration of each is 100 units; the
    /// last one may be longer.
    fn moov_of(timescale: u32, offsets: [u32; 2], entry: &[u8; 4], last_duration: u32) -> Vec<u8> {
        let table = [
            boxed(b"stsd", &[numbers(&[0, 1]), boxed(entry, b"....schm\0\0\0\0cenc\0\0")].concat()),
            boxed(b"stts", &numbers(&[0, 2, 3, 100, 1, last_duration])),
            boxed(b"stsc", &numbers(&[0, 1, 1, 2, 1])),
            boxed(b"stsz", &numbers(&[0, 0, 4, 10, 20, 30, 40])),
            boxed(b"stco", &numbers(&[0, 2, offsets[0], offsets[1]])),
        ]
        .concat();
        let handler = boxed(b"hdlr", b"\0\0\0\0\0\0\0\0vide\0\0\0\0");
        let header = boxed(b"mdhd", &numbers(&[0, 0, 0, timescale, 400, 0]));
        let media = [handler, header, boxed(b"minf", &boxed(b"stbl", &table))].concat();
        boxed(b"moov", &boxed(b"trak", &boxed(b"mdia", &media)))
    }

    fn read_bytes(bytes: &[u8]) -> Option<Mp4Index> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        read(&mut file).expect("readable")
    }

    #[test]
    fn the_index_names_its_last_byte() {
        let file = [boxed(b"ftyp", b"isom"), moov_at([500, 100], b"avc1")].concat();
        let index = read_bytes(&file).expect("an index");
        assert_eq!(index, Mp4Index { has_moov: true, last_indexed_byte: 530, ..Mp4Index::default() });
    }

    #[rstest]
    #[case(500, None)]
    #[case(800, Some((4000, 11_000)))]
    #[case(102_400, Some((4000, 1_027_000)))]
    #[case(u32::MAX, None)]
    fn an_index_that_contradicts_its_header(
        #[case] last_duration: u32,
        #[case] durations: Option<(u64, u64)>,
    ) {
        let file = [boxed(b"ftyp", b"isom"), moov_of(TIMESCALE, [0, 0], b"avc1", last_duration)].concat();
        let mismatch = durations.map(|(by_header, by_samples)| DurationMismatch { by_header, by_samples });
        assert_eq!(read_bytes(&file).expect("an index").duration_mismatch, mismatch);
    }

    #[rstest]
    #[case(1, None)]
    #[case(0x7fff_ffff, None)]
    #[case(0, Some(0))]
    #[case(0x8000_0000, Some(0x8000_0000))]
    fn a_clock_that_ffmpeg_does_not_take(#[case] timescale: u32, #[case] overflow: Option<u32>) {
        let file = [boxed(b"ftyp", b"isom"), moov_of(timescale, [0, 0], b"avc1", 100)].concat();
        assert_eq!(read_bytes(&file).expect("an index").timescale_overflow, overflow);
    }

    #[test]
    fn encryption_is_named() {
        let file = [boxed(b"ftyp", b"isom"), moov_at([0, 0], b"encv")].concat();
        assert_eq!(read_bytes(&file).and_then(|index| index.encryption_scheme).as_deref(), Some("cenc"));
    }

    #[test]
    fn fragments_are_seen() {
        let file = [boxed(b"ftyp", b"isom"), boxed(b"moov", b""), boxed(b"moof", b"")].concat();
        assert!(read_bytes(&file).expect("an index").is_fragmented);
        let file = [boxed(b"ftyp", b"isom"), boxed(b"moov", &boxed(b"mvex", b""))].concat();
        assert!(read_bytes(&file).expect("an index").is_fragmented);
    }

    #[test]
    fn other_files_have_no_boxes() {
        assert_eq!(read_bytes(b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00"), None);
        assert_eq!(read_bytes(b""), None);
    }

    fn front(available: &[u8], file_size: u64) -> FrontIndex {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(available).expect("written");
        read_front(&mut file, file_size).expect("readable")
    }

    #[test]
    fn an_index_in_front_is_read_as_soon_as_it_is_there() {
        let file =
            [boxed(b"ftyp", b"isom"), moov_at([500, 1000], b"avc1"), boxed(b"mdat", &[0; 50])].concat();
        let (moov_end, file_size) = (file.len() as u64 - 58, file.len() as u64);
        assert_eq!(front(b"", file_size), FrontIndex::NeedBytes(16));
        assert_eq!(front(&file[..16], file_size), FrontIndex::NeedBytes(28));
        assert_eq!(front(&file[..30], file_size), FrontIndex::NeedBytes(moov_end));
        let FrontIndex::Complete(index) = front(&file[..moov_end as usize], file_size) else {
            panic!("it is there")
        };
        assert_eq!(index.max_interleave_gap, Some(0.0));
        assert_eq!(Some(Mp4Index { max_interleave_gap: None, ..index }), read_bytes(&file));
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
        assert_eq!(front(&file, file.len() as u64), FrontIndex::NeedWholeFile);
        assert_eq!(front(b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\0\0\0\0\0", 99), FrontIndex::NeedWholeFile);
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
            let mut file = [boxed(b"ftyp", b"isom"), moov_at([500, 100], b"avc1")].concat();
            let at = at % file.len();
            file[at] = value;
            file.truncate(file.len() - cut % file.len());
            let _ = read_bytes(&file);
        }
    }
}
