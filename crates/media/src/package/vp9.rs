//! VP9's level: the stream says none, FFmpeg's muxer guesses one from the size alone, and the packager
//! repeats it. The plan knows the frame rate too.

use model::VideoCodec;

use std::{
    fs::OpenOptions,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use crate::{Plan, VideoPlan, formats};

/// The box that says it (VP Codec ISO Media File Format Binding, 2.2) lies in the first track's header.
const HEADER: u64 = 64 << 10;
const BOX: &[u8] = b"vpcC";
/// From the box's name to the level: version, flags and profile are before it.
const TO_LEVEL: usize = 4 + 4 + 1;

/// Writes the levels of the renditions into the headers of their files in `dir`.
pub(super) fn write(plan: &Plan, dir: &Path) -> io::Result<()> {
    for video in plan.videos.iter().filter(|video| video.codec == VideoCodec::Vp9) {
        let file = match plan.segmenting {
            Some(_) => dir.join("files").join(&video.name).join("init.mp4"),
            None => dir.join(formats::main_file(plan.format)),
        };
        write_into(&file, level(video))?;
    }
    Ok(())
}

fn write_into(file: &Path, level: u8) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(file)?;
    let mut header = Vec::new();
    (&mut file).take(HEADER).read_to_end(&mut header)?;
    let found = header.windows(BOX.len()).position(|window| window == BOX);
    let at = found.ok_or_else(|| io::Error::other("a file of VP9 does not say its profile"))?;
    file.seek(SeekFrom::Start((at + TO_LEVEL) as u64))?;
    file.write_all(&[level])
}

/// 31 is level 3.1.
fn level(video: &VideoPlan) -> u8 {
    video.level.replace('.', "").parse().unwrap_or_default()
}

/// A list of codecs with the right level of a rendition: `vp09.00.10.08` is `vp09.00.11.08`.
pub(super) fn named(codecs: &str, video: &VideoPlan) -> String {
    let name = |codec: &str| {
        let mut fields: Vec<&str> = codec.split('.').collect();
        let level = level(video).to_string();
        if let ["vp09", _, said, ..] = &mut fields[..] {
            *said = &level;
        }
        fields.join(".")
    };
    codecs.split(',').map(name).collect::<Vec<_>>().join(",")
}
