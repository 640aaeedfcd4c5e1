//! The boxes of fragmented MP4 (ISO/IEC 14496-12) as CMAF (ISO/IEC 23000-19, 7.3) cuts them: what a player
//! relies on that joins at any segment. Read from the bytes; flags of keyframes are not believed.

mod header;
#[cfg(test)]
mod tests;

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use super::{listing::Track, segments::Wanted};
use crate::format::{
    mp4::{
        boxes::read_u32,
        fragment::{Fragment, TrackDefaults},
        sidx::{self, Reference},
    },
    random_access,
};
use model::VideoCodec;

/// Bytes of a box's header.
const BOX: u64 = 8;

/// Bytes of a box that is read into memory: a movie's, or a fragment's with a sample for each frame.
const MOST_BOX: u64 = 64 << 20;
/// Boxes of one file that are looked at.
const MOST_BOXES: usize = 10_000;

/// Looks at every segment of a track; says what is wrong. Only a copy may begin `late`.
pub(super) fn check(track: &Track, wanted: Wanted, late: bool) -> Result<(), String> {
    let picture = match wanted {
        Wanted::Picture(codec) => Some(codec),
        Wanted::Sound(_) => None,
    };
    let Some(init) = &track.init else { return Err("has no initialization segment".to_owned()) };
    let header = Boxes::open(&init.path, init.bytes).and_then(|boxes| {
        let header = header::read(&boxes, wanted)?;
        has_the_listed_clock(&header, track.claims.timescale)?;
        Ok(header)
    });
    let header = header.map_err(|problem| format!("its initialization segment {problem}"))?;
    let mut clock = Clock { number: None, next: if late { None } else { Some(0) } };
    for (index, segment) in track.segments.iter().enumerate() {
        Boxes::open(&segment.piece.path, segment.piece.bytes)
            .and_then(|boxes| boxes.segment(&header, &mut clock, picture))
            .map_err(|problem| format!("segment {} {problem}", index + 1))?;
    }
    Ok(())
}

/// A timeline counts as the track does (DASH-IF IOP, 3.2).
fn has_the_listed_clock(header: &TrackDefaults, listed: Option<u64>) -> Result<(), String> {
    let found = header.timescale;
    match listed.filter(|listed| *listed != u64::from(found)) {
        Some(listed) => Err(format!("has {found} ticks a second, and {listed} are listed")),
        None => Ok(()),
    }
}

/// Where a track stands after the fragments so far.
struct Clock {
    /// The number of the last fragment.
    number: Option<u32>,
    /// Ticks at which the next one begins; none: wherever it does.
    next: Option<u64>,
}

impl Clock {
    /// Fragments are numbered upwards (ISO/IEC 14496-12, 8.8.5), and each begins at the tick at which the
    /// one before it ends, the first at 0 (8.8.12; CMAF, 7.3).
    fn advance(&mut self, fragment: &Fragment) -> Result<(), String> {
        let Fragment { sequence_number: number, decode_time: begins, duration: lasts, .. } = *fragment;
        if let Some(last) = self.number.filter(|last| number <= *last) {
            return Err(format!("has fragment {number} after {last}"));
        }
        if let Some(next) = self.next.filter(|next| *next != begins) {
            return Err(format!("begins at {begins} ticks, and what is before it ends at {next}"));
        }
        (self.number, self.next) = (Some(number), Some(begins + lasts));
        Ok(())
    }
}

/// A top box: its kind, where it begins, and bytes with its header.
#[derive(Clone, Copy)]
struct Entry {
    kind: [u8; 4],
    at: u64,
    size: u64,
}

/// The top boxes of a file, and the file.
struct Boxes {
    file: File,
    top: Vec<Entry>,
}

impl Boxes {
    fn open(path: &Path, length: u64) -> Result<Self, String> {
        let unreadable = |error| format!("cannot be read: {error}");
        let file = File::open(path).map_err(unreadable)?;
        let (mut top, mut at) = (Vec::new(), 0);
        while at < length && top.len() < MOST_BOXES {
            let mut head = [0; 8];
            file.read_exact_at(&mut head, at).map_err(unreadable)?;
            let size = u64::from(read_u32(&head, 0).unwrap_or_default());
            if size < 8 || at + size > length {
                return Err(format!("has a box at byte {at} that does not end in it"));
            }
            top.push(Entry { kind: [head[4], head[5], head[6], head[7]], at, size });
            at += size;
        }
        Ok(Self { file, top })
    }

    fn find(&self, kind: &[u8; 4]) -> Option<Entry> {
        self.top.iter().copied().find(|entry| entry.kind == *kind)
    }

    fn body(&self, Entry { kind, at, size }: Entry) -> Result<Vec<u8>, String> {
        let name = String::from_utf8_lossy(&kind).into_owned();
        if size > MOST_BOX {
            return Err(format!("has a `{name}` of {size} bytes"));
        }
        let mut body = vec![0; usize::try_from(size - 8).unwrap_or_default()];
        self.file.read_exact_at(&mut body, at + 8).map_err(|error| format!("cannot be read: {error}"))?;
        Ok(body)
    }

    /// Each `moof` is followed by its `mdat`, and nothing else is there but what may be (CMAF, 7.3); pictures begin with
    /// one that can be decoded without any other.
    fn segment(
        &self,
        header: &TrackDefaults,
        clock: &mut Clock,
        picture: Option<VideoCodec>,
    ) -> Result<(), String> {
        let mut fragments = Vec::new();
        for (index, &entry) in self.top.iter().enumerate() {
            match &entry.kind {
                b"moof" => {}
                b"mdat" if index > 0 && &self.top[index - 1].kind == b"moof" => continue,
                b"styp" | b"sidx" | b"emsg" | b"prft" | b"free" => continue,
                other => return Err(format!("has a `{}` out of place", String::from_utf8_lossy(other))),
            }
            let data = self.top.get(index + 1).filter(|next| &next.kind == b"mdat");
            let data = data.ok_or("has a `moof` without its `mdat`")?;
            let fragment = Fragment::read(&self.body(entry)?, header)
                .ok_or("has a `moof` that is not one track's with its time (`traf`, `tfdt`, `trun`)")?;
            clock.advance(&fragment)?;
            fills(&fragment, entry, *data)?;
            if let Some(codec) = picture
                && !random_access::is_random_access(&self.file, codec, entry.at + fragment.data_offset)
            {
                return Err("does not begin with a picture that can be decoded alone".to_owned());
            }
            fragments.push(fragment);
        }
        if fragments.is_empty() {
            return Err("has no `moof`".to_owned());
        }
        match self.find(b"sidx") {
            Some(entry) => {
                let index =
                    sidx::read_references(&self.body(entry)?).ok_or("has a `sidx` that cannot be read")?;
                let length = self.top.iter().map(|entry| entry.size).sum::<u64>();
                is_true(&index, length - entry.at - entry.size, &fragments)
            }
            None => Ok(()),
        }
    }
}

/// Its samples are the whole `mdat` after it (CMAF, 7.3).
fn fills(fragment: &Fragment, moof: Entry, mdat: Entry) -> Result<(), String> {
    let from = moof.at + fragment.data_offset;
    let to = from + fragment.bytes;
    let (begin, end) = (mdat.at + BOX, mdat.at + mdat.size);
    if (from, to) == (begin, end) {
        return Ok(());
    }
    Err(format!("has samples in bytes {from} to {to}, and a `mdat` with {begin} to {end}"))
}

/// An index lists these fragments, which are so many bytes, and that each begins with what stands alone.
fn is_true(index: &[Reference], bytes: u64, fragments: &[Fragment]) -> Result<(), String> {
    let listed_bytes = index.iter().map(|reference| reference.bytes).sum::<u64>();
    let listed_ticks = index.iter().map(|reference| reference.duration).sum::<u64>();
    let ticks = fragments.iter().map(|fragment| fragment.duration).sum::<u64>();
    if (listed_bytes, listed_ticks) != (bytes, ticks) {
        return Err(format!(
            "has an index of {listed_bytes} bytes and {listed_ticks} ticks, and is {bytes} and {ticks}"
        ));
    }
    if index.len() != fragments.len() || !index.iter().all(|reference| reference.starts_with_sap_1) {
        return Err("has an index that does not list its fragments as points to begin at".to_owned());
    }
    Ok(())
}
