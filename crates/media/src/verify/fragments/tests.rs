//! An output that is right, and the same with one thing wrong.

use model::{AudioCodec, VideoCodec};

use rstest::rstest;

use super::*;
use crate::{
    codecs,
    format::mp4::audio_entry::AudioParams,
    verify::listing::{Claims, MediaFile, Segment, StreamRef, TrackContainer},
};

fn boxed(kind: &str, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).expect("small");
    [&size.to_be_bytes()[..], kind.as_bytes(), body].concat()
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A track of two segments with two samples each, of 100 units of the timescale. In the second segment, duration and
/// size of the samples are the defaults of `trex` and `tfhd`.
#[derive(Clone)]
struct FragmentedOutput {
    init: Vec<u8>,
    first: Vec<u8>,
    second: Vec<u8>,
}

const AVC: &[u8] = &[1, 0x64, 0, 30, 0xff, 0xe1, 0, 2, 0x67, 0, 1, 0, 2, 0x68, 0];
const HEVC: &[u8] = &[3, 32, 0, 1, 0, 2, 0x40, 1, 33, 0, 1, 0, 2, 0x42, 1, 34, 0, 1, 0, 2, 0x44, 1];

/// An initialization segment for video that is described by this box.
fn init(entry: &str, kind: &str, record: &[u8]) -> Vec<u8> {
    init_of(boxed(entry, &[&[0; 78][..], &boxed(kind, record)].concat()))
}

/// An initialization segment for audio at 48 kHz that is described by this box.
fn audio_init(entry: &str, kind: &str, record: &[u8]) -> Vec<u8> {
    let head = [&[0; 24][..], &numbers(&[48_000 << 16])].concat();
    init_of(boxed(entry, &[head, boxed(kind, record)].concat()))
}

fn init_of(entry: Vec<u8>) -> Vec<u8> {
    let table = [
        boxed("stsd", &[numbers(&[0, 1]), entry].concat()),
        boxed("stts", &numbers(&[0, 0])),
        boxed("stsc", &numbers(&[0, 0])),
        boxed("stsz", &numbers(&[0, 0, 0])),
        boxed("stco", &numbers(&[0, 0])),
    ];
    let media =
        [boxed("mdhd", &numbers(&[0, 0, 0, 1000, 0, 0])), boxed("minf", &boxed("stbl", &table.concat()))];
    let track = [boxed("tkhd", &numbers(&[0, 0, 0, 1, 0])), boxed("mdia", &media.concat())];
    let fragments = boxed("mvex", &boxed("trex", &numbers(&[0, 1, 1, 100, 6, 0])));
    let movie = boxed("moov", &[boxed("trak", &track.concat()), fragments].concat());
    [boxed("ftyp", b"iso6\0\0\0\0cmfc"), movie].concat()
}

/// A segment with this number, time, and first bytes of its first sample.
fn segment(number: u32, begins: u32, sample: &[u8]) -> Vec<u8> {
    let half = u32::try_from(sample.len()).expect("small") / 2;
    let run = |offset: u32| match number {
        1 => boxed("trun", &numbers(&[0x301, 2, offset, 100, half, 100, half])),
        _ => boxed("trun", &numbers(&[1, 2, offset])),
    };
    let moof = |offset: u32| {
        let header = boxed("tfhd", &numbers(&[0x2_0012, 1, 1, half]));
        let track = [header, boxed("tfdt", &numbers(&[0, begins])), run(offset)];
        boxed("moof", &[boxed("mfhd", &numbers(&[0, number])), boxed("traf", &track.concat())].concat())
    };
    let moof = moof(u32::try_from(moof(1).len() + 8).expect("small"));
    let data = boxed("mdat", sample);
    let bytes = u32::try_from(moof.len() + data.len()).expect("small");
    let index = boxed("sidx", &numbers(&[0, 1, 1000, begins, 0, 1, bytes, 200, 0x9000_0000]));
    [boxed("styp", b"msdh"), index, moof, data].concat()
}

const IDR: &[u8] = &[0, 0, 0, 2, 9, 0, 0, 0, 0, 2, 0x65, 0];

impl FragmentedOutput {
    fn right() -> Self {
        Self { init: init("avc1", "avcC", AVC), first: segment(1, 0, IDR), second: segment(2, 200, IDR) }
    }

    fn check(&self, expected: ExpectedTrack) -> Result<(), String> {
        self.check_beginning(expected, false)
    }

    fn check_beginning(&self, expected: ExpectedTrack, late: bool) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).expect("written");
            MediaFile { path: folder.path().join(name), bytes: bytes.len() as u64 }
        };
        let segment = |file| Segment { file, duration: None, start: None };
        let track = Track {
            name: "360p".to_owned(),
            planned: vec![StreamRef::Video(0)],
            container: TrackContainer::FragmentedMp4,
            init: Some(file("init.mp4", &self.init)),
            segments: vec![segment(file("1", &self.first)), segment(file("2", &self.second))],
            claims: Claims { timescale: Some(1000), ..Claims::default() },
            i_frames: Vec::new(),
        };
        check(&track, expected, late, &WorkFolder::open(folder.path()).expect("opened"))
    }
}

#[test]
fn what_is_right_is_agreed_to() {
    assert_eq!(FragmentedOutput::right().check(ExpectedTrack::Video(VideoCodec::H264)), Ok(()));
}

#[test]
fn a_copy_may_begin_late() {
    let expected = ExpectedTrack::Video(VideoCodec::H264);
    let late = FragmentedOutput {
        first: segment(1, 7, IDR),
        second: segment(2, 207, IDR),
        ..FragmentedOutput::right()
    };
    assert_eq!(late.check_beginning(expected, true), Ok(()));
    let gap = FragmentedOutput { second: segment(2, 208, IDR), ..late };
    let problem = gap.check_beginning(expected, true).expect_err("refused");
    assert!(problem.contains("has the decode time 208, and what is before it ends at 207"), "{problem}");
}

/// The bytes from the name of a box on, so many behind it, become others.
fn changed(bytes: &mut [u8], name: &str, behind: usize, to: &[u8]) {
    let at = bytes.windows(4).position(|kind| kind == name.as_bytes()).expect("it is there") + behind;
    bytes[at..at + to.len()].copy_from_slice(to);
}

#[rstest]
#[case::no_type(|o: &mut FragmentedOutput| changed(&mut o.init, "ftyp", 0, b"free"), "initialization segment does not begin with `ftyp`")]
#[case::brand(|o: &mut FragmentedOutput| changed(&mut o.init, "cmfc", 0, b"iso8"), "does not name the brand `cmfc`")]
#[case::no_movie(|o: &mut FragmentedOutput| changed(&mut o.init, "moov", 0, b"free"), "has no `moov`")]
#[case::no_track(|o: &mut FragmentedOutput| changed(&mut o.init, "trak", 0, b"free"), "has 0 tracks, not 1")]
#[case::two_tracks(|o: &mut FragmentedOutput| changed(&mut o.init, "mvex", 0, b"trak"), "has 2 tracks, not 1")]
#[case::no_table(|o: &mut FragmentedOutput| changed(&mut o.init, "stbl", 0, b"free"), "a track without its sample table")]
#[case::samples(|o: &mut FragmentedOutput| changed(&mut o.init, "stsz", 15, &[1]), "holds samples (`stsz`)")]
#[case::chunks(|o: &mut FragmentedOutput| changed(&mut o.init, "stco", 11, &[1]), "holds samples (`stco`)")]
#[case::data(|o: &mut FragmentedOutput| o.init.extend(boxed("mdat", b"x")), "initialization segment holds samples")]
#[case::no_timescale(|o: &mut FragmentedOutput| changed(&mut o.init, "mdhd", 0, b"free"), "a track without a timescale")]
#[case::timescale(|o: &mut FragmentedOutput| changed(&mut o.init, "mdhd", 18, &[9]), "has the timescale 2536, and 1000 is listed")]
#[case::not_continued(|o: &mut FragmentedOutput| changed(&mut o.init, "trex", 0, b"free"), "does not say that fragments follow")]
#[case::another(|o: &mut FragmentedOutput| changed(&mut o.init, "trex", 11, &[2]), "continues track 2, and has another")]
#[case::entry(|o: &mut FragmentedOutput| changed(&mut o.init, "avc1", 0, b"avc3"), "does not have in its `avc1` what a decoder needs")]
#[case::no_sps(|o: &mut FragmentedOutput| changed(&mut o.init, "avcC", 9, &[0xe0]), "what a decoder needs first")]
#[case::no_pps(|o: &mut FragmentedOutput| changed(&mut o.init, "avcC", 14, &[0]), "what a decoder needs first")]
#[case::cut_off(|o: &mut FragmentedOutput| { o.second.pop(); }, "segment 2 has a box at byte")]
#[case::no_fragment(|o: &mut FragmentedOutput| o.second = boxed("styp", b"msdh"), "segment 2 has no `moof`")]
#[case::no_samples(|o: &mut FragmentedOutput| changed(&mut o.second, "mdat", 0, b"free"), "without its `mdat`")]
#[case::a_movie(|o: &mut FragmentedOutput| changed(&mut o.second, "styp", 0, b"moov"), "has a `moov` out of place")]
#[case::no_time(|o: &mut FragmentedOutput| changed(&mut o.second, "tfdt", 0, b"free"), "is not one track's with its time")]
#[case::track(|o: &mut FragmentedOutput| changed(&mut o.second, "tfhd", 11, &[2]), "is not one track's with its time")]
#[case::number(|o: &mut FragmentedOutput| o.second = segment(1, 200, IDR), "segment 2 has fragment 1 after 1")]
#[case::late(|o: &mut FragmentedOutput| o.first = segment(1, 1, IDR), "segment 1 has the decode time 1, and what is before it ends at 0")]
#[case::gap(|o: &mut FragmentedOutput| o.second = segment(2, 201, IDR), "has the decode time 201, and what is before it ends at 200")]
#[case::overlap(|o: &mut FragmentedOutput| o.second = segment(2, 199, IDR), "has the decode time 199")]
#[case::sample_size(|o: &mut FragmentedOutput| changed(&mut o.second, "tfhd", 19, &[5]), "segment 2 has samples in bytes 156 to 166, and a `mdat` with 156 to 168")]
#[case::sample_place(|o: &mut FragmentedOutput| changed(&mut o.second, "trun", 15, &[1]), "has samples in bytes 57 to 69, and a `mdat` with 156 to 168")]
#[case::no_key(|o: &mut FragmentedOutput| o.second = segment(2, 200, &[0, 0, 0, 2, 0x41, 0]), "segment 2 does not begin with a random access point")]
#[case::index_bytes(|o: &mut FragmentedOutput| changed(&mut o.second, "sidx", 31, &[1]), "has a `sidx` of 1 bytes and the duration 200, and is")]
#[case::index_time(|o: &mut FragmentedOutput| changed(&mut o.second, "sidx", 35, &[1]), "bytes and the duration 1, and is")]
#[case::index_start(|o: &mut FragmentedOutput| changed(&mut o.second, "sidx", 36, &[0]), "does not list its fragments as stream access points")]
#[case::index_cut(|o: &mut FragmentedOutput| changed(&mut o.second, "sidx", 27, &[2]), "has a `sidx` that cannot be read")]
fn what_is_wrong_is_refused(#[case] change: fn(&mut FragmentedOutput), #[case] words: &str) {
    let mut output = FragmentedOutput::right();
    change(&mut output);
    let problem = output.check(ExpectedTrack::Video(VideoCodec::H264)).expect_err("refused");
    assert!(problem.contains(words), "{problem}");
}

#[rstest]
#[case::idr(VideoCodec::H265, &[0, 0, 0, 2, 0x40, 1, 0, 0, 0, 2, 0x26, 1], true)]
#[case::cra(VideoCodec::H265, &[0, 0, 0, 2, 0x2a, 1], false)]
#[case::trail(VideoCodec::H265, &[0, 0, 0, 2, 0x02, 1], false)]
#[case::key(VideoCodec::Av1, &[0x12, 0, 0x0a, 1, 0xff, 0x32, 1, 0x10], true)]
#[case::no_sequence(VideoCodec::Av1, &[0x12, 0, 0x32, 2, 0x10, 0], false)]
#[case::inter(VideoCodec::Av1, &[0x12, 0, 0x0a, 1, 0xff, 0x32, 1, 0x30], false)]
#[case::shown_again(VideoCodec::Av1, &[0x12, 0, 0x0a, 1, 0xff, 0x1a, 1, 0x80], false)]
#[case::key(VideoCodec::Vp9, &[0x82, 0], true)]
#[case::inter(VideoCodec::Vp9, &[0x86, 0], false)]
#[case::key_of_ten_bits(VideoCodec::Vp9, &[0x92, 0], true)]
#[case::shown_again(VideoCodec::Vp9, &[0x88, 0], false)]
fn random_access_points(#[case] codec: VideoCodec, #[case] sample: &[u8], #[case] is_random_access: bool) {
    let (kind, record) = match codec {
        VideoCodec::H264 => ("avcC", AVC.to_vec()),
        VideoCodec::H265 => ("hvcC", [&[0; 22], HEVC].concat()),
        VideoCodec::Av1 => ("av1C", Vec::new()),
        VideoCodec::Vp9 => ("vpcC", Vec::new()),
    };
    let init = init(codecs::video(codec).sample_entry(), kind, &record);
    let output = FragmentedOutput { init, first: segment(1, 0, sample), second: segment(2, 200, sample) };
    let checked = output.check(ExpectedTrack::Video(codec));
    assert_eq!(checked.is_ok(), is_random_access, "{checked:?}");
}

/// Two channels of AAC-LC at 48 kHz: the descriptors of a stream, its decoder and its configuration.
const ESDS: &[u8] = &[
    0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 22, 0, 1, 0, 4, 17, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2,
    0x11, 0x90,
];
/// Two channels of Opus after 312 samples; six of AC-3 at 48 kHz.
const DOPS: &[u8] = &[0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0];
const DAC3: &[u8] = &[0x10, 0x3d, 0xe0];

fn audio_params(codec: AudioCodec, channels: u32) -> AudioParams {
    AudioParams { codec, channels, sample_rate: 48_000 }
}

#[rstest]
#[case::aac(audio_params(AudioCodec::Aac, 2), "esds", ESDS)]
#[case::opus(audio_params(AudioCodec::Opus, 2), "dOps", DOPS)]
#[case::ac3(audio_params(AudioCodec::Ac3, 6), "dac3", DAC3)]
fn audio_is_described_as_it_was_planned(
    #[case] planned: AudioParams,
    #[case] kind: &str,
    #[case] record: &[u8],
) {
    let name = codecs::audio(planned.codec).sample_entry();
    let output = |record: &[u8]| FragmentedOutput {
        init: audio_init(name, kind, record),
        ..FragmentedOutput::right()
    };
    assert_eq!(output(record).check(ExpectedTrack::Audio(planned)), Ok(()));
    for other in [
        AudioParams { channels: planned.channels - 1, ..planned },
        AudioParams { sample_rate: 44_100, ..planned },
    ] {
        let problem = output(record).check(ExpectedTrack::Audio(other)).expect_err("refused");
        let found = format!("has in its `{name}` {} channels at 48000 Hz, not", planned.channels);
        assert!(problem.contains(&found), "{problem}");
    }
    for cut in 0..record.len() {
        // of Opus and AC-3, the first bytes are enough
        let problem = output(&record[..cut]).check(ExpectedTrack::Audio(planned));
        assert!(problem.is_err() || (kind == "dOps" && cut >= 2), "{kind} {cut}");
    }
}

#[rstest]
#[case::another_entry("mp4b", ESDS)]
#[case::another_codec("mp4a", &[&ESDS[..14], &[0x6b], &ESDS[15..]].concat())]
#[case::another_kind("mp4a", &[&ESDS[..29], &[0x29], &ESDS[30..]].concat())]
#[case::no_config("mp4a", &[&ESDS[..27], &[6], &ESDS[28..]].concat())]
fn audio_that_is_not_described(#[case] entry: &str, #[case] record: &[u8]) {
    let output = FragmentedOutput { init: audio_init(entry, "esds", record), ..FragmentedOutput::right() };
    let problem = output.check(ExpectedTrack::Audio(audio_params(AudioCodec::Aac, 2))).expect_err("refused");
    assert!(problem.contains("does not have in its `mp4a` what a decoder needs first"), "{problem}");
}

#[rstest]
#[case::vps(0)]
#[case::sps(1)]
#[case::pps(2)]
fn sets_of_hevc_are_all_needed(#[case] missing: usize) {
    let mut record = HEVC.to_vec();
    record[1 + 7 * missing] = 39;
    let output = FragmentedOutput {
        init: init("hvc1", "hvcC", &[&[0; 22][..], &record].concat()),
        ..FragmentedOutput::right()
    };
    let problem = output.check(ExpectedTrack::Video(VideoCodec::H265)).expect_err("refused");
    assert!(problem.contains("does not have in its `hvc1`"), "{problem}");
}
