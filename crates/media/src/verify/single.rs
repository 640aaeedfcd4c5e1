//! Single files (MP4 and FLV): what players need at the start of the file.

use std::io::{self, Read};

use model::Format;

use super::listing::{Claims, Listing, MediaFile, Segment, StreamRef, Track, TrackContainer, wrong_output};
use crate::{
    error::MediaError, format::mp4::boxes::BoxHeader, layout::OutputLayout, plan::Plan,
    work_folder::WorkFolder,
};

/// The metadata of FLV stands at the very start; with an index of key frames of 12 h it is below this.
const MAX_FLV_METADATA_BYTES: u64 = 2 << 20;

/// Lists the one file in `dir`, and checks its start.
pub(super) fn read(plan: &Plan, dir: &WorkFolder) -> Result<Listing, MediaError> {
    let name = OutputLayout::main_file(plan.format);
    let file = MediaFile::find(dir, &name)?;
    let (container, starts_well, what) = match plan.format {
        Format::Flv => {
            (TrackContainer::Flv, has_keyframe_index(dir, &name, plan), "index of key frames at its start")
        }
        Format::Mp4 | Format::Hls | Format::Dash => {
            (TrackContainer::Mp4, has_moov_first(dir, &name), "`moov` before its `mdat`")
        }
    };
    if !starts_well.map_err(|error| wrong_output(format!("`{name}` cannot be read: {error}")))? {
        return Err(wrong_output(format!("`{name}` does not have its {what}")));
    }
    let videos = (0..plan.videos.len()).map(StreamRef::Video);
    let planned = videos.chain((0..plan.audios.len()).map(StreamRef::Audio)).collect();
    let segments = vec![Segment { file, duration: None, start: None }];
    let track = Track {
        name,
        planned,
        container,
        init: None,
        segments,
        claims: Claims::default(),
        i_frames: Vec::new(),
    };
    Ok(Listing {
        format: plan.format,
        tracks: vec![track],
        duration: None,
        min_buffer_time: None,
        manifest_files: Vec::new(),
    })
}

/// Whether `moov` comes before `mdat` (ISO/IEC 14496-12): players need not read the whole file first.
fn has_moov_first(dir: &WorkFolder, name: &str) -> io::Result<bool> {
    let mut file = dir.open_file(name)?;
    let file_size = file.metadata()?.len();
    let mut offset = 0;
    while let Some(header) = BoxHeader::read(&mut file, offset, file_size)? {
        match &header.kind {
            b"moov" => return Ok(true),
            b"mdat" => return Ok(false),
            _ => offset = header.end,
        }
    }
    Ok(false)
}

/// Whether the metadata holds `keyframes`, which seeking needs; audio without video needs none.
fn has_keyframe_index(dir: &WorkFolder, name: &str, plan: &Plan) -> io::Result<bool> {
    let mut start = Vec::new();
    dir.open_file(name)?.take(MAX_FLV_METADATA_BYTES).read_to_end(&mut start)?;
    let holds = |words: &[u8]| start.windows(words.len()).any(|window| window == words);
    Ok(holds(b"onMetaData") && (plan.videos.is_empty() || holds(b"keyframes")))
}
