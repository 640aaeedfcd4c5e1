//! The fields of a template whose values are sent as text: resolutions, names, sample rates.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    AudioCodec,
    field::{quoted, serde_as_text},
    limits::MAX_TEMPLATE_NAME_BYTES,
};

/// A width and a height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Box2d {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl fmt::Display for Box2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// The size of the video, as a template gives it. The source's aspect ratio is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// `1280x720`: fits into this box, which turns with a portrait source.
    Fit(Box2d),
    /// `1280x`: this width.
    Width(u32),
    /// `x720`: this height.
    Height(u32),
    /// `720p`: this short side.
    ShortSide(u32),
}

const SIDES: std::ops::RangeInclusive<u32> = 16..=8192;

impl FromStr for Resolution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |text: &str| text.parse().ok().filter(|side| SIDES.contains(side));
        let lower = text.to_ascii_lowercase();
        let parsed = match lower.split_once('x') {
            Some((width, "")) => side(width).map(Self::Width),
            Some(("", height)) => side(height).map(Self::Height),
            Some((width, height)) => {
                side(width).zip(side(height)).map(|(width, height)| Self::Fit(Box2d { width, height }))
            }
            None => lower.strip_suffix('p').and_then(side).map(Self::ShortSide),
        };
        parsed.ok_or_else(|| {
            format!(
                "`{}` is not a resolution; give `1280x720`, `1280x`, `x720` or `720p`, sides from 16 to 8192",
                quoted(text)
            )
        })
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fit(size) => size.fmt(f),
            Self::Width(width) => write!(f, "{width}x"),
            Self::Height(height) => write!(f, "x{height}"),
            Self::ShortSide(side) => write!(f, "{side}p"),
        }
    }
}

serde_as_text!(Resolution);

/// The name of a template: 1 to 64 letters, digits, `.`, `_` or `-`, since the SDK puts it into
/// URLs unescaped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateName(pub(super) String);

impl TemplateName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TemplateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TemplateName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if (1..=MAX_TEMPLATE_NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not a name; use 1 to 64 letters, digits, `.`, `_` or `-`", quoted(text)))
        }
    }
}

serde_as_text!(TemplateName);

/// Samples a second, sent as text: `44100`, `48k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SampleRate(pub u32);

/// The sample rates that any codec takes, in Hz: AAC takes them all.
const SAMPLE_RATES: &[u32] = AudioCodec::Aac.sample_rates();

impl FromStr for SampleRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let rate = match lower.strip_suffix('k') {
            Some(kilo) => kilo.parse::<f64>().ok().map(|kilo| (kilo * 1000.0).round() as u32),
            None => lower.parse().ok(),
        };
        rate.filter(|rate| SAMPLE_RATES.contains(rate)).map(Self).ok_or_else(|| {
            format!("`{}` is not a sample rate; give one of {SAMPLE_RATES:?} Hz", quoted(text))
        })
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_text!(SampleRate);
