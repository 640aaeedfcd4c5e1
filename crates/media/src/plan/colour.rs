//! What the numbers of a picture mean, by FFmpeg's names: never unknown. What a source does not say
//! is what players would take it for: BT.601 for small pictures, BT.709 for others.

use crate::VideoStream;

/// The colours of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colour {
    /// Whether black is 0 (full range), not 16 (limited).
    pub full_range: bool,
    /// Such as `bt709`; `gbr` for RGB.
    pub matrix: String,
    /// Such as `bt709`.
    pub transfer: String,
    /// Such as `bt709`.
    pub primaries: String,
}

/// Names with their code points (ISO/IEC 23091-2, 8).
type Names = &'static [(&'static str, u32)];

const MATRICES: Names = &[
    ("bt709", 1),
    ("fcc", 4),
    ("bt470bg", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("bt2020nc", 9),
    ("bt2020c", 10),
    ("ictcp", 14),
];
const TRANSFERS: Names = &[
    ("bt709", 1),
    ("bt470m", 4),
    ("bt470bg", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("linear", 8),
    ("iec61966-2-1", 13),
    ("bt2020-10", 14),
    ("bt2020-12", 15),
    ("smpte2084", 16),
    ("arib-std-b67", 18),
];
const PRIMARIES: Names = &[
    ("bt709", 1),
    ("bt470m", 4),
    ("bt470bg", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("film", 8),
    ("bt2020", 9),
    ("smpte431", 11),
    ("smpte432", 12),
];

fn code_point(names: Names, name: &str) -> Option<u32> {
    names.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

impl Colour {
    /// BT.709 as it is broadcast.
    pub fn bt709() -> Self {
        Self::of("bt709", "bt709", "bt709")
    }

    fn of(matrix: &str, transfer: &str, primaries: &str) -> Self {
        Self {
            full_range: false,
            matrix: matrix.to_owned(),
            transfer: transfer.to_owned(),
            primaries: primaries.to_owned(),
        }
    }

    /// What a source's numbers mean: its tags where they are sound, else what is usual.
    pub(crate) fn given(picture: &VideoStream) -> Self {
        let rgb = is_rgb(&picture.pixel_format);
        let usual = usual(picture);
        let tag = |tag: &str, known: Names, usual: String| {
            if code_point(known, tag).is_some() { tag.to_owned() } else { usual }
        };
        let matrix = if rgb { "gbr".to_owned() } else { tag(&picture.color_space, MATRICES, usual.matrix) };
        let wide = matrix.starts_with("bt2020") || matrix == "ictcp";
        let primaries = if wide { "bt2020".to_owned() } else { usual.primaries };
        Self {
            full_range: rgb || picture.color_range == "pc" || picture.pixel_format.starts_with("yuvj"),
            matrix,
            transfer: tag(&picture.color_transfer, TRANSFERS, usual.transfer),
            primaries: tag(&picture.color_primaries, PRIMARIES, primaries),
        }
    }

    /// What comes out of it: its own meaning where every player knows it, else BT.709.
    pub(crate) fn wanted(&self) -> Self {
        let known = matches!(self.matrix.as_str(), "bt709" | "bt470bg" | "smpte170m");
        if known && !self.is_wide() && self.transfer != "linear" {
            Self { full_range: false, ..self.clone() }
        } else {
            Self::bt709()
        }
    }

    /// What comes out of it where HDR is kept; none when it is none, or is written in a way that players
    /// do not know.
    pub(crate) fn kept(&self) -> Option<Self> {
        let known = matches!(self.matrix.as_str(), "bt2020nc" | "bt709");
        (self.is_hdr() && known).then(|| Self { full_range: false, ..self.clone() })
    }

    /// Whether its gamut or its transfer is beyond what BT.709 screens show, so that the samples have
    /// to be recomputed in linear light.
    pub(crate) fn is_wide(&self) -> bool {
        self.matrix.starts_with("bt2020")
            || self.matrix == "ictcp"
            || matches!(self.primaries.as_str(), "bt2020" | "smpte431" | "smpte432")
            || self.is_hdr()
    }

    /// Code points of its matrix, transfer and primaries (ISO/IEC 23091-2, 8).
    pub(crate) fn code_points(&self) -> [Option<u32>; 3] {
        [
            code_point(MATRICES, &self.matrix),
            code_point(TRANSFERS, &self.transfer),
            code_point(PRIMARIES, &self.primaries),
        ]
    }

    /// Whether it is PQ or HLG.
    pub(crate) fn is_hdr(&self) -> bool {
        matches!(self.transfer.as_str(), "smpte2084" | "arib-std-b67")
    }
}

fn usual(picture: &VideoStream) -> Colour {
    let small = picture.width < 1280 && picture.height <= 576;
    let lines_of_pal = matches!(picture.height, 576 | 288);
    match (small && !is_rgb(&picture.pixel_format), lines_of_pal) {
        (true, true) => Colour::of("bt470bg", "smpte170m", "bt470bg"),
        (true, false) => Colour::of("smpte170m", "smpte170m", "smpte170m"),
        (false, _) => Colour::bt709(),
    }
}

fn is_rgb(pixel_format: &str) -> bool {
    const RGB: &[&str] =
        &["rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "x2rgb", "x2bgr", "bayer"];
    RGB.iter().any(|start| pixel_format.starts_with(start))
}
