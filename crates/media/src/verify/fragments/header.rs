//! Initialization segments: one track, of which nothing is there yet.

use super::{Boxes, sound};
use crate::{
    PictureCodec,
    probe::boxes::{child, children, number32},
    verify::segments::{Heard, Wanted},
};

/// The brand of CMAF headers (CMAF, 7.2).
const BRAND: &[u8] = b"cmfc";
/// Bytes of a picture's sample entry before its boxes (ISO/IEC 14496-12, 12.1.3).
const ENTRY: usize = 78;

/// What fragments go by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// The track's number.
    pub track: u32,
    /// Ticks a second.
    pub timescale: u32,
    /// Ticks of a sample of which nothing is said.
    pub duration: u32,
    /// Its bytes.
    pub size: u32,
}

/// `ftyp`, then `moov` with one track that is continued in fragments.
pub(super) fn read(boxes: &Boxes, wanted: Wanted) -> Result<Header, String> {
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
        Wanted::Picture(codec) => describes(table, codec)?,
        Wanted::Sound(wanted) => {
            let name = wanted.codec.sample_entry();
            let found = entry(table, name).and_then(|entry| sound::read(wanted.codec, entry));
            let found = found.ok_or_else(|| lacks(name))?;
            if found != wanted {
                let says = |heard: Heard| format!("{} channels at {} Hz", heard.channels, heard.sample_rate);
                return Err(format!("says in its `{name}` {}, not {}", says(found), says(wanted)));
            }
        }
    }
    let clock = child(track, b"mdia").and_then(|media| child(media, b"mdhd"));
    let timescale = clock.and_then(|clock| number32(clock, if clock.first() == Some(&1) { 20 } else { 12 }));
    let number = child(track, b"tkhd")
        .and_then(|header| number32(header, if header.first() == Some(&1) { 20 } else { 12 }));
    let defaults = child(&movie, b"mvex").and_then(|body| child(body, b"trex"));
    let defaults = defaults.ok_or("does not say that fragments follow (`mvex`, `trex`)")?;
    let default = |at| number32(defaults, at).unwrap_or_default();
    if number != Some(default(4)) {
        return Err(format!("continues track {}, and has another", default(4)));
    }
    let timescale = timescale.filter(|ticks| *ticks > 0).ok_or("has a track without a clock (`mdhd`)")?;
    Ok(Header { track: default(4), timescale, duration: default(12), size: default(16) })
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
        match child(table, kind).and_then(|body| number32(body, count)) {
            Some(0) => {}
            _ => return Err(format!("holds samples (`{}`)", String::from_utf8_lossy(kind))),
        }
    }
    Ok(())
}

/// What a decoder needs before the first picture is in the header: sets of parameters (ISO/IEC 14496-15,
/// 5.3.3.1.2 and 8.3.3.1.2), or the codec's own box.
fn describes(table: &[u8], codec: PictureCodec) -> Result<(), String> {
    let boxes = entry(table, codec.sample_entry()).and_then(|entry| entry.get(ENTRY..));
    let found = boxes.and_then(|boxes| match codec {
        PictureCodec::H264 => avc_sets(child(boxes, b"avcC")?),
        PictureCodec::H265 => hevc_sets(child(boxes, b"hvcC")?),
        PictureCodec::Av1 => child(boxes, b"av1C").map(|_| ()),
        PictureCodec::Vp9 => child(boxes, b"vpcC").map(|_| ()),
    });
    found.ok_or_else(|| lacks(codec.sample_entry()))
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

/// An SPS, then a PPS, of which none is empty.
fn avc_sets(record: &[u8]) -> Option<()> {
    let mut rest = record.get(5..)?;
    for (mask, kind) in [(0x1f, 7), (0xff, 8)] {
        let count = rest.first()? & mask;
        rest = &rest[1..];
        for _ in 0..count {
            rest = unit(rest, |head| head & 0x1f == kind)?;
        }
        (count > 0).then_some(())?;
    }
    Some(())
}

/// VPS, SPS and PPS, of which none is empty.
fn hevc_sets(record: &[u8]) -> Option<()> {
    let (arrays, mut rest) = (*record.get(22)?, record.get(23..)?);
    let mut kinds = Vec::new();
    for _ in 0..arrays {
        let kind = rest.first()? & 0x3f;
        let count = u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?]);
        rest = &rest[3..];
        for _ in 0..count {
            rest = unit(rest, |head| head >> 1 & 0x3f == kind)?;
            kinds.push(kind);
        }
    }
    [32, 33, 34].iter().all(|kind| kinds.contains(kind)).then_some(())
}

/// What follows a unit with its length of two bytes before it, if its head is right.
fn unit(bytes: &[u8], is_right: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    let unit = bytes.get(2..2 + length)?;
    unit.first().is_some_and(|head| is_right(*head)).then_some(&bytes[2 + length..])
}
