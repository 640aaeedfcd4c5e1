//! Streams of H.264 and H.265 as NAL units after start codes (Annex B of both): what a decoder is told of all of them, by
//! their parameter sets.

use std::collections::BTreeMap;

use model::VideoCodec;

use super::{Problem, StreamDigest, bits::Bits};

/// Bytes of a NAL unit that are kept: a parameter set has fewer.
const KEPT_BYTES: usize = 1 << 16;

/// Divides bytes that come in pieces into NAL units.
#[derive(Default)]
pub(super) struct NalUnits {
    unit: Vec<u8>,
    is_in_unit: bool,
    /// Zeros since the last other byte: they belong to the unit only if another byte of it follows.
    zeros: usize,
}

impl NalUnits {
    /// Takes in more bytes, and hands over the units that end in them.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        for byte in bytes {
            match byte {
                0 => self.zeros += 1,
                1 if self.zeros >= 2 => {
                    self.end(&mut each);
                    self.is_in_unit = true;
                }
                _ => {
                    if self.is_in_unit && self.unit.len() + self.zeros < KEPT_BYTES {
                        self.unit.resize(self.unit.len() + self.zeros, 0);
                        self.unit.push(*byte);
                    }
                    self.zeros = 0;
                }
            }
        }
    }

    /// Hands over the unit that the bytes have ended in.
    pub(super) fn end(&mut self, mut each: impl FnMut(&[u8])) {
        if !self.unit.is_empty() {
            each(&self.unit);
        }
        self.unit.clear();
        self.zeros = 0;
    }
}

/// What a NAL unit is.
enum NalUnit {
    /// A parameter set by its kind and number. Of sequence parameter sets a stream that can be copied has one.
    ParameterSet(u8, u64),
    /// A picture that decoding can begin with.
    RandomAccess,
    /// A picture that refers to what stands before the random access point in front of it (RASL of H.265).
    SkippedLeading,
    /// Another picture.
    Picture,
    Other,
}

/// Reads the first bytes of a NAL unit; none where they end too early.
fn kind_of(codec: VideoCodec, unit: &[u8]) -> Option<NalUnit> {
    let first = *unit.first()?;
    if codec == VideoCodec::H264 {
        // nal_unit_type (ITU-T H.264, table 7-1)
        return Some(match first & 0x1f {
            5 => NalUnit::RandomAccess,
            1..=4 => NalUnit::Picture,
            7 => NalUnit::ParameterSet(7, 0),
            8 => NalUnit::ParameterSet(8, Bits::new(unit.get(1..)?).exp_golomb()?),
            _ => NalUnit::Other,
        });
    }
    let second = *unit.get(1)?;
    // nuh_layer_id: other layers are other views, which players without them leave out
    if (first & 1) != 0 || second >> 3 != 0 {
        return Some(NalUnit::Other);
    }
    // nal_unit_type (ITU-T H.265, table 7-1)
    Some(match first >> 1 & 0x3f {
        8 | 9 => NalUnit::SkippedLeading,
        16..=21 => NalUnit::RandomAccess,
        0..=31 => NalUnit::Picture,
        kind @ (32 | 33) => NalUnit::ParameterSet(kind, 0),
        34 => NalUnit::ParameterSet(34, Bits::new(unit.get(2..)?).exp_golomb()?),
        _ => NalUnit::Other,
    })
}

/// What a stream of H.264 or H.265 says of itself, from its first NAL unit to its last.
pub(super) struct NalStream {
    codec: VideoCodec,
    units: NalUnits,
    parameter_sets: BTreeMap<(u8, u64), Vec<u8>>,
    /// Random access points so far.
    random_access_points: u64,
    has_picture: bool,
    problem: Option<Problem>,
    digest: StreamDigest,
}

impl NalStream {
    pub(super) fn new(codec: VideoCodec) -> Self {
        Self {
            codec,
            units: NalUnits::default(),
            parameter_sets: BTreeMap::new(),
            random_access_points: 0,
            has_picture: false,
            problem: None,
            digest: StreamDigest::default(),
        }
    }

    pub(super) fn codec(&self) -> VideoCodec {
        self.codec
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut units = std::mem::take(&mut self.units);
        units.push(bytes, |unit| self.add(unit));
        self.units = units;
    }

    pub(super) fn finish(mut self) -> Result<StreamDigest, Problem> {
        std::mem::take(&mut self.units).end(|unit| self.add(unit));
        match self.problem {
            Some(problem) => Err(problem),
            None if !self.has_picture => Err(Problem::Unreadable),
            None => Ok(self.digest.with_headers(&self.parameter_sets)),
        }
    }

    fn add(&mut self, unit: &[u8]) {
        let kind = kind_of(self.codec, unit);
        if let Some(NalUnit::RandomAccess | NalUnit::SkippedLeading | NalUnit::Picture) = kind {
            self.digest.add_frame(unit);
        }
        match kind {
            Some(NalUnit::ParameterSet(kind, number)) => self.add_parameter_set((kind, number), unit),
            Some(NalUnit::RandomAccess) => {
                // a picture may have many slices: they are one random access point
                self.random_access_points += u64::from(begins_picture(self.codec, unit));
                self.has_picture = true;
            }
            Some(NalUnit::SkippedLeading) if self.random_access_points <= 1 => {
                self.has_picture = true;
                self.note(Problem::LeadingFrames);
            }
            Some(NalUnit::Picture) if !self.has_picture => {
                self.has_picture = true;
                self.note(Problem::NoRandomAccess);
            }
            _ => {}
        }
    }

    /// The header of a file has the sets of its first picture: what differs later, or comes later, is not there.
    fn add_parameter_set(&mut self, key: (u8, u64), unit: &[u8]) {
        match self.parameter_sets.get(&key) {
            Some(known) if known == unit => {}
            None if !self.has_picture => {
                self.parameter_sets.insert(key, unit.to_owned());
            }
            _ => self.note(Problem::ParametersChange),
        }
    }

    fn note(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }
}

/// `first_mb_in_slice` of H.264 is 0, `first_slice_segment_in_pic_flag` of H.265 is 1: both are a bit that is set.
fn begins_picture(codec: VideoCodec, unit: &[u8]) -> bool {
    let header_bytes = if codec == VideoCodec::H264 { 1 } else { 2 };
    unit.get(header_bytes).is_some_and(|byte| byte >> 7 == 1)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn units_end_at_start_codes() {
        let bytes = [9, 0, 0, 1, 7, 0, 5, 0, 0, 0, 1, 8, 0, 0, 3, 1, 0, 0, 1, 5, 1, 0];
        for piece in 1..bytes.len() {
            let (mut units, mut found) = (NalUnits::default(), Vec::new());
            for bytes in bytes.chunks(piece) {
                units.push(bytes, |unit| found.push(unit.to_owned()));
            }
            units.end(|unit| found.push(unit.to_owned()));
            assert_eq!(found, [vec![7, 0, 5], vec![8, 0, 0, 3, 1], vec![5, 1]], "in pieces of {piece}");
        }
    }

    fn problem(codec: VideoCodec, units: &[&[u8]]) -> Option<Problem> {
        let mut stream = NalStream::new(codec);
        units.iter().for_each(|unit| stream.push(&[&[0, 0, 1], *unit].concat()));
        stream.finish().err()
    }

    const SPS: &[u8] = &[0x67, 100, 0, 30, 0xac];
    const PPS: &[u8] = &[0x68, 0xee];
    const OTHER_PPS: &[u8] = &[0x68, 0x5e];
    const IDR: &[u8] = &[0x65, 0x88];
    const P: &[u8] = &[0x41, 0x9a];

    #[rstest]
    #[case::alone(&[SPS, PPS, IDR, P], None)]
    #[case::repeated(&[SPS, PPS, IDR, P, SPS, PPS, IDR], None)]
    #[case::two_pictures_parameters(&[SPS, PPS, OTHER_PPS, IDR, P, OTHER_PPS, PPS], None)]
    #[case::late(&[SPS, PPS, IDR, OTHER_PPS, P], Some(Problem::ParametersChange))]
    #[case::another_picture_parameter_set(&[SPS, PPS, IDR, P, SPS, &[0x68, 0xef], IDR], Some(Problem::ParametersChange))]
    #[case::another_size(&[SPS, PPS, IDR, P, &[0x67, 100, 0, 31, 0xac], PPS, IDR], Some(Problem::ParametersChange))]
    #[case::before_the_first(&[SPS, &[0x67, 100, 0, 31, 0xac], PPS, IDR], Some(Problem::ParametersChange))]
    #[case::no_start(&[SPS, PPS, P, IDR], Some(Problem::NoRandomAccess))]
    #[case::nothing(&[SPS, PPS], Some(Problem::Unreadable))]
    #[case::cut_off(&[SPS, PPS, IDR, &[0x68]], None)]
    fn h264(#[case] units: &[&[u8]], #[case] found: Option<Problem>) {
        assert_eq!(problem(VideoCodec::H264, units), found);
    }

    const HEVC_SPS: &[u8] = &[0x42, 1, 1];
    const CRA: &[u8] = &[0x2a, 1, 0x80];
    const CRA_SECOND_SLICE: &[u8] = &[0x2a, 1, 0x10];
    const RASL: &[u8] = &[0x12, 1, 0x80];
    const TRAIL: &[u8] = &[0x02, 1, 0x80];

    #[rstest]
    #[case::no_leading(&[HEVC_SPS, CRA, TRAIL], None)]
    #[case::leading(&[HEVC_SPS, CRA, CRA_SECOND_SLICE, RASL, TRAIL], Some(Problem::LeadingFrames))]
    #[case::leading_later(&[HEVC_SPS, CRA, TRAIL, CRA, RASL], None)]
    #[case::second_layer(&[HEVC_SPS, CRA, &[0x42, 9, 2], TRAIL], None)]
    fn h265(#[case] units: &[&[u8]], #[case] found: Option<Problem>) {
        assert_eq!(problem(VideoCodec::H265, units), found);
    }
}
