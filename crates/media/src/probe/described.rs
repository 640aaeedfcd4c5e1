//! ffprobe's description of a file. Files lie, and ffprobe repeats it: a field of the wrong type counts as
//! absent, and nothing in the description can fail the reading.

use std::collections::BTreeMap;

use isolang::Language;
use model::Rational;
use serde_json::Value;

use crate::source::{HdrMetadata, MasteringDisplay};

/// What ffprobe says about a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FfprobeOutput {
    /// The demuxer's name, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Seconds; as the container says, or as FFmpeg guesses from the bit rate.
    pub duration: Option<f64>,
    /// Seconds of the first time stamp.
    pub start: f64,
    pub title: String,
    pub chapters: usize,
    pub streams: Vec<Stream>,
    /// Stream indices of each program of a transport stream.
    pub programs: Vec<Vec<u32>>,
}

/// One stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stream {
    pub index: u32,
    /// `video`, `audio`, `subtitle`, `data`, `attachment`.
    pub kind: String,
    pub codec: String,
    pub profile: String,
    /// What the container calls the codec.
    pub tag: String,
    pub width: u32,
    pub height: u32,
    pub sample_aspect: Option<Rational>,
    pub pixel_format: String,
    pub field_order: String,
    pub color_range: String,
    pub color_space: String,
    pub color_transfer: String,
    pub color_primaries: String,
    /// `r_frame_rate`: the lowest rate that all time stamps can be expressed in.
    pub real_rate: Option<Rational>,
    /// `avg_frame_rate`.
    pub average_rate: Option<Rational>,
    pub time_base: Option<Rational>,
    pub start: Option<f64>,
    pub duration: Option<f64>,
    pub frames: Option<u64>,
    pub bit_rate: f64,
    pub sample_rate: u32,
    pub channels: u32,
    pub layout: String,
    /// Three lower-case letters, never `und`; empty when unknown.
    pub language: String,
    pub title: String,
    pub is_default: bool,
    /// Cover art and other images that are not part of the presentation.
    pub is_attached_image: bool,
    /// a, b, c, d of the display matrix (ISO/IEC 14496-12, 8.3.2): where it puts the axes.
    pub display_matrix: Option<[i64; 4]>,
    pub dolby_vision: Option<DolbyVision>,
    pub hdr_metadata: HdrMetadata,
}

/// A Dolby Vision configuration record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DolbyVision {
    pub profile: u64,
    /// Whether players without Dolby Vision can show it: a base layer is there, and compatible with another
    /// format.
    pub has_base_layer: bool,
}

impl FfprobeOutput {
    /// Reads ffprobe's JSON; none when it is no JSON or describes nothing.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let root: Value = serde_json::from_str(&String::from_utf8_lossy(json)).ok()?;
        let format = root.get("format")?;
        let list =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let indices = |program: &Value| {
            list(program, "streams").iter().filter_map(|stream| number(stream, "index")).collect()
        };
        Some(Self {
            container: text(format, "format_name"),
            duration: number(format, "duration").filter(|seconds: &f64| seconds.is_finite()),
            start: number(format, "start_time").filter(|seconds: &f64| seconds.is_finite()).unwrap_or(0.0),
            title: tag(format, "title"),
            chapters: list(&root, "chapters").len(),
            streams: list(&root, "streams").iter().map(Stream::read).collect(),
            programs: list(&root, "programs").iter().map(indices).collect(),
        })
    }
}

impl FfprobeOutput {
    /// The format of a single image (FFmpeg's `png_pipe` and the like); none of what has a duration.
    pub(super) fn image_format(&self) -> Option<&str> {
        self.container.strip_suffix("_pipe")
    }

    /// Whether time stamps may jump in files of this kind (FFmpeg's `AVFMT_TS_DISCONT`). FFmpeg goes on
    /// where they were by itself, and takes the first time stamp of the streams that are used, not of the
    /// file, for 0.
    pub(super) fn may_reset_timestamps(&self) -> bool {
        matches!(self.container.as_str(), "mpegts" | "mpeg" | "ogg")
    }

    /// Whether the header has the number of frames, and is only complete when the file is: AVI.
    pub(super) fn declares_frames(&self) -> bool {
        self.container == "avi"
    }
}

impl Stream {
    /// Whether it is flagged as interlaced. The first letter is the field that is stored first, the second
    /// the one that is shown first.
    pub(super) fn is_interlaced(&self) -> bool {
        matches!(self.field_order.as_str(), "tt" | "bb" | "tb" | "bt")
    }

    fn read(value: &Value) -> Self {
        let side_data = value.get("side_data_list").and_then(Value::as_array);
        let side_data = side_data.map(Vec::as_slice).unwrap_or_default();
        let flag = |name: &str| value["disposition"].get(name).and_then(Value::as_u64) == Some(1);
        let seconds = |name: &str| {
            number(value, name).filter(|seconds: &f64| seconds.is_finite() && seconds.abs() < 1e9)
        };
        let rate = |name: &str| number(value, name).filter(|rate: &Rational| !rate.is_zero());
        Self {
            index: number(value, "index").unwrap_or(0),
            kind: text(value, "codec_type"),
            codec: text(value, "codec_name"),
            profile: text(value, "profile"),
            tag: text(value, "codec_tag_string"),
            width: number(value, "width").unwrap_or(0),
            height: number(value, "height").unwrap_or(0),
            sample_aspect: rate("sample_aspect_ratio"),
            pixel_format: text(value, "pix_fmt"),
            field_order: text(value, "field_order"),
            color_range: text(value, "color_range"),
            color_space: text(value, "color_space"),
            color_transfer: text(value, "color_transfer"),
            color_primaries: text(value, "color_primaries"),
            real_rate: rate("r_frame_rate"),
            average_rate: rate("avg_frame_rate"),
            time_base: rate("time_base"),
            start: seconds("start_time"),
            duration: seconds("duration").filter(|seconds| *seconds >= 0.0),
            frames: number(value, "nb_frames"),
            bit_rate: number(value, "bit_rate").filter(|rate: &f64| rate.is_finite()).unwrap_or(0.0),
            sample_rate: number(value, "sample_rate").unwrap_or(0),
            channels: number(value, "channels").unwrap_or(0),
            layout: text(value, "channel_layout"),
            language: language_code(&tag(value, "language")),
            title: tag(value, "title"),
            is_default: flag("default"),
            is_attached_image: flag("attached_pic") || flag("still_image") || flag("timed_thumbnails"),
            display_matrix: side_data
                .iter()
                .find_map(|data| parse_display_matrix(data.get("displaymatrix")?.as_str()?)),
            dolby_vision: side_data.iter().find_map(read_dolby_vision),
            hdr_metadata: read_hdr_metadata(side_data),
        }
    }
}

fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) if text != "unknown" => text.clone(),
        _ => String::new(),
    }
}

/// A number that may be written as a number or as text.
fn number<T: std::str::FromStr>(value: &Value, key: &str) -> Option<T> {
    match value.get(key)? {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// A tag by its name in any case.
fn tag(value: &Value, name: &str) -> String {
    let tags: BTreeMap<_, _> = value
        .get("tags")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.to_ascii_lowercase(), value.as_str()?)))
        .collect();
    tags.get(name)
        .map(|text| text.chars().filter(|c| !c.is_control()).take(200).collect())
        .unwrap_or_default()
}

/// What muxers and the packager take for a language: three letters (ISO 639-2), also for the two of ISO
/// 639-1. Of a tag such as `en-US` the language counts.
fn language_code(tag: &str) -> String {
    let lower = tag.to_ascii_lowercase();
    let first = lower.split(['-', '_']).next().unwrap_or_default();
    let has_three_letters = first.len() == 3 && first.bytes().all(|byte| byte.is_ascii_lowercase());
    if has_three_letters && first != "und" {
        return first.to_owned();
    }
    Language::from_639_1(first).map(|language| language.to_639_3()).unwrap_or_default().to_owned()
}

/// ffprobe writes the matrix as three numbered rows: `00000000: a b u`, `c d v`, `x y w`.
fn parse_display_matrix(rows: &str) -> Option<[i64; 4]> {
    let numbers: Vec<i64> = rows
        .split_whitespace()
        .filter(|word| !word.ends_with(':'))
        .map(|word| word.parse().ok())
        .collect::<Option<_>>()?;
    match numbers[..] {
        [a, b, _, c, d, ..] => Some([a, b, c, d]),
        _ => None,
    }
}

/// The HDR metadata (SMPTE ST 2086 and CTA-861.3) in the side data of a stream or of a frame.
pub(super) fn read_hdr_metadata(side_data: &[Value]) -> HdrMetadata {
    HdrMetadata {
        mastering_display: side_data.iter().find_map(read_mastering_display),
        content_light: side_data
            .iter()
            .find_map(|data| Some((number(data, "max_content")?, number(data, "max_average")?))),
    }
}

fn read_mastering_display(data: &Value) -> Option<MasteringDisplay> {
    let in_steps = |name: String, steps: f64| {
        let (num, den) = data.get(&name)?.as_str()?.split_once('/')?;
        let value = num.parse::<f64>().ok()? / den.parse::<f64>().ok()?;
        Some((value * steps).round()).filter(|value| (0.0..4e9).contains(value)).map(|value| value as u32)
    };
    let point = |name: &str| {
        let side = |axis: &str| in_steps(format!("{name}_{axis}"), 50_000.0);
        Some((side("x")?, side("y")?))
    };
    let luminance = |name: &str| in_steps(format!("{name}_luminance"), 10_000.0);
    Some(MasteringDisplay {
        chromaticities: [point("red")?, point("green")?, point("blue")?, point("white_point")?],
        luminance: (luminance("max")?, luminance("min")?),
    })
}

/// What the first RPU (reference processing unit) of a stream says of its profile, where no record does: the base layer of
/// profile 5, and of 10.0 which is the same in AV1, is full range in a colour space of its own.
pub(super) fn read_dolby_vision_rpu(data: &Value, codec: &str) -> Option<DolbyVision> {
    let rpu_profile: u64 = number(data, "vdr_rpu_profile")?;
    let is_full_range = number(data, "bl_video_full_range_flag") == Some(1_u64);
    let has_base_layer = !(rpu_profile == 0 && is_full_range);
    let profile = match (codec, has_base_layer) {
        ("av1", _) => 10,
        (_, false) => 5,
        (_, true) => 8,
    };
    Some(DolbyVision { profile, has_base_layer })
}

fn read_dolby_vision(data: &Value) -> Option<DolbyVision> {
    let profile = number(data, "dv_profile")?;
    let has_base_layer = number(data, "bl_present_flag") != Some(0_u64);
    let is_compatible = number(data, "dv_bl_signal_compatibility_id") != Some(0_u64);
    Some(DolbyVision { profile, has_base_layer: has_base_layer && is_compatible })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PHONE: &str = r#"{
        "programs": [{"streams": [{"index": 0}, {"index": 1}]}],
        "streams": [
            {"index": 0, "codec_name": "hevc", "codec_type": "video", "width": 1280, "height": 720,
             "pix_fmt": "yuv420p10le", "color_space": "bt2020nc", "color_transfer": "arib-std-b67",
             "field_order": "unknown", "r_frame_rate": "30/1", "avg_frame_rate": "0/0", "time_base": "1/600",
             "start_time": "0.000000", "duration": "0.106667", "nb_frames": "5", "bit_rate": "N/A",
             "disposition": {"default": 1, "attached_pic": 0},
             "side_data_list": [
                {"side_data_type": "DOVI configuration record", "dv_profile": 8, "bl_present_flag": 1,
                 "dv_bl_signal_compatibility_id": 4},
                {"side_data_type": "Display Matrix", "rotation": -90, "displaymatrix":
                 "\n00000000:            0       65536           0\n00000001:       -65536           0           0\n00000002:     47185920           0  1073741824\n"}
             ]},
            {"index": 1, "codec_name": "aac", "codec_type": "audio", "sample_rate": "44100", "channels": 2,
             "channel_layout": "stereo", "tags": {"LANGUAGE": "ENG", "title": "a\nb"}}
        ],
        "format": {"format_name": "mov,mp4,m4a,3gp,3g2,mj2", "duration": "0.106667", "tags": {"TITLE": "x"}}
    }"#;

    #[test]
    fn a_phone_clip() {
        let described = FfprobeOutput::parse(PHONE.as_bytes()).expect("a description");
        assert_eq!(described.programs, [vec![0, 1]]);
        assert_eq!(described.title, "x");
        let video = &described.streams[0];
        assert_eq!(video.display_matrix, Some([0, 65536, -65536, 0]));
        assert_eq!(video.dolby_vision, Some(DolbyVision { profile: 8, has_base_layer: true }));
        assert_eq!((video.average_rate, video.frames), (None, Some(5)));
        assert_eq!((video.field_order.as_str(), video.bit_rate), ("", 0.0));
        let audio = &described.streams[1];
        assert_eq!((audio.sample_rate, audio.language.as_str(), audio.title.as_str()), (44100, "eng", "ab"));
    }

    #[test]
    fn dolby_vision_without_a_record() {
        let rpu = |profile: u64, full_range: u64, codec: &str| {
            let data =
                serde_json::json!({"vdr_rpu_profile": profile, "bl_video_full_range_flag": full_range});
            read_dolby_vision_rpu(&data, codec)
        };
        let found = |profile, has_base_layer| Some(DolbyVision { profile, has_base_layer });
        assert_eq!(rpu(0, 1, "hevc"), found(5, false));
        assert_eq!(rpu(1, 0, "hevc"), found(8, true));
        assert_eq!(rpu(0, 1, "av1"), found(10, false));
        assert_eq!(read_dolby_vision_rpu(&serde_json::json!({"max_content": 1}), "hevc"), None);
    }

    #[test]
    fn the_light_of_hdr() {
        let side_data = serde_json::json!([{"side_data_type": "Mastering display metadata", "red_x": "34000/50000",
            "red_y": "16000/50000", "green_x": "13250/50000", "green_y": "34500/50000", "blue_x": "7500/50000",
            "blue_y": "3000/50000", "white_point_x": "15635/50000", "white_point_y": "16450/50000",
            "min_luminance": "1/10000", "max_luminance": "10000000/10000"},
            {"side_data_type": "Content light level metadata", "max_content": 1000, "max_average": 400}]);
        let hdr_metadata = read_hdr_metadata(side_data.as_array().expect("a list"));
        let mastering = hdr_metadata.mastering_display.expect("a display");
        let [red, _, _, white] = mastering.chromaticities;
        assert_eq!((red, white, mastering.luminance), ((34000, 16000), (15635, 16450), (10_000_000, 1)));
        assert_eq!(hdr_metadata.content_light, Some((1000, 400)));
    }

    #[test]
    fn languages_have_three_letters() {
        for (tag, known) in
            [("en", "eng"), ("fr-CA", "fra"), ("pt_BR", "por"), ("ger", "ger"), ("ENG", "eng")]
        {
            assert_eq!(language_code(tag), known, "{tag}");
        }
        for tag in ["", "und", "xx", "e", "english", "1a", "e,n"] {
            assert_eq!(language_code(tag), "", "{tag}");
        }
    }

    #[test]
    fn what_is_no_description_is_none() {
        for broken in ["", "{", "{}", "[]", "null", r#"{"streams": []}"#] {
            assert_eq!(FfprobeOutput::parse(broken.as_bytes()), None, "{broken}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[ -~]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z_]{1,12}", inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = FfprobeOutput::parse(&bytes);
        }

        #[test]
        fn any_values_are_read(stream in any_json(), side in any_json(), tags in any_json(), text in "[ -~]{0,40}") {
            let json = serde_json::json!({
                "format": {"format_name": tags, "duration": text, "tags": tags},
                "programs": [{"streams": side}],
                "streams": [stream, {"index": text, "width": text, "time_base": text, "side_data_list": [side,
                    {"displaymatrix": text, "dv_profile": text}], "disposition": tags, "tags": tags}],
            });
            prop_assert!(FfprobeOutput::parse(json.to_string().as_bytes()).is_some());
        }
    }
}
