//! MP4 and FLV: what players need to find at the start of the file.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use model::Format;

use super::listing::{Claims, Listing, Piece, Planned, Segment, Track, Wrapping, wrong};
use crate::{error::MediaError, layout::OutputLayout, plan::Plan};

/// FLV's metadata stands at the very start, and an index of 12 h is below this.
const FLV_METADATA: u64 = 2 << 20;

/// Looks at the one file in `dir`.
pub(super) fn read(plan: &Plan, dir: &Path) -> Result<Listing, MediaError> {
    let name = OutputLayout::main_file(plan.format);
    let piece = Piece::find(dir, &name)?;
    let (wrapping, starts_well, what) = match plan.format {
        Format::Flv => {
            (Wrapping::Flv, has_keyframe_index(&piece.path, plan), "index of keyframes at its start")
        }
        _ => (Wrapping::Mp4, has_index_first(&piece.path), "`moov` before its `mdat`"),
    };
    if !starts_well.map_err(|error| wrong(format!("`{name}` cannot be read: {error}")))? {
        return Err(wrong(format!("`{name}` does not have its {what}")));
    }
    let videos = (0..plan.videos.len()).map(Planned::Video);
    let planned = videos.chain((0..plan.audios.len()).map(Planned::Audio)).collect();
    let segments = vec![Segment { piece, seconds: None, start: None }];
    let track = Track {
        name,
        planned,
        wrapping,
        init: None,
        segments,
        claims: Claims::default(),
        i_frames: Vec::new(),
    };
    Ok(Listing { format: plan.format, tracks: vec![track], seconds: None, buffer: None, lists: Vec::new() })
}

/// Whether `moov` comes before `mdat` among the top boxes (ISO/IEC 14496-12).
fn has_index_first(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    loop {
        let mut header = [0; 8];
        file.read_exact(&mut header)?;
        let (size, kind) = header.split_at(4);
        match kind {
            b"moov" => return Ok(true),
            b"mdat" => return Ok(false),
            _ => {}
        }
        let size = u32::from_be_bytes(size.try_into().unwrap_or_default());
        if size < 8 {
            return Ok(false);
        }
        file.seek(SeekFrom::Current(i64::from(size) - 8))?;
    }
}

/// Whether the metadata holds `keyframes`; sound alone needs none.
fn has_keyframe_index(path: &Path, plan: &Plan) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(FLV_METADATA).read_to_end(&mut start)?;
    let holds = |words: &[u8]| start.windows(words.len()).any(|window| window == words);
    Ok(holds(b"onMetaData") && (plan.videos.is_empty() || holds(b"keyframes")))
}
