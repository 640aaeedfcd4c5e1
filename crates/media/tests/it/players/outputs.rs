//! What is played. For each container: every video codec with the usual audio codec, every other audio codec with the
//! usual video codec, every audio codec alone, the usual video codec alone, copies of the usual two, and these with 5.1
//! audio; at last both manifests over the same segments.

use borealis_media::OutputLayout;
use model::{AudioCodec, AudioMode, CONTAINERS, Container, Format, SegmentType, VideoCodec, VideoMode};
use serde_json::{Value, json};

/// Of the renditions of a ladder.
pub(crate) const HEIGHTS: [u64; 2] = [180, 90];

pub(crate) const SEGMENT_SECS: u64 = 1;

/// One output of the product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlayedOutput {
    pub(crate) container: &'static Container,
    pub(crate) vcodec: VideoMode,
    pub(crate) acodec: AudioMode,
    pub(crate) channels: u32,
    /// The format of a second manifest.
    pub(crate) also: Option<Format>,
}

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<PlayedOutput> {
    let of = |container: &'static Container| {
        let usual_video = VideoMode::Encode(container.video_codecs[0]);
        let usual_audio = AudioMode::Encode(container.audio_codecs[0]);
        let videos = container.video_codecs.iter().map(move |codec| (VideoMode::Encode(*codec), usual_audio));
        let audios =
            container.audio_codecs[1..].iter().map(move |codec| (usual_video, AudioMode::Encode(*codec)));
        let audio_only =
            container.audio_codecs.iter().map(|codec| (VideoMode::None, AudioMode::Encode(*codec)));
        let video_only = (usual_video, AudioMode::None);
        let copies = (VideoMode::Copy, AudioMode::Copy);
        let pairs = videos.chain(audios).chain(audio_only).chain([video_only, copies]);
        let output =
            move |(vcodec, acodec)| PlayedOutput { container, vcodec, acodec, channels: 2, also: None };
        let surround = PlayedOutput { channels: 6, ..output((usual_video, usual_audio)) };
        // FFmpeg writes 5.1 into FLV in a way of its own, which mpegts.js does not read
        pairs.map(output).chain([surround].into_iter().filter(|_| container.format != Format::Flv))
    };
    let outputs: Vec<_> = CONTAINERS.iter().flat_map(of).collect();
    let fragments = outputs.iter().find(|output| {
        output.container.format == Format::Hls && output.container.segments == Some(SegmentType::Fmp4)
    });
    let both = fragments.map(|output| PlayedOutput { also: Some(Format::Dash), ..*output });
    outputs.iter().copied().chain(both).collect()
}

impl PlayedOutput {
    /// The folder that it is put into.
    pub(crate) fn name(self) -> String {
        self.cells().map(|cell| cell.replace(", ", "-").replace(' ', "-")).join("_")
    }

    /// Its cells in the table: format, video and audio.
    pub(crate) fn cells(self) -> [String; 3] {
        let format = match self.container.segments {
            Some(segments) if self.container.format == Format::Hls => format!("hls, {segments}"),
            _ => self.container.format.to_string(),
        };
        let format = self.also.map_or(format.clone(), |also| format!("{format}, also {also}"));
        let audio =
            if self.channels == 6 { format!("{}, 5.1", self.acodec) } else { self.acodec.to_string() };
        [format, self.vcodec.to_string(), audio]
    }

    /// What a player opens, in the output's folder.
    pub(crate) fn main(self, player: &str) -> String {
        match self.also {
            Some(_) if player == "shaka-player" => OutputLayout::second_manifest(),
            _ => format!("main.{}", self.container.format.extensions()[0]),
        }
    }

    pub(crate) fn is_ladder(self) -> bool {
        self.container.format.is_segmented() && self.has_video() && !self.is_copy()
    }

    /// Of H.264 and AAC.
    pub(crate) fn is_copy(self) -> bool {
        self.vcodec == VideoMode::Copy
    }

    pub(crate) fn has_video(self) -> bool {
        self.vcodec != VideoMode::None
    }

    pub(crate) fn has_audio(self) -> bool {
        self.acodec != AudioMode::None
    }

    pub(crate) fn template(self) -> Value {
        let mut template = json!({
            "format": self.container.format, "vcodec": self.vcodec, "acodec": self.acodec,
        });
        if self.channels == 6 {
            template["audio_channels"] = json!(6);
        }
        if let Some(also) = self.also {
            template["also"] = json!(also);
        }
        if let Some(segments) = self.container.segments {
            template["seg_type"] = json!(segments);
            template["seg_time"] = json!(SEGMENT_SECS);
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
            // how it is demuxed does not differ between the players
            Format::Hls if self.channels == 6 || !self.has_audio() => &["hls.js"],
            Format::Hls => &["hls.js", "shaka-player", "element"],
            Format::Dash => &["shaka-player"],
        }
    }

    /// The MIME types (RFC 6381) that the browser has to offer. Players remux whatever they read into fragmented MP4 of
    /// one stream each; the element reads the output itself.
    pub(crate) fn types(self, player: &str) -> Vec<String> {
        let codecs = [("video", video_name(self.vcodec)), ("audio", audio_name(self.acodec))];
        let codecs = codecs.into_iter().filter(|(_, name)| !name.is_empty());
        if player == "element" {
            let kind = if self.has_video() { "video" } else { "audio" };
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
fn video_name(mode: VideoMode) -> &'static str {
    match mode {
        VideoMode::Encode(VideoCodec::H264) | VideoMode::Copy => "avc1.42c01e",
        VideoMode::Encode(VideoCodec::H265) => "hvc1.1.6.L90.90",
        VideoMode::Encode(VideoCodec::Av1) => "av01.0.00M.08",
        VideoMode::Encode(VideoCodec::Vp9) => "vp09.00.20.08",
        VideoMode::None => "",
    }
}

fn audio_name(mode: AudioMode) -> &'static str {
    match mode {
        AudioMode::Encode(AudioCodec::Aac) | AudioMode::Copy => "mp4a.40.2",
        AudioMode::Encode(AudioCodec::Mp3) => "mp3",
        AudioMode::Encode(AudioCodec::Opus) => "opus",
        AudioMode::Encode(AudioCodec::Ac3) => "ac-3",
        AudioMode::None => "",
    }
}
