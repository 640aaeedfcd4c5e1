//! What is made and played: for each kind of output that a template may ask for, every picture with the
//! usual sound, every other sound with the usual picture, every sound alone, the usual picture alone, copies of
//! the usual two, and these with sound in six channels; at last both manifests over one set of files.

use borealis_media::OutputLayout;
use model::{AudioCodec, AudioMode, CONTAINERS, Container, Format, SegmentType, VideoCodec, VideoMode};
use serde_json::{Value, json};

/// Lines of the renditions of a ladder.
pub(crate) const HEIGHTS: [u64; 2] = [180, 90];

/// How long each segment is, in seconds.
pub(crate) const SEGMENT: u64 = 1;

/// One output of the product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) container: &'static Container,
    pub(crate) picture: VideoMode,
    pub(crate) sound: AudioMode,
    /// Of the sound.
    pub(crate) channels: u32,
    /// The format of a second manifest.
    pub(crate) also: Option<Format>,
}

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<Output> {
    let of = |container: &'static Container| {
        let (usual_picture, usual_sound) =
            (VideoMode::Encode(container.video_codecs[0]), AudioMode::Encode(container.audio_codecs[0]));
        let pictures =
            container.video_codecs.iter().map(move |codec| (VideoMode::Encode(*codec), usual_sound));
        let sounds =
            container.audio_codecs[1..].iter().map(move |codec| (usual_picture, AudioMode::Encode(*codec)));
        let alone = container.audio_codecs.iter().map(|codec| (VideoMode::None, AudioMode::Encode(*codec)));
        let picture_alone = (usual_picture, AudioMode::None);
        let copies = (VideoMode::Copy, AudioMode::Copy);
        let pairs = pictures.chain(sounds).chain(alone).chain([picture_alone, copies]);
        let output = move |(picture, sound)| Output { container, picture, sound, channels: 2, also: None };
        let surround = Output { channels: 6, ..output((usual_picture, usual_sound)) };
        // FFmpeg says 5.1 in a way of its own in FLV, which mpegts.js does not know
        pairs.map(output).chain([surround].into_iter().filter(|_| container.format != Format::Flv))
    };
    let outputs: Vec<_> = CONTAINERS.iter().flat_map(of).collect();
    let fragments = outputs.iter().find(|output| {
        output.container.format == Format::Hls && output.container.segments == Some(SegmentType::Fmp4)
    });
    let both = fragments.map(|output| Output { also: Some(Format::Dash), ..*output });
    outputs.iter().copied().chain(both).collect()
}

impl Output {
    /// The folder that it is put into.
    pub(crate) fn name(self) -> String {
        self.cells().map(|cell| cell.replace(", ", "-").replace(' ', "-")).join("_")
    }

    /// Its cells in the table: format, picture and sound.
    pub(crate) fn cells(self) -> [String; 3] {
        let format = match self.container.segments {
            Some(segments) if self.container.format == Format::Hls => format!("hls, {segments}"),
            _ => self.container.format.to_string(),
        };
        let format = self.also.map_or(format.clone(), |also| format!("{format}, also {also}"));
        let sound = if self.channels == 6 { format!("{}, 5.1", self.sound) } else { self.sound.to_string() };
        [format, self.picture.to_string(), sound]
    }

    /// What a player opens, in the output's folder.
    pub(crate) fn main(self, player: &str) -> String {
        match self.also {
            Some(_) if player == "shaka-player" => OutputLayout::second_manifest(),
            _ => format!("main.{}", self.container.format.extensions()[0]),
        }
    }

    pub(crate) fn is_ladder(self) -> bool {
        self.container.format.is_segmented() && self.has_picture() && !self.is_copy()
    }

    /// Of picture and sound as they are: H.264 and AAC.
    pub(crate) fn is_copy(self) -> bool {
        self.picture == VideoMode::Copy
    }

    pub(crate) fn has_picture(self) -> bool {
        self.picture != VideoMode::None
    }

    pub(crate) fn has_sound(self) -> bool {
        self.sound != AudioMode::None
    }

    pub(crate) fn template(self) -> Value {
        let mut template = json!({
            "format": self.container.format, "vcodec": self.picture, "acodec": self.sound,
        });
        if self.channels == 6 {
            template["audio_channels"] = json!(6);
        }
        if let Some(also) = self.also {
            template["also"] = json!(also);
        }
        if let Some(segments) = self.container.segments {
            template["seg_type"] = json!(segments);
            template["seg_time"] = json!(SEGMENT);
        }
        if self.is_ladder() {
            template["adaptive_streams"] = json!([{"resolution": "320x180"}, {"resolution": "160x90"}]);
        }
        template
    }

    pub(crate) fn players(self) -> &'static [&'static str] {
        match self.container.format {
            Format::Mp4 => &["element"],
            Format::Flv => &["mpegts.js"],
            Format::Hls if self.also.is_some() => &["hls.js", "shaka-player"],
            // players take them apart alike
            Format::Hls if self.channels == 6 || !self.has_sound() => &["hls.js"],
            Format::Hls => &["hls.js", "shaka-player", "element"],
            Format::Dash => &["shaka-player"],
        }
    }

    /// What has to be offered by the browser (RFC 6381). Players hand it fragments of MP4, one stream
    /// each, whatever they are given; the element is given the whole.
    pub(crate) fn types(self, player: &str) -> Vec<String> {
        let codecs = [("video", picture_name(self.picture)), ("audio", sound_name(self.sound))];
        let codecs = codecs.into_iter().filter(|(_, name)| !name.is_empty());
        if player == "element" {
            let kind = if self.has_picture() { "video" } else { "audio" };
            let names: Vec<_> = codecs.map(|(_, name)| name).collect();
            let whole = format!("{kind}/mp4; codecs=\"{}\"", names.join(", "));
            let playlist =
                (self.container.format == Format::Hls).then(|| "application/vnd.apple.mpegurl".to_owned());
            return playlist.into_iter().chain([whole]).collect();
        }
        codecs.map(|(kind, name)| format!("{kind}/mp4; codecs=\"{name}\"")).collect()
    }
}

/// A low level of each codec, such as the clips have.
fn picture_name(mode: VideoMode) -> &'static str {
    match mode {
        VideoMode::Encode(VideoCodec::H264) | VideoMode::Copy => "avc1.42c01e",
        VideoMode::Encode(VideoCodec::H265) => "hvc1.1.6.L90.90",
        VideoMode::Encode(VideoCodec::Av1) => "av01.0.00M.08",
        VideoMode::Encode(VideoCodec::Vp9) => "vp09.00.20.08",
        VideoMode::None => "",
    }
}

fn sound_name(mode: AudioMode) -> &'static str {
    match mode {
        AudioMode::Encode(AudioCodec::Aac) | AudioMode::Copy => "mp4a.40.2",
        AudioMode::Encode(AudioCodec::Mp3) => "mp3",
        AudioMode::Encode(AudioCodec::Opus) => "opus",
        AudioMode::Encode(AudioCodec::Ac3) => "ac-3",
        AudioMode::None => "",
    }
}
