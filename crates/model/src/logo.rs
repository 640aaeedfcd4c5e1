//! The size and the place of a logo, as a template gives them: in pixels or in percent of each rendition.

use std::{fmt, str::FromStr};

use crate::field::{quoted, serde_as_text};

/// The longest length, in pixels.
const MAX_PIXELS: u32 = 8192;

/// A length along a side of the video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// Pixels.
    Pixels(u32),
    /// Percent of the side's length, 0 to 100.
    Percent(f64),
}

impl Length {
    /// The length in pixels, along a side of so many pixels.
    pub fn in_pixels(self, side: u32) -> u32 {
        match self {
            Self::Pixels(pixels) => pixels,
            Self::Percent(percent) => (f64::from(side) * percent / 100.0).round() as u32,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
                percent.map(Self::Percent)
            }
            None => text.parse().ok().filter(|pixels| *pixels <= MAX_PIXELS).map(Self::Pixels),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(pixels) => write!(f, "{pixels}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// The box that a logo fits into, its aspect ratio kept: `200x100`, `200x`, `x100`, `15%x`. A side that is
/// left out is not limited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogoSize {
    /// None: not limited.
    pub width: Option<Length>,
    /// None: not limited.
    pub height: Option<Length>,
}

impl FromStr for LogoSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("`{}` is not a size; give `200x100`, `200x`, `x100` or percent, `15%x`", quoted(text));
        let side = |text: &str| match text {
            "" => Ok(None),
            text => Length::parse(text)
                .filter(|length| length.in_pixels(MAX_PIXELS) > 0)
                .map(Some)
                .ok_or_else(wrong),
        };
        let (width, height) = text.split_once('x').ok_or_else(wrong)?;
        match (side(width)?, side(height)?) {
            (None, None) => Err(wrong()),
            (width, height) => Ok(Self { width, height }),
        }
    }
}

impl fmt::Display for LogoSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (side, separator) in [(self.width, ""), (self.height, "x")] {
            f.write_str(separator)?;
            if let Some(side) = side {
                side.fmt(f)?;
            }
        }
        Ok(())
    }
}

serde_as_text!(LogoSize);

/// A distance from one of two opposite edges of the video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// Whether it counts from the right or the bottom; else from the left or the top.
    pub from_end: bool,
    /// The distance itself.
    pub length: Length,
}

/// The distances of a logo from the edges: `10x10` from the left and the top, `-10x-10` from the right and
/// the bottom, `-5%x5%` in percent; `-0` is at the right or the bottom edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogoOffset {
    /// From the left or the right edge.
    pub x: Distance,
    /// From the top or the bottom edge.
    pub y: Distance,
}

impl Default for LogoOffset {
    /// The upper left corner.
    fn default() -> Self {
        let edge = Distance { from_end: false, length: Length::Pixels(0) };
        Self { x: edge, y: edge }
    }
}

impl FromStr for LogoOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let distance = |text: &str| {
            let (from_end, length) = match text.strip_prefix('-') {
                Some(length) => (true, length),
                None => (false, text),
            };
            Length::parse(length).map(|length| Distance { from_end, length })
        };
        let parsed = text.split_once('x').and_then(|(x, y)| Some(Self { x: distance(x)?, y: distance(y)? }));
        parsed.ok_or_else(|| {
            format!(
                "`{}` is not an offset; give `10x10`, `-10x-10` from the right and the bottom, or percent, `-5%x5%`",
                quoted(text)
            )
        })
    }
}

impl fmt::Display for LogoOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |distance: Distance| if distance.from_end { "-" } else { "" };
        write!(f, "{}{}x{}{}", sign(self.x), self.x.length, sign(self.y), self.y.length)
    }
}

serde_as_text!(LogoOffset);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("200x100")]
    #[case("200x")]
    #[case("x100")]
    #[case("12.5%x")]
    #[case("10%x20%")]
    fn sizes(#[case] text: &str) {
        assert_eq!(text.parse::<LogoSize>().expect("a size").to_string(), text);
    }

    #[rstest]
    #[case("10x10")]
    #[case("-10x5%")]
    #[case("-0x-0")]
    #[case("0x-2.5%")]
    fn offsets(#[case] text: &str) {
        assert_eq!(text.parse::<LogoOffset>().expect("an offset").to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("x")]
    #[case("0x10")]
    #[case("-5x5")]
    #[case("200")]
    #[case("101%x")]
    #[case("99999x1")]
    #[case("1x2x3")]
    fn no_sizes(#[case] text: &str) {
        assert!(text.parse::<LogoSize>().is_err());
    }

    #[rstest]
    #[case("")]
    #[case("10")]
    #[case("10x")]
    #[case("--1x1")]
    #[case("NaN%x0")]
    fn no_offsets(#[case] text: &str) {
        assert!(text.parse::<LogoOffset>().is_err());
    }
}
