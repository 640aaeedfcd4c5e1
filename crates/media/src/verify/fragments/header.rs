//! Initialization segments: one track, without samples, with all that its decoder needs.

use super::SegmentFile;
use crate::{
    codecs,
    format::mp4::{
        audio_entry::AudioParams,
        boxes::{child, children, read_u32},
        fragment::TrackDefaults,
        video_entry,
    },
    verify::listing::ExpectedTrack,
};

/// The brand of CMAF headers (CMAF, 7.2).
const CMAF_BRAND: &[u8] = b"cmfc";

/// Checks `ftyp`, then `moov` with one track that is continued in fragments; gives what these take from it.
pub(super) fn read(file: &SegmentFile, expected: ExpectedTrack) -> Result<TrackDefaults, String> {
    check_brand(file)?;
    if file.boxes.iter().any(|header| matches!(&header.kind, b"mdat" | b"moof")) {
        return Err("holds samples".to_owned());
    }
    let moov = file.read_body(file.find(b"moov").ok_or("has no `moov`")?)?;
    let tracks: Vec<_> = children(&moov).filter(|(kind, _)| *kind == b"trak").collect();
    let [(_, trak)] = tracks[..] else { return Err(format!("has {} tracks, not 1", tracks.len())) };
    let stbl = [b"mdia", b"minf", b"stbl"].iter().try_fold(trak, |body, kind| child(body, kind));
    let stbl = stbl.ok_or("has a track without its sample table (`stbl`)")?;
    check_no_samples(stbl)?;
    check_sample_entry(stbl, expected)?;
    read_defaults(&moov, trak)
}

/// Codec, and what its decoder needs first.
fn check_sample_entry(stbl: &[u8], expected: ExpectedTrack) -> Result<(), String> {
    match expected {
        ExpectedTrack::Video(codec) => {
            let name = codecs::video(codec).sample_entry();
            let entry = sample_entry(stbl, name);
            if !entry.is_some_and(|entry| video_entry::has_decoder_config(codec, entry)) {
                return Err(no_decoder_config(name));
            }
        }
        ExpectedTrack::Audio(expected) => {
            let name = codecs::audio(expected.codec).sample_entry();
            let found = sample_entry(stbl, name).and_then(|entry| AudioParams::read(expected.codec, entry));
            let found = found.ok_or_else(|| no_decoder_config(name))?;
            if found != expected {
                let params = |of: AudioParams| format!("{} channels at {} Hz", of.channels, of.sample_rate);
                return Err(format!("has in its `{name}` {}, not {}", params(found), params(expected)));
            }
        }
    }
    Ok(())
}

/// What fragments take from the `mdhd` and the `trex` of the track.
fn read_defaults(moov: &[u8], trak: &[u8]) -> Result<TrackDefaults, String> {
    // version 1 of `tkhd` and `mdhd` has two times of 8 bytes instead of 4 before these fields
    let after_times = |body: &[u8]| read_u32(body, if body.first() == Some(&1) { 20 } else { 12 });
    let track_id = child(trak, b"tkhd").and_then(after_times);
    let timescale = child(trak, b"mdia").and_then(|mdia| child(mdia, b"mdhd")).and_then(after_times);
    let trex = child(moov, b"mvex").and_then(|mvex| child(mvex, b"trex"));
    let trex = trex.ok_or("does not say that fragments follow (`mvex`, `trex`)")?;
    let field = |offset| read_u32(trex, offset).unwrap_or_default();
    let continued_id = field(4);
    if track_id != Some(continued_id) {
        return Err(format!("continues track {continued_id}, and has another"));
    }
    let timescale = timescale.filter(|timescale| *timescale > 0);
    Ok(TrackDefaults {
        track_id: continued_id,
        timescale: timescale.ok_or("has a track without a timescale (`mdhd`)")?,
        sample_duration: field(12),
        sample_size: field(16),
    })
}

/// `ftyp` comes first, and has the brand of CMAF (CMAF, 7.2).
fn check_brand(file: &SegmentFile) -> Result<(), String> {
    let first = file.boxes.first().filter(|header| &header.kind == b"ftyp");
    let ftyp = file.read_body(*first.ok_or("does not begin with `ftyp`")?)?;
    // the second word is the version of the first, the major brand
    let mut brands = ftyp.chunks_exact(4).enumerate().filter(|(index, _)| *index != 1);
    if brands.any(|(_, brand)| brand == CMAF_BRAND) {
        return Ok(());
    }
    Err("does not name the brand `cmfc`".to_owned())
}

/// All samples are in fragments (CMAF, 7.3).
fn check_no_samples(stbl: &[u8]) -> Result<(), String> {
    for (kind, count_offset) in [(b"stts", 4), (b"stsc", 4), (b"stco", 4), (b"stsz", 8)] {
        let count = child(stbl, kind).and_then(|body| read_u32(body, count_offset));
        if count != Some(0) {
            return Err(format!("holds samples (`{}`)", String::from_utf8_lossy(kind)));
        }
    }
    Ok(())
}

fn no_decoder_config(entry: &str) -> String {
    format!("does not have in its `{entry}` what a decoder needs first")
}

/// The first sample entry of a `stsd`, if it has this name.
fn sample_entry<'b>(stbl: &'b [u8], name: &str) -> Option<&'b [u8]> {
    child(child(stbl, b"stsd")?.get(8..)?, name.as_bytes().try_into().ok()?)
}
