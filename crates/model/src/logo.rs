//! How large a logo is and where it stands, as it is asked for: in pixels or in percent of each
//! rendition.

use std::{fmt, str::FromStr};

use crate::field::{cut, text_serde};

/// A length along a side of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// Pixels.
    Pixels(u32),
    /// Percent of the side, 0 to 100.
    Percent(f64),
}

impl Length {
    /// Pixels of a side that has so many.
    pub fn of(self, side: u32) -> u32 {
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
            None => text.parse().ok().filter(|pixels| *pixels <= 8192).map(Self::Pixels),
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

/// The box that a logo fits into, its aspect kept: `200x100`, `200x`, `x100`, `15%x`. A side that is
/// left out bounds nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogoSize {
    /// Across.
    pub width: Option<Length>,
    /// Down.
    pub height: Option<Length>,
}

impl FromStr for LogoSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("`{}` is not a size; give `200x100`, `200x`, `x100` or percent, `15%x`", cut(text));
        let side = |text: &str| match text {
            "" => Ok(None),
            text => Length::parse(text).filter(|length| length.of(8192) > 0).map(Some).ok_or_else(wrong),
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
        for (side, before) in [(self.width, ""), (self.height, "x")] {
            f.write_str(before)?;
            if let Some(side) = side {
                side.fmt(f)?;
            }
        }
        Ok(())
    }
}

text_serde!(LogoSize);

/// A distance from one end of a side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// Whether it counts from the right or the bottom; else from the left or the top.
    pub from_end: bool,
    /// How far.
    pub length: Length,
}

/// How far a logo stands from the edges: `10x10` from the left and the top, `-10x-10` from the right
/// and the bottom, `-5%x5%` in percent; `-0` is the very edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogoOffset {
    /// Across.
    pub x: Distance,
    /// Down.
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
                cut(text)
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

text_serde!(LogoOffset);

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
