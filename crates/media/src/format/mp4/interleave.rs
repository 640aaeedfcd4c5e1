//! How the tracks of an MP4 are interleaved in the file, by its sample tables (ISO/IEC 14496-12, 8.6 and
//! 8.7).

use super::{
    boxes::{child, children, read_u32},
    sample_table::{ChunkOffsets, ChunkRuns, is_video_or_audio, timescale_and_duration},
};

/// Samples of a track that are counted: 12 h of any.
const MAX_SAMPLES: u64 = 20_000_000;
/// Tracks that are compared.
const MAX_TRACKS: usize = 64;
/// Chunks of all of them that are compared.
const MAX_CHUNKS: usize = 4 << 20;

/// Samples of one track that lie together.
struct Chunk {
    track: usize,
    /// Offset in the file.
    offset: u64,
    /// Decoding time at which its last sample ends, in seconds.
    end: f64,
}

/// Seconds by which one track of video or audio is at most ahead of another for who reads the file from its
/// start to its end: so much has to be buffered. None when a `moov` does not say so, when there is too much
/// of it, or when the chunks of a track are out of order.
pub(super) fn max_interleave_gap(moov: &[u8]) -> Option<f64> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut tracks = 0;
    for (_, trak) in children(moov).filter(|(kind, _)| *kind == b"trak") {
        let Some(mdia) = child(trak, b"mdia").filter(|mdia| is_video_or_audio(mdia)) else { continue };
        if tracks == MAX_TRACKS {
            return None;
        }
        chunks.extend(read_chunks(mdia, tracks, MAX_CHUNKS - chunks.len())?);
        tracks += 1;
    }
    chunks.sort_by_key(|chunk| chunk.offset);
    let mut chunks_left = vec![0_usize; tracks];
    for chunk in &chunks {
        chunks_left[chunk.track] += 1;
    }
    let mut read_until = vec![0.0_f64; tracks];
    let mut max_gap = 0.0_f64;
    for chunk in &chunks {
        if chunk.end < read_until[chunk.track] {
            return None;
        }
        read_until[chunk.track] = chunk.end;
        chunks_left[chunk.track] -= 1;
        // nothing waits for a track that has ended
        let others = (0..tracks).filter(|track| chunks_left[*track] > 0).map(|track| read_until[track]);
        max_gap = max_gap.max(chunk.end - others.fold(chunk.end, f64::min));
    }
    Some(max_gap)
}

/// The chunks of a track; none when there are more than `max_chunks`.
fn read_chunks(mdia: &[u8], track: usize, max_chunks: usize) -> Option<Vec<Chunk>> {
    let stbl = child(mdia, b"minf").and_then(|body| child(body, b"stbl"))?;
    let (timescale, _) = timescale_and_duration(child(mdia, b"mdhd")?)?;
    let (offsets, mut runs) = (ChunkOffsets::read(stbl)?, ChunkRuns::read(stbl)?);
    let mut times = SampleTimes::new(child(stbl, b"stts")?);
    if offsets.count() > max_chunks {
        return None;
    }
    let mut chunks = Vec::with_capacity(offsets.count());
    for index in 0..offsets.count() {
        times.advance(runs.samples_in(index)?)?;
        chunks.push(Chunk {
            track,
            offset: offsets.offset(index)?,
            end: times.time as f64 / f64::from(timescale),
        });
    }
    Some(chunks)
}

/// Goes through the samples of a `stts` and adds up their durations.
struct SampleTimes<'a> {
    stts: &'a [u8],
    next_entry: usize,
    /// Samples that are left of the entry before, and the duration of each.
    samples_left: u32,
    sample_duration: u32,
    /// Decoding time after all samples so far, in units of the timescale.
    time: u64,
    samples: u64,
}

impl<'a> SampleTimes<'a> {
    fn new(stts: &'a [u8]) -> Self {
        Self { stts, next_entry: 0, samples_left: 0, sample_duration: 0, time: 0, samples: 0 }
    }

    /// Goes on by so many samples; none when they are too many in all.
    fn advance(&mut self, mut samples: u32) -> Option<()> {
        self.samples += u64::from(samples);
        if self.samples > MAX_SAMPLES {
            return None;
        }
        while samples > 0 {
            if self.samples_left == 0 {
                let offset = 8 + self.next_entry * 8;
                let count = read_u32(self.stts, offset);
                let (Some(count), Some(duration)) = (count, read_u32(self.stts, offset + 4)) else {
                    // samples that the table does not have take no time
                    return Some(());
                };
                (self.samples_left, self.sample_duration) = (count, duration);
                self.next_entry += 1;
                continue;
            }
            let taken = samples.min(self.samples_left);
            self.time = self.time.saturating_add(u64::from(taken) * u64::from(self.sample_duration));
            samples -= taken;
            self.samples_left -= taken;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{
        super::boxes::tests::{boxed, numbers},
        *,
    };

    /// A track with chunks of (samples, offset); the duration of each sample is a second.
    fn track(kind: &[u8; 4], chunks: &[(u32, u32)]) -> Vec<u8> {
        let samples = chunks.iter().map(|(samples, _)| samples).sum();
        let runs: Vec<_> =
            (1..).zip(chunks).flat_map(|(number, (samples, _))| [number, *samples, 1]).collect();
        let offsets: Vec<_> = chunks.iter().map(|(_, offset)| *offset).collect();
        let count = chunks.len() as u32;
        let table = [
            boxed(b"stts", &numbers(&[0, 1, samples, 50])),
            boxed(b"stsc", &numbers(&[&[0, count][..], &runs].concat())),
            boxed(b"stco", &numbers(&[&[0, count][..], &offsets].concat())),
        ];
        let handler = boxed(b"hdlr", &[&[0; 8], &kind[..]].concat());
        let header = boxed(b"mdhd", &numbers(&[0, 0, 0, 50, samples * 50]));
        let media = [handler, header, boxed(b"minf", &boxed(b"stbl", &table.concat()))].concat();
        boxed(b"trak", &boxed(b"mdia", &media))
    }

    #[rstest]
    #[case::alone(&[(9, 0), (9, 100)], &[], Some(0.0))]
    #[case::side_by_side(&[(1, 0), (1, 20), (1, 40)], &[(1, 10), (1, 30), (1, 50)], Some(1.0))]
    #[case::one_after_the_other(&[(30, 0), (30, 10)], &[(60, 50)], Some(60.0))]
    #[case::one_is_longer(&[(1, 0), (99, 20)], &[(1, 10)], Some(1.0))]
    #[case::out_of_order(&[(1, 20), (1, 0)], &[(1, 10)], None)]
    fn how_far_apart(#[case] video: &[(u32, u32)], #[case] audio: &[(u32, u32)], #[case] gap: Option<f64>) {
        let text = track(b"text", &[(500, 7)]);
        assert_eq!(max_interleave_gap(&[track(b"vide", video), track(b"soun", audio), text].concat()), gap);
    }

    #[test]
    fn too_much_is_not_looked_at() {
        let none = track(b"soun", &[]);
        assert_eq!(max_interleave_gap(&vec![none.clone(); MAX_TRACKS].concat()), Some(0.0));
        assert_eq!(max_interleave_gap(&vec![none; MAX_TRACKS + 1].concat()), None);
        let media = track(b"vide", &[(1, 0), (1, 20)]);
        let media = child(child(&media, b"trak").expect("a track"), b"mdia").expect("media");
        assert!(read_chunks(media, 0, 2).is_some() && read_chunks(media, 0, 1).is_none());
    }

    #[test]
    fn without_times_nothing_is_said() {
        let media = boxed(b"hdlr", &[&[0; 8], &b"vide"[..]].concat());
        assert_eq!(max_interleave_gap(&boxed(b"trak", &boxed(b"mdia", &media))), None);
        assert_eq!(max_interleave_gap(b""), Some(0.0));
    }

    proptest! {
        #[test]
        fn any_damage_is_read(at in 0_usize..400, value in any::<u8>()) {
            let mut index = [track(b"vide", &[(1, 0), (1, 20)]), track(b"soun", &[(1, 10), (1, 30)])].concat();
            let at = at % index.len();
            index[at] = value;
            max_interleave_gap(&index);
        }
    }
}
