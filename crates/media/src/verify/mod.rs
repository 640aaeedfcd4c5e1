//! Looks at what came out, and decides whether it has succeeded.

use model::{OutputFacts, OutputGroup};
use tokio_util::sync::CancellationToken;

use crate::{Media, MediaError, Plan, RunOutput, Source};

/// What an output turned out to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Seconds of the longest stream.
    pub duration: f64,
    /// Bytes of all files.
    pub size: u64,
    /// Bytes of the media alone, without playlists and manifests.
    pub media_size: u64,
    /// bit/s of the media.
    pub bitrate: f64,
    /// Of the top rendition, such as `1280x720`; empty without picture.
    pub resolution: String,
    /// Frames a second of the top rendition; 0 without picture.
    pub framerate: f64,
    /// Such as `h264`; empty without picture.
    pub video_codec: String,
    /// Such as `aac`; empty without sound.
    pub audio_codec: String,
    /// Hz; 0 without sound.
    pub audio_samplerate: u32,
}

impl Measured {
    /// As the customer sees it.
    pub fn facts(&self, groups: Vec<OutputGroup>) -> OutputFacts {
        OutputFacts {
            duration: self.duration,
            size: self.size,
            media_size: self.media_size,
            bitrate: self.bitrate,
            resolution: self.resolution.clone(),
            framerate: self.framerate,
            video_codec: self.video_codec.clone(),
            audio_codec: self.audio_codec.clone(),
            audio_samplerate: self.audio_samplerate,
            groups,
        }
    }
}

pub(crate) async fn verify(
    _media: &Media,
    _plan: &Plan,
    _source: &Source,
    _output: &RunOutput,
    _cancel: &CancellationToken,
) -> Result<Measured, MediaError> {
    todo!()
}
