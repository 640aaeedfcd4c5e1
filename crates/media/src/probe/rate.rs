//! The nearest real constant rate of a picture, from the time stamps of its frames. What a container
//! says about its rate is only a hint: it may be the clock's own rate (1000 frames a second).

use model::Rational;

/// A rate, and how far the frames keep to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    pub rate: Rational,
    /// Whether the distances of frames vary by more than the clock's own steps.
    pub varies: bool,
    /// The usual distance of two frames, in seconds.
    pub frame: f64,
}

/// Rates that cameras, films and screens have.
const REAL: &[(u64, u64)] = &[
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

/// Without any time stamps to go by.
const USUAL: Rational = Rational::whole(25);
/// A rate this near to a real one is that one.
const NEAR: f64 = 0.005;
/// Rates of one family, such as 30 and 29.97, are 0.001 apart: a hint decides between them, unless so
/// many frames were measured that the measure itself does.
const FAMILY: f64 = 0.0025;
const MANY: usize = 500;
const FAMILY_OF_MANY: f64 = 0.0004;
/// How far two distances may differ and still be one cadence.
const CADENCE: f64 = 0.06;
/// A faster cadence counts when so many of the frames keep to it.
const SHARE: f64 = 0.12;

/// Measures time stamps in ticks of `tick` seconds, in any order; `hints` are what the container says,
/// most trusted first.
pub(super) fn measure(times: &[i64], tick: f64, hints: &[Rational]) -> Measured {
    let gaps = gaps(times);
    let hint = hints.iter().copied().find(|hint| hint.as_f64() <= 240.0);
    let Some(&usual) = gaps.get(gaps.len() / 2) else {
        let rate = hint.map_or(USUAL, |hint| nearest(hint.as_f64(), Some(hint)));
        return Measured { rate, varies: false, frame: 1.0 / rate.as_f64() };
    };
    let cadence = cadence(&gaps, usual);
    let frame = cadence.ticks * tick;
    let exact = exact(&gaps, usual, tick);
    let rate = match exact {
        Some(rate) => nearest_of_family(rate.as_f64(), hints, FAMILY_OF_MANY).unwrap_or(rate),
        None => {
            let family = if gaps.len() < MANY { FAMILY } else { FAMILY_OF_MANY };
            nearest_of_family(1.0 / frame, hints, family).unwrap_or_else(|| nearest(1.0 / frame, hint))
        }
    };
    Measured { rate, varies: cadence.share < 0.98, frame }
}

/// A rate that the container's index vouches for.
pub(super) fn indexed(rate: Rational) -> Measured {
    let rate = nearest_of_family(rate.as_f64(), &[rate], FAMILY).unwrap_or(rate);
    Measured { rate, varies: false, frame: 1.0 / rate.as_f64() }
}

/// Distances of neighbours, ascending. Frames that are not shown (hidden reference frames) come with
/// a neighbour's time stamp, or nearly so, and are left out.
fn gaps(times: &[i64]) -> Vec<i64> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.dedup();
    let tiny = distances(&times).get(times.len().saturating_sub(1) / 2).map_or(0, |middle| middle / 10);
    let mut shown: Option<i64> = None;
    times.retain(|time| {
        let far = shown.is_none_or(|shown| time.saturating_sub(shown) > tiny);
        if far {
            shown = Some(*time);
        }
        far
    });
    distances(&times)
}

fn distances(times: &[i64]) -> Vec<i64> {
    let mut distances: Vec<i64> = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    distances.sort_unstable();
    distances
}

struct Cadence {
    /// The mean of the distances that keep to it.
    ticks: f64,
    /// How many of all distances do.
    share: f64,
}

/// The usual distance; or a clearly shorter one to which enough frames keep, so that the faster parts
/// of a picture that changes its pace lose no frames.
fn cadence(gaps: &[i64], usual: i64) -> Cadence {
    let around = |centre: i64| {
        let slack = (centre as f64 * CADENCE).max(1.0);
        let kept: Vec<_> = gaps.iter().filter(|gap| (**gap - centre).abs() as f64 <= slack).collect();
        Cadence {
            ticks: kept.iter().map(|gap| **gap as f64).sum::<f64>() / kept.len().max(1) as f64,
            share: kept.len() as f64 / gaps.len() as f64,
        }
    };
    let faster = gaps.get((gaps.len() as f64 * SHARE) as usize).copied().unwrap_or(usual);
    let fast = around(faster);
    if (faster as f64) < usual as f64 * 0.75 && fast.share >= SHARE { fast } else { around(usual) }
}

/// The rate when every distance is the same number of ticks, of a clock that can say so.
fn exact(gaps: &[i64], usual: i64, tick: f64) -> Option<Rational> {
    let same = gaps.iter().filter(|gap| **gap == usual).count() as f64 >= gaps.len() as f64 * 0.98;
    let clock = (1.0 / tick).round();
    let is_whole = (1.0 / tick - clock).abs() < 1e-6 && (1.0..1e9).contains(&clock);
    if !same || !is_whole || usual <= 0 {
        return None;
    }
    Rational::new(clock as u64, u64::try_from(usual).ok()?)
}

/// The real rate that this one is, if any; of those within `family` a hint decides.
fn nearest_of_family(rate: f64, hints: &[Rational], family: f64) -> Option<Rational> {
    let off = |real: &Rational| (real.as_f64() / rate - 1.0).abs();
    let near: Vec<Rational> = real().filter(|real| off(real) <= NEAR).collect();
    let hinted = near.iter().find(|real| {
        off(real) <= family && hints.iter().any(|hint| (hint.as_f64() / real.as_f64() - 1.0).abs() < 1e-4)
    });
    hinted.copied().or_else(|| near.into_iter().min_by(|a, b| off(a).total_cmp(&off(b))))
}

/// The nearest real rate by ratio; what is beyond them all is taken as it is said.
fn nearest(rate: f64, said: Option<Rational>) -> Rational {
    let off = |real: &Rational| (real.as_f64() / rate).ln().abs();
    match real().min_by(|a, b| off(a).total_cmp(&off(b))) {
        Some(real) if rate <= 250.0 => real,
        _ => said.unwrap_or(USUAL),
    }
}

fn real() -> impl Iterator<Item = Rational> {
    REAL.iter().filter_map(|(num, den)| Rational::new(*num, *den))
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
        #[case] tick: f64,
        #[case] said: &[&str],
        #[case] rate: &str,
        #[case] varies: bool,
    ) {
        let measured = measure(&times, tick, &hints(said));
        assert_eq!((measured.rate.to_string().as_str(), measured.varies), (rate, varies), "{measured:?}");
    }

    #[test]
    fn a_single_frame_takes_the_hint() {
        assert_eq!(measure(&[0], 1e-3, &hints(&["25/1"])).rate, Rational::whole(25));
        assert_eq!(measure(&[], 1e-3, &hints(&["90000/1"])).rate, USUAL);
    }

    proptest! {
        #[test]
        fn any_time_stamps_give_a_sound_rate(
            times in prop::collection::vec(any::<i64>(), 0..60),
            tick in 1e-6..1.0_f64,
        ) {
            let measured = measure(&times, tick, &[]);
            prop_assert!(measured.rate.as_f64() > 0.0);
        }

        #[test]
        fn a_jittered_real_rate_is_found(number in 12..REAL.len(), jitter in prop::collection::vec(-1_i64..=1, 200)) {
            let (num, den) = REAL[number];
            let ticks = 90_000.0 * den as f64 / num as f64;
            let times: Vec<i64> =
                jitter.iter().enumerate().map(|(at, off)| (at as f64 * ticks).round() as i64 + off).collect();
            let rate = Rational::new(num, den).expect("a rate");
            prop_assert_eq!(measure(&times, 1.0 / 90_000.0, &[rate]).rate, rate);
        }
    }
}
