//! How the tracks of an MP4 lie beside each other in the file, by its index (ISO/IEC 14496-12, 8.6 and 8.7).

use super::{
    boxes::{child, children, number32},
    sample_table::{Chunks, is_shown, said},
};

/// Samples of a track that are looked at: 12 h of any.
const MOST_SAMPLES: u64 = 20_000_000;
/// Tracks, and chunks of all of them, that are looked at.
const MOST_TRACKS: usize = 64;
const MOST_CHUNKS: usize = 4 << 20;

/// Samples that lie together.
struct Chunk {
    track: usize,
    /// Where they begin, in bytes.
    offset: u64,
    /// When the last one is over, in seconds.
    end: f64,
}

/// Seconds by which one track of picture or sound is at most ahead of another for who reads the file from
/// its start to its end. None when the index does not say so, or when a track's chunks are out of order.
pub(super) fn spread(index: &[u8]) -> Option<f64> {
    let tracks = children(index).filter(|(kind, _)| *kind == b"trak").map(|(_, body)| body);
    let mut chunks = Vec::new();
    let mut count = 0;
    for track in tracks.filter_map(|track| child(track, b"mdia")).filter(|media| is_shown(media)) {
        if count == MOST_TRACKS {
            return None;
        }
        chunks.extend(chunks_of(track, count, MOST_CHUNKS - chunks.len())?);
        count += 1;
    }
    chunks.sort_by_key(|chunk: &Chunk| chunk.offset);
    let mut left = vec![0_usize; count];
    chunks.iter().for_each(|chunk| left[chunk.track] += 1);
    let (mut heard, mut most) = (vec![0.0_f64; count], 0.0_f64);
    for chunk in &chunks {
        if chunk.end < heard[chunk.track] {
            return None;
        }
        heard[chunk.track] = chunk.end;
        left[chunk.track] -= 1;
        // who has ended waits for nobody
        let behind = (0..count).filter(|track| left[*track] > 0).map(|track| heard[track]);
        most = most.max(chunk.end - behind.fold(chunk.end, f64::min));
    }
    Some(most)
}

/// None when there are more than so many.
fn chunks_of(media: &[u8], track: usize, most: usize) -> Option<Vec<Chunk>> {
    let table = child(media, b"minf").and_then(|body| child(body, b"stbl"))?;
    let (second, _) = said(child(media, b"mdhd")?)?;
    let (places, runs, times) = (Chunks::read(table)?, child(table, b"stsc")?, child(table, b"stts")?);
    let mut clock = Clock { times, entry: 0, left: 0, lasts: 0, now: 0, read: 0 };
    if places.count() > most {
        return None;
    }
    let mut run = 0;
    let mut chunks = Vec::with_capacity(places.count());
    for number in 0..places.count() {
        while number32(runs, 8 + (run + 1) * 12).is_some_and(|first| first as usize <= number + 1) {
            run += 1;
        }
        clock.pass(number32(runs, 12 + run * 12)?)?;
        chunks.push(Chunk {
            track,
            offset: places.offset(number)?,
            end: clock.now as f64 / f64::from(second),
        });
    }
    Some(chunks)
}

/// Passes over samples, and adds up how long they last.
struct Clock<'a> {
    times: &'a [u8],
    entry: usize,
    /// Samples that are left of this entry, and the ticks of each.
    left: u32,
    lasts: u32,
    now: u64,
    read: u64,
}

impl Clock<'_> {
    fn pass(&mut self, mut samples: u32) -> Option<()> {
        self.read += u64::from(samples);
        while samples > 0 && self.read <= MOST_SAMPLES {
            if self.left == 0 {
                let at = 8 + self.entry * 8;
                // samples that the table does not have last for nothing
                let (Some(left), Some(lasts)) = (number32(self.times, at), number32(self.times, at + 4))
                else {
                    return Some(());
                };
                (self.left, self.lasts, self.entry) = (left, lasts, self.entry + 1);
                continue;
            }
            let taken = samples.min(self.left);
            self.now = self.now.saturating_add(u64::from(taken) * u64::from(self.lasts));
            (samples, self.left) = (samples - taken, self.left - taken);
        }
        (self.read <= MOST_SAMPLES).then_some(())
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

    /// A track with chunks of this many samples at these places; each sample lasts a second.
    fn track(kind: &[u8; 4], chunks: &[(u32, u32)]) -> Vec<u8> {
        let samples = chunks.iter().map(|(samples, _)| samples).sum();
        let runs: Vec<_> =
            (1..).zip(chunks).flat_map(|(number, (samples, _))| [number, *samples, 1]).collect();
        let places: Vec<_> = chunks.iter().map(|(_, place)| *place).collect();
        let count = chunks.len() as u32;
        let table = [
            boxed(b"stts", &numbers(&[0, 1, samples, 50])),
            boxed(b"stsc", &numbers(&[&[0, count][..], &runs].concat())),
            boxed(b"stco", &numbers(&[&[0, count][..], &places].concat())),
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
    fn how_far_apart(
        #[case] picture: &[(u32, u32)],
        #[case] sound: &[(u32, u32)],
        #[case] spread_wanted: Option<f64>,
    ) {
        let text = track(b"text", &[(500, 7)]);
        assert_eq!(spread(&[track(b"vide", picture), track(b"soun", sound), text].concat()), spread_wanted);
    }

    #[test]
    fn too_much_is_not_looked_at() {
        let none = track(b"soun", &[]);
        assert_eq!(spread(&vec![none.clone(); MOST_TRACKS].concat()), Some(0.0));
        assert_eq!(spread(&vec![none; MOST_TRACKS + 1].concat()), None);
        let media = track(b"vide", &[(1, 0), (1, 20)]);
        let media = child(child(&media, b"trak").expect("a track"), b"mdia").expect("media");
        assert!(chunks_of(media, 0, 2).is_some() && chunks_of(media, 0, 1).is_none());
    }

    #[test]
    fn without_times_nothing_is_said() {
        let media = boxed(b"hdlr", &[&[0; 8], &b"vide"[..]].concat());
        assert_eq!(spread(&boxed(b"trak", &boxed(b"mdia", &media))), None);
        assert_eq!(spread(b""), Some(0.0));
    }

    proptest! {
        #[test]
        fn any_damage_is_read(at in 0_usize..400, value in any::<u8>()) {
            let mut index = [track(b"vide", &[(1, 0), (1, 20)]), track(b"soun", &[(1, 10), (1, 30)])].concat();
            let at = at % index.len();
            index[at] = value;
            spread(&index);
        }
    }
}
