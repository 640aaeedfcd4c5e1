//! The fields of a template whose values are words.

use crate::field::word_enum;

word_enum! {
    /// The format of an output.
    Format {
        /// one progressive MP4 file
        Mp4 = "mp4",
        /// HTTP Live Streaming
        Hls = "hls",
        /// MPEG-DASH
        Dash = "dash",
        /// one FLV file
        Flv = "flv",
    }
}

impl Format {
    /// The file extensions of the main object; the first is added where it has none.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Mp4 => &["mp4", "m4v", "m4a"],
            Self::Hls => &["m3u8"],
            Self::Dash => &["mpd"],
            Self::Flv => &["flv"],
        }
    }

    /// The default name of the main object, for formats that consist of many objects.
    pub const fn default_main_name(self) -> Option<&'static str> {
        match self {
            Self::Mp4 | Self::Flv => None,
            Self::Hls => Some("master.m3u8"),
            Self::Dash => Some("manifest.mpd"),
        }
    }

    /// Whether the output is cut into segments.
    pub const fn is_segmented(self) -> bool {
        self.default_main_name().is_some()
    }
}

word_enum! {
    /// How the encoding is done.
    TransMode {
        /// one encoder run
        Standard = "standard",
        /// the source is cut into parts, which are encoded in parallel
        Fast = "fast",
        /// content-adaptive
        Intelligent = "intelligent",
    }
}

word_enum! {
    /// The loudness of the audio.
    Loudness {
        /// -23 LUFS integrated, true peaks below -1 dBTP (EBU R 128)
        EbuR128 = "ebu-r128",
    }
}

word_enum! {
    /// What becomes of HDR.
    Hdr {
        /// kept, with its metadata, where the codec can: H.265 and AV1
        Keep = "keep",
        /// tone-mapped to BT.709, which every screen shows
        ToneMap = "tone-map",
    }
}

word_enum! {
    /// The type of segments.
    SegmentType {
        /// MPEG transport stream
        Ts = "ts",
        /// fragmented MP4 (CMAF)
        Fmp4 = "fmp4",
    }
}
