//! VP9's level: its stream states none, FFmpeg's muxer guesses one from the size alone, and the packager
//! repeats it. The plan knows the frame rate too.

use std::io::{self, Read, Seek, SeekFrom, Write};

use model::VideoCodec;

use crate::{
    layout::OutputLayout,
    plan::{Plan, VideoPlan},
    work_folder::WorkFolder,
};

/// The `vpcC` box (VP Codec ISO Media File Format Binding, 2.2) lies in the header of the first track, within so many
/// bytes of the file.
const HEADER_BYTES: u64 = 64 << 10;
/// From the name of the box to the level: name, version and flags, and profile are before it.
const LEVEL_OFFSET: usize = 4 + 4 + 1;

/// Writes the levels of the renditions into the headers of their files in `dir`.
pub(super) fn write(plan: &Plan, dir: &WorkFolder) -> io::Result<()> {
    for video in plan.videos.iter().filter(|video| video.codec == VideoCodec::Vp9) {
        let file = match plan.segmenting {
            Some(_) => OutputLayout::init_segment(&OutputLayout::stream_folder(&video.name)),
            None => OutputLayout::main_file(plan.format),
        };
        write_into(dir, &file, level(video))?;
    }
    Ok(())
}

fn write_into(dir: &WorkFolder, file: &str, level: u8) -> io::Result<()> {
    let mut file = dir.open_to_change(file)?;
    let mut header = Vec::new();
    (&mut file).take(HEADER_BYTES).read_to_end(&mut header)?;
    let found = header.windows(4).position(|name| name == b"vpcC");
    let at = found.ok_or_else(|| io::Error::other("a file of VP9 has no `vpcC` box"))?;
    file.seek(SeekFrom::Start((at + LEVEL_OFFSET) as u64))?;
    file.write_all(&[level])
}

/// 31 is level 3.1.
fn level(video: &VideoPlan) -> u8 {
    video.level.replace('.', "").parse().unwrap_or_default()
}

/// A `codecs` value (RFC 6381) with the planned level of a rendition: `vp09.00.10.08` becomes `vp09.00.11.08`.
pub(super) fn fix_codecs(codecs: &str, video: &VideoPlan) -> String {
    let fix = |codec: &str| {
        let mut fields: Vec<&str> = codec.split('.').collect();
        let level = level(video).to_string();
        if let ["vp09", _, found, ..] = &mut fields[..] {
            *found = &level;
        }
        fields.join(".")
    };
    codecs.split(',').map(fix).collect::<Vec<_>>().join(",")
}
