//! Elementary streams: what a coded stream says of itself over its whole length, in its own headers. Containers have
//! one header for all of it, so what it says has to be so from the first frame to the last.
//!
//! Streams may come from strangers, and come in pieces of any length.

mod adts;
mod av1;
mod bits;
mod nal_units;
mod vp9;

use std::hash::{DefaultHasher, Hash, Hasher};

use model::VideoCodec;

use self::{adts::AdtsStream, av1::ObuStream, nal_units::NalStream, vp9::Vp9Stream};

/// Why one header cannot describe a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Its parameter sets, sequence headers or frame headers differ on the way.
    ParametersChange,
    /// The size of its frames changes on the way.
    SizeChanges,
    /// It begins with frames that refer to others before them, which are not there.
    LeadingFrames,
    /// It does not begin with a frame that decoding can begin with.
    NoRandomAccess,
    /// Its channels are told by a program config element, which browsers do not read.
    ChannelsByElement,
    /// It is not what it is said to be, or damaged.
    Unreadable,
}

/// What two streams have in common that are shown alike: sums of their headers, and of their frames in decoding order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamDigest {
    /// Of parameter sets, sequence headers, sizes, and the like.
    pub headers: u64,
    /// Of coded frames; 0 of audio, of which an output may begin later.
    pub frames: u64,
}

impl StreamDigest {
    fn add_frame(&mut self, frame: &[u8]) {
        self.frames = sum_of(&(self.frames, frame));
    }

    fn with_headers(self, headers: &impl Hash) -> Self {
        Self { headers: sum_of(headers), ..self }
    }
}

fn sum_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Reads an elementary stream, in the form that it has without a container.
pub(crate) struct ElementaryStream {
    reader: Reader,
}

enum Reader {
    NalUnits(NalStream),
    Obu(ObuStream),
    Ivf(Vp9Stream),
    Adts(AdtsStream),
}

impl ElementaryStream {
    /// Of a video.
    pub(crate) fn video(codec: VideoCodec) -> Self {
        let reader = match codec {
            VideoCodec::H264 | VideoCodec::H265 => Reader::NalUnits(NalStream::new(codec)),
            VideoCodec::Av1 => Reader::Obu(ObuStream::default()),
            VideoCodec::Vp9 => Reader::Ivf(Vp9Stream::default()),
        };
        Self { reader }
    }

    /// Of AAC.
    pub(crate) fn aac() -> Self {
        Self { reader: Reader::Adts(AdtsStream::default()) }
    }

    /// FFmpeg's muxer of this form.
    pub(crate) fn muxer(&self) -> &'static str {
        match &self.reader {
            Reader::NalUnits(stream) if stream.codec() == VideoCodec::H264 => "h264",
            Reader::NalUnits(_) => "hevc",
            Reader::Obu(_) => "obu",
            Reader::Ivf(_) => "ivf",
            Reader::Adts(_) => "adts",
        }
    }

    /// Takes in its next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match &mut self.reader {
            Reader::NalUnits(stream) => stream.push(bytes),
            Reader::Obu(stream) => stream.push(bytes),
            Reader::Ivf(stream) => stream.push(bytes),
            Reader::Adts(stream) => stream.push(bytes),
        }
    }

    /// What it was, now that it has ended, or why one header cannot describe it.
    pub(crate) fn finish(self) -> Result<StreamDigest, Problem> {
        match self.reader {
            Reader::NalUnits(stream) => stream.finish(),
            Reader::Obu(stream) => stream.finish(),
            Reader::Ivf(stream) => stream.finish(),
            Reader::Adts(stream) => stream.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8)) {
            let videos = [VideoCodec::H264, VideoCodec::H265, VideoCodec::Av1, VideoCodec::Vp9];
            let streams = videos.map(ElementaryStream::video).into_iter().chain([ElementaryStream::aac()]);
            for mut stream in streams {
                pieces.iter().for_each(|piece| stream.push(piece));
                let _ = stream.finish();
            }
        }
    }
}
