//! The frame rate of a video: the nearest constant rate in use, from the time stamps of its frames. What a
//! container says of it is only a hint: it may be the timescale (1000 frames a second).

use model::Rational;

/// A frame rate, and how far the frames keep to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MeasuredRate {
    pub frame_rate: Rational,
    /// Whether the distances of frames vary by more than the time base makes them.
    pub is_variable: bool,
    /// The usual distance of two frames, in seconds.
    pub frame_duration: f64,
}

/// Frame rates that cameras, films and screens have.
const KNOWN_RATES: &[(u64, u64)] = &[
    (1, 1),
    (2, 1),
    (3, 1),
    (4, 1),
    (5, 1),
    (6, 1),
    (15, 2),
    (8, 1),
    (9, 1),
    (10, 1),
    (12_000, 1001),
    (12, 1),
    (25, 2),
    (15_000, 1001),
    (15, 1),
    (16, 1),
    (18, 1),
    (20, 1),
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (40, 1),
    (48_000, 1001),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
    (72, 1),
    (75, 1),
    (90, 1),
    (100, 1),
    (120_000, 1001),
    (120, 1),
    (144, 1),
    (240_000, 1001),
    (240, 1),
];

/// The frame rate where there are no time stamps and no hint.
const DEFAULT_RATE: Rational = Rational::whole(25);
/// The highest rate of a container that is believed as a hint.
const MAX_HINT: f64 = 240.0;
/// The highest rate that is rounded to a known one.
const MAX_KNOWN_RATE: f64 = 250.0;
/// A rate this near to a known one, by ratio, is that one.
const KNOWN_RATE_TOLERANCE: f64 = 0.005;
/// Rates of one family, such as 30 and 29.97, are 0.001 apart. Within this tolerance a hint decides between
/// them; after many frames within a narrower one, as the measure is then more exact.
const FAMILY_TOLERANCE: f64 = 0.0025;
const FAMILY_TOLERANCE_OF_MANY: f64 = 0.0004;
const MANY_FRAMES: usize = 500;
/// Share of itself by which a distance may differ from others of the same cadence.
const CADENCE_TOLERANCE: f64 = 0.06;
/// Share of all frames that have to keep to a faster cadence for it to count.
const MIN_CADENCE_SHARE: f64 = 0.12;
/// Share of all frames that keep to the cadence of a constant rate.
const CONSTANT_SHARE: f64 = 0.98;

/// Measures time stamps in units of `time_base` seconds, in any order; `hints` are what the container says,
/// most trusted first.
pub(super) fn measure(times: &[i64], time_base: f64, hints: &[Rational]) -> MeasuredRate {
    let gaps = gaps(times);
    let hint = hints.iter().copied().find(|hint| hint.as_f64() <= MAX_HINT);
    let Some(&usual) = gaps.get(gaps.len() / 2) else {
        let rate = hint.map_or(DEFAULT_RATE, |hint| nearest_known(hint.as_f64(), Some(hint)));
        return MeasuredRate { frame_rate: rate, is_variable: false, frame_duration: 1.0 / rate.as_f64() };
    };
    let cadence = find_cadence(&gaps, usual);
    let frame_duration = cadence.gap * time_base;
    let rate = match exact_rate(&gaps, usual, time_base) {
        Some(rate) => known_rate(rate.as_f64(), hints, FAMILY_TOLERANCE_OF_MANY).unwrap_or(rate),
        None => {
            let tolerance =
                if gaps.len() < MANY_FRAMES { FAMILY_TOLERANCE } else { FAMILY_TOLERANCE_OF_MANY };
            known_rate(1.0 / frame_duration, hints, tolerance)
                .unwrap_or_else(|| nearest_known(1.0 / frame_duration, hint))
        }
    };
    MeasuredRate { frame_rate: rate, is_variable: cadence.share < CONSTANT_SHARE, frame_duration }
}

/// A constant rate that the container's index vouches for.
pub(super) fn indexed(rate: Rational) -> MeasuredRate {
    let rate = known_rate(rate.as_f64(), &[rate], FAMILY_TOLERANCE).unwrap_or(rate);
    MeasuredRate { frame_rate: rate, is_variable: false, frame_duration: 1.0 / rate.as_f64() }
}

/// Distances of neighbours, ascending. Frames that are not shown (hidden reference frames, as of VP8) have
/// nearly the time stamp of a neighbour, and are left out.
fn gaps(times: &[i64]) -> Vec<i64> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.dedup();
    let middle = times.len().saturating_sub(1) / 2;
    let max_hidden_gap = distances(&times).get(middle).map_or(0, |gap| gap / 10);
    let mut last_shown: Option<i64> = None;
    times.retain(|time| {
        let is_shown = last_shown.is_none_or(|last| time.saturating_sub(last) > max_hidden_gap);
        if is_shown {
            last_shown = Some(*time);
        }
        is_shown
    });
    distances(&times)
}

fn distances(times: &[i64]) -> Vec<i64> {
    let mut distances: Vec<i64> = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    distances.sort_unstable();
    distances
}

struct Cadence {
    /// The mean of the distances that keep to it, in units of the time base.
    gap: f64,
    /// The share of all distances that do.
    share: f64,
}

/// The usual distance; or a clearly shorter one to which enough frames keep, so that a video that changes
/// its pace loses no frames in its faster parts.
fn find_cadence(gaps: &[i64], usual: i64) -> Cadence {
    let around = |centre: i64| {
        let tolerance = (centre as f64 * CADENCE_TOLERANCE).max(1.0);
        let kept: Vec<_> = gaps.iter().filter(|gap| (**gap - centre).abs() as f64 <= tolerance).collect();
        Cadence {
            gap: kept.iter().map(|gap| **gap as f64).sum::<f64>() / kept.len().max(1) as f64,
            share: kept.len() as f64 / gaps.len() as f64,
        }
    };
    let faster = gaps.get((gaps.len() as f64 * MIN_CADENCE_SHARE) as usize).copied().unwrap_or(usual);
    let fast = around(faster);
    if (faster as f64) < usual as f64 * 0.75 && fast.share >= MIN_CADENCE_SHARE {
        fast
    } else {
        around(usual)
    }
}

/// The rate when all distances are the same, in a time base that can express it.
fn exact_rate(gaps: &[i64], usual: i64, time_base: f64) -> Option<Rational> {
    let is_same =
        gaps.iter().filter(|gap| **gap == usual).count() as f64 >= gaps.len() as f64 * CONSTANT_SHARE;
    let timescale = (1.0 / time_base).round();
    let is_whole = (1.0 / time_base - timescale).abs() < 1e-6 && (1.0..1e9).contains(&timescale);
    if !is_same || !is_whole || usual <= 0 {
        return None;
    }
    Rational::new(timescale as u64, u64::try_from(usual).ok()?)
}

/// The known rate that this one is, if any; of those within `family_tolerance` a hint decides.
fn known_rate(rate: f64, hints: &[Rational], family_tolerance: f64) -> Option<Rational> {
    let off = |known: &Rational| (known.as_f64() / rate - 1.0).abs();
    let near: Vec<Rational> = known_rates().filter(|known| off(known) <= KNOWN_RATE_TOLERANCE).collect();
    let hinted = near.iter().find(|known| {
        off(known) <= family_tolerance
            && hints.iter().any(|hint| (hint.as_f64() / known.as_f64() - 1.0).abs() < 1e-4)
    });
    hinted.copied().or_else(|| near.into_iter().min_by(|a, b| off(a).total_cmp(&off(b))))
}

/// The nearest known rate by ratio; a rate beyond them all is taken from the hint.
fn nearest_known(rate: f64, hint: Option<Rational>) -> Rational {
    let off = |known: &Rational| (known.as_f64() / rate).ln().abs();
    match known_rates().min_by(|a, b| off(a).total_cmp(&off(b))) {
        Some(known) if rate <= MAX_KNOWN_RATE => known,
        _ => hint.unwrap_or(DEFAULT_RATE),
    }
}

fn known_rates() -> impl Iterator<Item = Rational> {
    KNOWN_RATES.iter().filter_map(|(num, den)| Rational::new(*num, *den))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn steady(gap: f64, count: usize) -> Vec<i64> {
        (0..count).map(|number| (number as f64 * gap).round() as i64).collect()
    }

    fn walk(gaps: &[(i64, usize)]) -> Vec<i64> {
        let gaps = gaps.iter().flat_map(|(gap, times)| std::iter::repeat_n(*gap, *times));
        std::iter::once(0)
            .chain(gaps.scan(0, |at, gap| {
                *at += gap;
                Some(*at)
            }))
            .collect()
    }

    fn hints(hints: &[&str]) -> Vec<Rational> {
        hints.iter().map(|hint| hint.parse().expect("a rate")).collect()
    }

    #[rstest]
    #[case::ntsc_in_milliseconds(steady(33.3667, 300), 1e-3, &["30000/1001"], "30000/1001", false)]
    #[case::claims_the_clock(steady(33.3333, 30), 1e-3, &["60/1", "1000/1"], "30", false)]
    #[case::film(steady(1001.0, 48), 1.0 / 24000.0, &["24000/1001"], "24000/1001", false)]
    #[case::phone_at_29_87(steady(3013.0, 36), 1.0 / 90000.0, &["179/6"], "30000/1001", false)]
    #[case::phone_8k(steady(3749.0, 8), 1.0 / 90000.0, &["90000/3749"], "24", false)]
    #[case::gif(steady(7.0, 23), 1e-2, &["100/7"], "100/7", false)]
    #[case::thousand(steady(16.0, 1000), 1.0 / 16000.0, &["1000/1"], "1000", false)]
    #[case::sixty_then_two(walk(&[(256, 60), (7680, 6), (256, 60), (7680, 5)]), 1.0 / 15360.0, &["60/1"], "60", true)]
    #[case::thirty_fifteen_thirty(walk(&[(33, 100), (67, 100), (33, 100)]), 1e-3, &["30/1"], "30", true)]
    #[case::mostly_fifteen(walk(&[(67, 90), (33, 20)]), 1e-3, &["1000/1"], "30", true)]
    #[case::hidden_frames(walk(&[(42, 20), (1, 1), (41, 20), (0, 1), (42, 20)]), 1e-3, &["24000/1001"], "24000/1001", false)]
    #[case::one_per_second(steady(16384.0, 13), 1.0 / 16384.0, &["1/1"], "1", false)]
    fn rates(
        #[case] times: Vec<i64>,
        #[case] time_base: f64,
        #[case] container_says: &[&str],
        #[case] rate: &str,
        #[case] is_variable: bool,
    ) {
        let measured = measure(&times, time_base, &hints(container_says));
        assert_eq!(
            (measured.frame_rate.to_string().as_str(), measured.is_variable),
            (rate, is_variable),
            "{measured:?}"
        );
    }

    #[test]
    fn a_single_frame_takes_the_hint() {
        assert_eq!(measure(&[0], 1e-3, &hints(&["25/1"])).frame_rate, Rational::whole(25));
        assert_eq!(measure(&[], 1e-3, &hints(&["90000/1"])).frame_rate, DEFAULT_RATE);
    }

    proptest! {
        #[test]
        fn any_time_stamps_give_a_positive_rate(
            times in prop::collection::vec(any::<i64>(), 0..60),
            time_base in 1e-6..1.0_f64,
        ) {
            let measured = measure(&times, time_base, &[]);
            prop_assert!(measured.frame_rate.as_f64() > 0.0);
        }

        #[test]
        fn a_jittered_real_rate_is_found(number in 12..KNOWN_RATES.len(), jitter in prop::collection::vec(-1_i64..=1, 200)) {
            let (num, den) = KNOWN_RATES[number];
            let gap = 90_000.0 * den as f64 / num as f64;
            let times: Vec<i64> =
                jitter.iter().enumerate().map(|(at, off)| (at as f64 * gap).round() as i64 + off).collect();
            let rate = Rational::new(num, den).expect("a rate");
            prop_assert_eq!(measure(&times, 1.0 / 90_000.0, &[rate]).frame_rate, rate);
        }
    }
}
