//! Segments in fragmented MP4 (ISO/IEC 14496-12) as CMAF (ISO/IEC 23000-19, 7.3) cuts them: what a player
//! relies on that joins at any of them. Read from the bytes: flags of key frames are not believed.

mod header;
#[cfg(test)]
mod tests;

use std::fs::File;

use model::VideoCodec;

use super::listing::{ExpectedTrack, MediaFile, Track};
use crate::{
    format::{
        mp4::{
            boxes::BoxHeader,
            fragment::{Fragment, TrackDefaults},
            sidx::{self, Reference},
        },
        random_access,
    },
    work_folder::WorkFolder,
};

/// Bytes of the body of a box that is read into memory: a `moov`, or a `moof` with a sample for each frame.
const MAX_BODY_BYTES: u64 = 64 << 20;
/// Boxes of one file that are read.
const MAX_BOXES: usize = 10_000;

/// Checks every segment of a track; says what is wrong. Only a copy `may_begin_late`.
pub(super) fn check(
    track: &Track,
    expected: ExpectedTrack,
    may_begin_late: bool,
    dir: &WorkFolder,
) -> Result<(), String> {
    let video = match expected {
        ExpectedTrack::Video(codec) => Some(codec),
        ExpectedTrack::Audio(_) => None,
    };
    let Some(init) = &track.init else { return Err("has no initialization segment".to_owned()) };
    let defaults = SegmentFile::open(dir, init)
        .and_then(|file| header::read(&file, expected))
        .and_then(|defaults| {
            check_timescale(defaults.timescale, track.claims.timescale)?;
            Ok(defaults)
        })
        .map_err(|problem| format!("its initialization segment {problem}"))?;
    let next_decode_time = if may_begin_late { None } else { Some(0) };
    let mut position = TrackPosition { sequence_number: None, next_decode_time };
    for (index, segment) in track.segments.iter().enumerate() {
        SegmentFile::open(dir, &segment.file)
            .and_then(|file| file.check(&defaults, &mut position, video))
            .map_err(|problem| format!("segment {} {problem}", index + 1))?;
    }
    Ok(())
}

/// A manifest's timeline has the timescale of the track (DASH-IF IOP, 3.2).
fn check_timescale(found: u32, listed: Option<u64>) -> Result<(), String> {
    match listed {
        Some(listed) if listed != u64::from(found) => {
            Err(format!("has the timescale {found}, and {listed} is listed"))
        }
        _ => Ok(()),
    }
}

/// Where a track is after the fragments so far.
struct TrackPosition {
    /// That of the last fragment.
    sequence_number: Option<u32>,
    /// That of the next fragment, in units of the timescale; none where any will do.
    next_decode_time: Option<u64>,
}

impl TrackPosition {
    /// Sequence numbers grow (ISO/IEC 14496-12, 8.8.5), and each fragment begins where the one before it
    /// ends, the first at 0 (8.8.12; CMAF, 7.3).
    fn advance(&mut self, fragment: &Fragment) -> Result<(), String> {
        let Fragment { sequence_number, decode_time, duration, .. } = *fragment;
        if let Some(last) = self.sequence_number
            && sequence_number <= last
        {
            return Err(format!("has fragment {sequence_number} after {last}"));
        }
        if let Some(expected) = self.next_decode_time
            && decode_time != expected
        {
            return Err(format!(
                "has the decode time {decode_time}, and what is before it ends at {expected}"
            ));
        }
        self.sequence_number = Some(sequence_number);
        self.next_decode_time = Some(decode_time + duration);
        Ok(())
    }
}

/// A file, and the boxes of its top level, which fill it.
struct SegmentFile {
    file: File,
    boxes: Vec<BoxHeader>,
}

impl SegmentFile {
    fn open(dir: &WorkFolder, MediaFile { path, bytes: file_bytes }: &MediaFile) -> Result<Self, String> {
        let unreadable = |error| format!("cannot be read: {error}");
        let file = dir.open_file(path).map_err(unreadable)?;
        let (file_bytes, mut boxes, mut offset) = (*file_bytes, Vec::new(), 0);
        while offset < file_bytes && boxes.len() < MAX_BOXES {
            let header = BoxHeader::read(&mut &file, offset, file_bytes).map_err(unreadable)?;
            let header = header.filter(|header| header.end <= file_bytes);
            let header =
                header.ok_or_else(|| format!("has a box at byte {offset} that does not end in it"))?;
            boxes.push(header);
            offset = header.end;
        }
        Ok(Self { file, boxes })
    }

    fn find(&self, kind: &[u8; 4]) -> Option<BoxHeader> {
        self.boxes.iter().copied().find(|header| header.kind == *kind)
    }

    fn read_body(&self, header: BoxHeader) -> Result<Vec<u8>, String> {
        if header.body_bytes() > MAX_BODY_BYTES {
            let name = String::from_utf8_lossy(&header.kind);
            return Err(format!("has a `{name}` of {} bytes", header.body_bytes()));
        }
        header.read_body(&mut &self.file).map_err(|error| format!("cannot be read: {error}"))
    }

    /// Each `moof` is followed by its `mdat`, and nothing else is there but what may be (CMAF, 7.3);
    /// fragments of video begin with a random access point.
    fn check(
        &self,
        defaults: &TrackDefaults,
        position: &mut TrackPosition,
        video: Option<VideoCodec>,
    ) -> Result<(), String> {
        let mut fragments = Vec::new();
        for (index, &header) in self.boxes.iter().enumerate() {
            match &header.kind {
                b"moof" => {}
                b"mdat" if index > 0 && &self.boxes[index - 1].kind == b"moof" => continue,
                b"styp" | b"sidx" | b"emsg" | b"prft" | b"free" => continue,
                other => return Err(format!("has a `{}` out of place", String::from_utf8_lossy(other))),
            }
            let mdat = self.boxes.get(index + 1).filter(|next| &next.kind == b"mdat");
            let mdat = mdat.ok_or("has a `moof` without its `mdat`")?;
            let fragment = Fragment::read(&self.read_body(header)?, defaults)
                .ok_or("has a `moof` that is not one track's with its time (`traf`, `tfdt`, `trun`)")?;
            position.advance(&fragment)?;
            check_data(&fragment, header, *mdat)?;
            if let Some(codec) = video
                && !random_access::is_random_access(&self.file, codec, header.start + fragment.data_offset)
            {
                return Err("does not begin with a random access point".to_owned());
            }
            fragments.push(fragment);
        }
        if fragments.is_empty() {
            return Err("has no `moof`".to_owned());
        }
        let Some(sidx) = self.find(b"sidx") else { return Ok(()) };
        let references =
            sidx::read_references(&self.read_body(sidx)?).ok_or("has a `sidx` that cannot be read")?;
        let file_bytes = self.boxes.last().map_or(0, |last| last.end);
        check_index(&references, file_bytes - sidx.end, &fragments)
    }
}

/// The samples of a fragment are the whole `mdat` after it (CMAF, 7.3).
fn check_data(fragment: &Fragment, moof: BoxHeader, mdat: BoxHeader) -> Result<(), String> {
    let samples_start = moof.start + fragment.data_offset;
    let samples_end = samples_start + fragment.bytes;
    let BoxHeader { body: data_start, end: data_end, .. } = mdat;
    if (samples_start, samples_end) == (data_start, data_end) {
        return Ok(());
    }
    Err(format!(
        "has samples in bytes {samples_start} to {samples_end}, and a `mdat` with {data_start} to {data_end}"
    ))
}

/// A `sidx` lists these fragments, which have so many bytes, and that each begins with a stream access
/// point.
fn check_index(references: &[Reference], bytes: u64, fragments: &[Fragment]) -> Result<(), String> {
    let listed_bytes = references.iter().map(|reference| reference.bytes).sum::<u64>();
    let listed_duration = references.iter().map(|reference| reference.duration).sum::<u64>();
    let duration = fragments.iter().map(|fragment| fragment.duration).sum::<u64>();
    if (listed_bytes, listed_duration) != (bytes, duration) {
        return Err(format!(
            "has a `sidx` of {listed_bytes} bytes and the duration {listed_duration}, and is {bytes} bytes and \
             {duration}"
        ));
    }
    let all_start_with_sap = references.iter().all(|reference| reference.starts_with_sap_1);
    if references.len() != fragments.len() || !all_start_with_sap {
        return Err("has a `sidx` that does not list its fragments as stream access points".to_owned());
    }
    Ok(())
}
