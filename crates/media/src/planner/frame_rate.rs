//! Frame rates, and the durations of segments and GOPs: exact fractions throughout, so that every key
//! frame falls on the same time in every rendition.

use std::num::NonZeroU32;

use model::{Rational, Template};

use super::ladder::LadderRendition;
use crate::source::VideoStream;

/// More frames a second than this only when asked.
const DEFAULT_MAX_FRAME_RATE: u32 = 60;
/// Seconds from one key frame to the next unless asked otherwise.
const DEFAULT_GOP_SECS: f64 = 2.0;

/// The frame rate of each rendition. Segmented renditions whose rates have no short common period are given
/// divisors of the source's rate, which always have one.
pub(super) fn renditions(
    template: &Template,
    video: Option<&VideoStream>,
    ladder: &[LadderRendition],
) -> Vec<Rational> {
    let Some(video) = video else { return Vec::new() };
    let source = video.frame_rate.max(Rational::whole(1));
    let caps: Vec<_> = ladder.iter().map(|rendition| maximum(rendition.max_frame_rate)).collect();
    let rates: Vec<_> = caps.iter().map(|cap| capped(source, *cap)).collect();
    let asked = f64::from(template.segment_seconds());
    let have_common_segments = common_period(&rates).is_some_and(|period| {
        let length = (asked / period.as_f64()).round().max(1.0) * period.as_f64();
        (length - asked).abs() <= asked / 4.0
    });
    if !template.format.is_segmented() || have_common_segments {
        return rates;
    }
    caps.iter().map(|cap| divided(source, divisor(source, *cap))).collect()
}

fn maximum(framerate: Option<NonZeroU32>) -> Rational {
    Rational::whole(framerate.map_or(DEFAULT_MAX_FRAME_RATE, NonZeroU32::get).into())
}

/// The source's rate if it is no more than `cap`; else a divisor of it of at least 80 % of the cap,
/// which keeps the cadence even; else the cap itself.
fn capped(source: Rational, cap: Rational) -> Rational {
    let even = divided(source, divisor(source, cap));
    if even.as_f64() >= 0.8 * cap.as_f64() || source <= cap { even } else { cap }
}

/// The least number by which a rate has to be divided to be no more than `cap`.
fn divisor(rate: Rational, cap: Rational) -> u64 {
    let (over, under) = (rate.num() * cap.den(), rate.den() * cap.num());
    over.div_ceil(under.max(1)).max(1)
}

fn divided(rate: Rational, by: u64) -> Rational {
    Rational::new(rate.num(), rate.den() * by).unwrap_or(rate)
}

/// The shortest time in which every rate has a whole number of frames; none when it is too long to
/// be of use.
fn common_period(rates: &[Rational]) -> Option<Rational> {
    let mut period: Option<Rational> = None;
    for rate in rates {
        let frame = Rational::new(rate.den(), rate.num())?;
        period = Some(match period {
            None => frame,
            Some(period) => least_common(period, frame)?,
        });
    }
    period
}

/// The least common multiple of two fractions in lowest terms.
fn least_common(a: Rational, b: Rational) -> Option<Rational> {
    let num = (a.num() / gcd(a.num(), b.num())).checked_mul(b.num())?;
    Rational::new(num, gcd(a.den(), b.den()))
}

/// The duration of a segment: a whole number of frames of every rendition, as near as can be to what
/// is asked; without video, what is asked.
pub(super) fn segment(rates: &[Rational], asked: u32) -> Rational {
    let Some(period) = common_period(rates) else { return Rational::whole(asked.into()) };
    let times = (f64::from(asked) / period.as_f64()).round().max(1.0) as u64;
    Rational::new(period.num() * times, period.den()).unwrap_or(period)
}

/// Frames from one key frame to the next, for each rendition. In segments it is the same time in all
/// of them and divides the segment; `gop_size` counts frames of the first rendition.
pub(super) fn gops(template: &Template, rates: &[Rational], segment: Option<Rational>) -> Vec<u32> {
    let Some(first) = rates.first() else { return Vec::new() };
    let asked = match (template.gop_size, template.gop_seconds) {
        (Some(frames), _) => f64::from(frames) / first.as_f64(),
        (None, Some(seconds)) => f64::from(seconds),
        (None, None) => DEFAULT_GOP_SECS,
    };
    let frames = |rate: &Rational, seconds: f64| (seconds * rate.as_f64()).round().max(1.0) as u32;
    let Some(segment) = segment else {
        return rates.iter().map(|rate| frames(rate, asked)).collect();
    };
    let in_segment: Vec<u64> =
        rates.iter().map(|rate| (segment.as_f64() * rate.as_f64()).round() as u64).collect();
    let shared = in_segment.iter().copied().fold(0, gcd);
    let parts = nearest_divisor(shared.max(1), segment.as_f64() / asked);
    in_segment.iter().map(|frames| u32::try_from(frames / parts).unwrap_or(u32::MAX).max(1)).collect()
}

/// The divisor of a number whose ratio to `target` is nearest to 1.
fn nearest_divisor(of: u64, target: f64) -> u64 {
    let off = |divisor: u64| (divisor as f64 / target).ln().abs();
    (1..=of)
        .filter(|divisor| of.is_multiple_of(*divisor))
        .min_by(|a, b| off(*a).total_cmp(&off(*b)))
        .unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
