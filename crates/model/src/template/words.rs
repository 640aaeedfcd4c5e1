//! The words that fields of a template take.

use crate::field::words;

words! {
    /// What kind of output comes out.
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
    /// File extensions of the main object; the first is the one that is added.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Mp4 => &["mp4", "m4v", "m4a"],
            Self::Hls => &["m3u8"],
            Self::Dash => &["mpd"],
            Self::Flv => &["flv"],
        }
    }

    /// The name of the main object in a folder, for formats that consist of many objects.
    pub const fn folder_main(self) -> Option<&'static str> {
        match self {
            Self::Mp4 | Self::Flv => None,
            Self::Hls => Some("master.m3u8"),
            Self::Dash => Some("manifest.mpd"),
        }
    }

    /// Whether the output is cut into segments.
    pub const fn is_segmented(self) -> bool {
        self.folder_main().is_some()
    }
}

words! {
    /// How the encoding is done.
    TransMode {
        /// one encoder run
        Standard = "standard",
        /// the source is cut and its parts are encoded side by side
        Fast = "fast",
        /// content-adaptive
        Intelligent = "intelligent",
    }
}

words! {
    /// How loud the audio is.
    Loudness {
        /// -23 LUFS in all, true peaks below -1 dBTP (EBU R 128)
        EbuR128 = "ebu-r128",
    }
}

words! {
    /// What becomes of HDR.
    Hdr {
        /// kept, with its metadata, where the codec can: H.265 and AV1
        Keep = "keep",
        /// becomes BT.709, which every screen shows
        ToneMap = "tone-map",
    }
}

words! {
    /// What segments are.
    SegmentType {
        /// MPEG transport stream
        Ts = "ts",
        /// fragmented MP4 (CMAF)
        Fmp4 = "fmp4",
    }
}
