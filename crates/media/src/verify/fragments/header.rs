//! Initialization segments: one track, of which nothing is there yet.

use super::Boxes;
use crate::{
    codecs,
    format::mp4::{
        audio_entry::AudioParams,
        boxes::{child, children, read_u32},
        fragment::TrackDefaults,
        video_entry,
    },
    verify::segments::Wanted,
};

/// The brand of CMAF headers (CMAF, 7.2).
const BRAND: &[u8] = b"cmfc";
/// `ftyp`, then `moov` with one track that is continued in fragments.
pub(super) fn read(boxes: &Boxes, wanted: Wanted) -> Result<TrackDefaults, String> {
    is_of_cmaf(boxes)?;
    if boxes.top.iter().any(|entry| matches!(&entry.kind, b"mdat" | b"moof")) {
        return Err("holds samples".to_owned());
    }
    let movie = boxes.body(boxes.find(b"moov").ok_or("has no `moov`")?)?;
    let tracks: Vec<_> = children(&movie).filter(|(kind, _)| *kind == b"trak").collect();
    let [(_, track)] = tracks[..] else { return Err(format!("has {} tracks, not 1", tracks.len())) };
    let table = [b"mdia", b"minf", b"stbl"].iter().try_fold(track, |body, kind| child(body, kind));
    let table = table.ok_or("has a track without its table (`stbl`)")?;
    has_no_samples(table)?;
    match wanted {
        Wanted::Picture(codec) => {
            let name = codecs::video(codec).sample_entry();
            if !entry(table, name).is_some_and(|entry| video_entry::has_decoder_config(codec, entry)) {
                return Err(lacks(name));
            }
        }
        Wanted::Sound(wanted) => {
            let name = codecs::audio(wanted.codec).sample_entry();
            let found = entry(table, name).and_then(|entry| AudioParams::read(wanted.codec, entry));
            let found = found.ok_or_else(|| lacks(name))?;
            if found != wanted {
                let says =
                    |heard: AudioParams| format!("{} channels at {} Hz", heard.channels, heard.sample_rate);
                return Err(format!("says in its `{name}` {}, not {}", says(found), says(wanted)));
            }
        }
    }
    let clock = child(track, b"mdia").and_then(|media| child(media, b"mdhd"));
    let timescale = clock.and_then(|clock| read_u32(clock, if clock.first() == Some(&1) { 20 } else { 12 }));
    let number = child(track, b"tkhd")
        .and_then(|header| read_u32(header, if header.first() == Some(&1) { 20 } else { 12 }));
    let defaults = child(&movie, b"mvex").and_then(|body| child(body, b"trex"));
    let defaults = defaults.ok_or("does not say that fragments follow (`mvex`, `trex`)")?;
    let default = |at| read_u32(defaults, at).unwrap_or_default();
    if number != Some(default(4)) {
        return Err(format!("continues track {}, and has another", default(4)));
    }
    let timescale = timescale.filter(|ticks| *ticks > 0).ok_or("has a track without a clock (`mdhd`)")?;
    Ok(TrackDefaults {
        track_id: default(4),
        timescale,
        sample_duration: default(12),
        sample_size: default(16),
    })
}

/// `ftyp` comes first, and says that the rules of CMAF are kept (CMAF, 7.2).
fn is_of_cmaf(boxes: &Boxes) -> Result<(), String> {
    let first = boxes.top.first().filter(|entry| &entry.kind == b"ftyp");
    let brands = boxes.body(*first.ok_or("does not begin with `ftyp`")?)?;
    let named = brands.chunks_exact(4).enumerate().any(|(index, brand)| index != 1 && brand == BRAND);
    if named { Ok(()) } else { Err("does not name the brand `cmfc`".to_owned()) }
}

/// All samples are in fragments (CMAF, 7.3).
fn has_no_samples(table: &[u8]) -> Result<(), String> {
    for (kind, count) in [(b"stts", 4), (b"stsc", 4), (b"stco", 4), (b"stsz", 8)] {
        match child(table, kind).and_then(|body| read_u32(body, count)) {
            Some(0) => {}
            _ => return Err(format!("holds samples (`{}`)", String::from_utf8_lossy(kind))),
        }
    }
    Ok(())
}

fn lacks(entry: &str) -> String {
    format!("does not say in its `{entry}` what a decoder needs first")
}

/// The first entry of a table's `stsd`, if it has this name.
fn entry<'b>(table: &'b [u8], name: &str) -> Option<&'b [u8]> {
    child(child(table, b"stsd")?.get(8..)?, kind(name)?)
}

fn kind(name: &str) -> Option<&[u8; 4]> {
    name.as_bytes().try_into().ok()
}
