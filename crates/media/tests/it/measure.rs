//! What FFmpeg and ffprobe measure in a file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::bench::{Bench, Transcoded};

/// A packet as ffprobe lists it, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProbedPacket {
    pub(crate) pts: f64,
    pub(crate) dts: f64,
    /// NaN where the container does not say it.
    pub(crate) duration: f64,
    /// The byte of the file that it begins at.
    pub(crate) pos: u64,
    pub(crate) is_key: bool,
}

/// A media playlist as it is written.
pub(crate) struct SegmentPlaylist {
    /// EXT-X-TARGETDURATION, in seconds.
    pub(crate) target_duration: u64,
    /// Segments and their EXTINF, in seconds.
    pub(crate) segments: Vec<(PathBuf, f64)>,
    /// The initialization segment, if there is one.
    init: Option<PathBuf>,
}

/// Samples below this, of full scale, are silence.
const SILENCE_LEVEL: f64 = 0.05;
/// Hz at which audio is decoded to be measured.
const SAMPLE_RATE: u32 = 48_000;

impl Bench {
    /// All streams as ffprobe describes them.
    pub(crate) fn streams(&self, file: &Path) -> Vec<Value> {
        let described: Value = serde_json::from_str(&self.ffprobe(file, "-show_streams")).expect("JSON");
        described["streams"].as_array().cloned().expect("streams")
    }

    /// The packets of a stream such as `v:0`, in the order of the file.
    pub(crate) fn packets(&self, file: &Path, stream: &str) -> Vec<ProbedPacket> {
        let arguments = format!(
            "-select_streams {stream} -show_entries packet=pts_time,dts_time,duration_time,pos,flags"
        );
        let listed: Value = serde_json::from_str(&self.ffprobe(file, &arguments)).expect("JSON");
        let packet = |packet: &Value| {
            let text = |name: &str| packet[name].as_str().unwrap_or_default();
            ProbedPacket {
                pts: text("pts_time").parse().expect("a time"),
                dts: text("dts_time").parse().expect("a time"),
                duration: text("duration_time").parse().unwrap_or(f64::NAN),
                pos: text("pos").parse().unwrap_or(0),
                is_key: text("flags").starts_with('K'),
            }
        };
        listed["packets"].as_array().expect("packets").iter().map(packet).collect()
    }

    /// The mean luma of every frame, 0 to 255.
    pub(crate) fn lumas(&self, file: &Path) -> Vec<f64> {
        let shrunk = "-map 0:v:0 -fps_mode passthrough -vf extractplanes=y,scale=1:1:flags=area -f rawvideo";
        self.bytes(file, shrunk).into_iter().map(f64::from).collect()
    }

    /// Seconds from the start at which audio sets in after silence.
    pub(crate) fn onsets(&self, file: &Path) -> Vec<f64> {
        let decoded =
            format!("-map 0:a:0 -af aresample=async=1:first_pts=0 -ac 1 -ar {SAMPLE_RATE} -f s16le");
        let samples = self.bytes(file, &decoded);
        let mut onsets = Vec::new();
        let mut last = None;
        for (number, pair) in samples.chunks_exact(2).enumerate() {
            if f64::from(i16::from_le_bytes([pair[0], pair[1]])).abs() / 32768.0 < SILENCE_LEVEL {
                continue;
            }
            let now = number as f64 / f64::from(SAMPLE_RATE);
            if last.is_none_or(|last| now - last > 0.2) {
                onsets.push(now);
            }
            last = Some(now);
        }
        onsets
    }

    /// The number after the last occurrence of a name in what FFmpeg reports.
    pub(crate) fn reported(&self, files: &[&Path], arguments: &str, name: &str) -> f64 {
        let report = self.report(files, arguments);
        let (_, rest) = report.rsplit_once(name).unwrap_or_else(|| panic!("no {name} in {report}"));
        let number = rest.trim_start().split(|c: char| c.is_whitespace() || c == '(').next();
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{report}"))
    }

    /// The fields of the first sequence parameter set in the bitstream.
    pub(crate) fn parameter_set(&self, file: &Path) -> BTreeMap<String, i64> {
        let trace = self.report(&[file], "-map 0:v:0 -c copy -frames:v 1 -bsf:v trace_headers -f null");
        let (_, set) = trace.split_once("Sequence Parameter Set").expect("a parameter set");
        let set = set.split_once("Picture Parameter Set").map_or(set, |(set, _)| set);
        let field = |line: &str| {
            let (left, value) = line.rsplit_once(" = ")?;
            let name = left.split_once("] ")?.1.split_whitespace().nth(1)?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        set.lines().filter_map(field).collect()
    }

    /// Width and height by the sequence parameter set, its cropping applied; of frames in 4:2:0.
    pub(crate) fn coded_size(&self, file: &Path) -> (i64, i64) {
        let set = self.parameter_set(file);
        let of = |name: &str| set.get(name).copied().unwrap_or(0);
        let width = 16 * (set["pic_width_in_mbs_minus1"] + 1);
        let height = 16 * (set["pic_height_in_map_units_minus1"] + 1) * (2 - set["frame_mbs_only_flag"]);
        let cropped = |a: &str, b: &str| 2 * (of(a) + of(b));
        (
            width - cropped("frame_crop_left_offset", "frame_crop_right_offset"),
            height - cropped("frame_crop_top_offset", "frame_crop_bottom_offset"),
        )
    }

    /// SSIM of two videos, 1 being equal; the first is scaled to the second's size.
    pub(crate) fn ssim(&self, file: &Path, reference: &Path) -> f64 {
        let graph = "-lavfi [0:v][1:v]scale=rw:rh[a];[a][1:v]ssim -f null";
        self.reported(&[file, reference], graph, "All:")
    }

    fn ffprobe(&self, file: &Path, arguments: &str) -> String {
        let is_playlist = file.extension().is_some_and(|extension| extension == "m3u8");
        let output = std::process::Command::new(&self.media.tools.programs.ffprobe)
            .args(["-v", "error", "-of", "json"])
            .args(arguments.split_whitespace())
            .args(if is_playlist { ["-allowed_extensions", "ALL"].as_slice() } else { &[] })
            .arg(file)
            .output()
            .expect("ffprobe runs");
        String::from_utf8(output.stdout).expect("a text")
    }
}

impl Transcoded {
    /// The main file.
    pub(crate) fn main(&self) -> PathBuf {
        self.dir.join(format!("main.{}", self.plan.format.extensions()[0]))
    }

    /// The text of a file of the output.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).expect("readable")
    }

    /// The media playlist of a rendition or of an audio stream.
    pub(crate) fn playlist(&self, name: &str) -> SegmentPlaylist {
        let folder = self.dir.join("files").join(name);
        let text = self.text(&format!("files/{name}/playlist.m3u8"));
        let value = |tag: &str| text.lines().find_map(|line| line.strip_prefix(tag));
        let mut seconds = 0.0;
        let mut segments = Vec::new();
        for line in text.lines() {
            if let Some(listed) = line.strip_prefix("#EXTINF:") {
                seconds = listed.split(',').next().and_then(|number| number.parse().ok()).expect("seconds");
            } else if !line.starts_with('#') && !line.is_empty() {
                segments.push((folder.join(line), seconds));
            }
        }
        let init = value("#EXT-X-MAP:URI=\"").and_then(|rest| rest.split('"').next());
        SegmentPlaylist {
            target_duration: value("#EXT-X-TARGETDURATION:").expect("a target").parse().expect("a number"),
            segments,
            init: init.map(|name| folder.join(name)),
        }
    }
}

impl SegmentPlaylist {
    /// The initialization segment and these segments, as one file beside them.
    pub(crate) fn joined<'s>(&'s self, segments: impl IntoIterator<Item = &'s Path>) -> PathBuf {
        let parts = self.init.iter().map(PathBuf::as_path).chain(segments);
        let bytes: Vec<u8> = parts.flat_map(|part| fs::read(part).expect("readable")).collect();
        let first = &self.segments[0].0;
        let whole = first.with_file_name("whole").with_extension(first.extension().unwrap_or_default());
        fs::write(&whole, bytes).expect("written");
        whole
    }

    /// All of them in one file.
    pub(crate) fn whole(&self) -> PathBuf {
        self.joined(self.paths())
    }

    /// The paths of its segments.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.segments.iter().map(|(path, _)| path.as_path())
    }
}
