//! What the samples of video mean: range, matrix, transfer function and primaries, by FFmpeg's names.
//!
//! Never unknown: what a source does not tag, the planner decides.

/// The colour of video.
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

/// FFmpeg's names with their code points (ISO/IEC 23091-2, 8).
pub(crate) type Names = &'static [(&'static str, u32)];

pub(crate) const MATRICES: Names = &[
    ("bt709", 1),
    ("fcc", 4),
    ("bt470bg", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("bt2020nc", 9),
    ("bt2020c", 10),
    ("ictcp", 14),
];
pub(crate) const TRANSFERS: Names = &[
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
pub(crate) const PRIMARIES: Names = &[
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

/// The code point of a name; none when it is not known.
pub(crate) fn code_point(names: Names, name: &str) -> Option<u32> {
    names.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

impl Colour {
    /// BT.709 as it is broadcast.
    pub fn bt709() -> Self {
        Self::limited("bt709", "bt709", "bt709")
    }

    /// Of limited range.
    pub(crate) fn limited(matrix: &str, transfer: &str, primaries: &str) -> Self {
        Self {
            full_range: false,
            matrix: matrix.to_owned(),
            transfer: transfer.to_owned(),
            primaries: primaries.to_owned(),
        }
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
