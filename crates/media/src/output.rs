//! What a run leaves behind, for those who look at it.

use std::{path::PathBuf, sync::Arc};

use crate::format::elementary::StreamDigest;

/// What a run left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutput {
    /// The folder with `main.<extension>` and, for segmented formats, `files/…`.
    pub dir: PathBuf,
    /// The end of FFmpeg's log; for the server's log.
    pub log: String,
    /// What was copied.
    pub(crate) copied: CopiedPackets,
}

/// The packets of all streams that are copied, in the order of the plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CopiedPackets {
    /// Of renditions.
    pub videos: Vec<Arc<CopiedStream>>,
    /// Of audios.
    pub audios: Vec<Arc<CopiedStream>>,
    /// What the streams of renditions and of audios are without their container; of codecs that have no headers to
    /// compare none.
    pub digests: [Vec<Option<StreamDigest>>; 2],
}

/// A stream of the source as it is copied; all times are seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CopiedStream {
    /// One unit of its time stamps (FFmpeg's time base).
    pub time_base: f64,
    /// The presentation time of each packet, in decoding order.
    pub times: Vec<f64>,
    /// When the last one has been shown.
    pub end: f64,
}

impl CopiedStream {
    /// Seconds from the first packet in decoding order to the end.
    pub(crate) fn duration(&self) -> f64 {
        self.end - self.times.first().copied().unwrap_or_default()
    }
}
