//! Durations and sizes as people write them: a whole number and a unit, `30s`, `10GiB`.

use std::time::Duration;

/// The largest unit first; every one a multiple of the next.
type Units = [(&'static str, u64)];

const MILLIS: &Units = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const BYTES: &Units = &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A hundred years: clocks can be added to it.
const MAX_DURATION_MILLIS: u64 = 36_500 * 86_400_000;

/// Reads a duration.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    match parse(text, MILLIS) {
        Some(millis) if millis > MAX_DURATION_MILLIS => Err("give at most `36500d`".to_owned()),
        Some(millis) => Ok(Duration::from_millis(millis)),
        None => Err("give a whole number and a unit (ms, s, m, h or d), such as `30s`".to_owned()),
    }
}

/// Writes a duration with the largest unit that says it exactly.
pub(super) fn format_duration(duration: Duration) -> String {
    format(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), MILLIS)
}

/// Reads a size in bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, BYTES)
        .ok_or_else(|| "give a whole number and a unit (B, KiB, MiB, GiB or TiB), such as `10GiB`".to_owned())
}

/// Writes a size with the largest unit that says it exactly.
pub(super) fn format_size(bytes: u64) -> String {
    format(bytes, BYTES)
}

fn parse(text: &str, units: &Units) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let unit = text[end..].trim_start();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    text[..end].parse::<u64>().ok()?.checked_mul(*factor)
}

fn format(value: u64, units: &Units) -> String {
    let exact = units.iter().find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor));
    match exact {
        Some((name, factor)) => format!("{}{name}", value / factor),
        None => format!("0{}", units[units.len() - 1].0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("30s", 30_000)]
    #[case("1500ms", 1500)]
    #[case("12 h", 43_200_000)]
    #[case("0s", 0)]
    fn durations(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
    }

    #[rstest]
    #[case("")]
    #[case("30")]
    #[case("s")]
    #[case("-1s")]
    #[case("1.5s")]
    #[case("30 sec")]
    #[case("999999999999999999d")]
    fn not_durations(#[case] text: &str) {
        assert!(parse_duration(text).is_err_and(|problem| problem.contains("`30s`")));
    }

    #[test]
    fn a_duration_that_no_clock_can_add_is_refused() {
        assert_eq!(parse_duration("36500d").map(|duration| duration.as_secs()), Ok(36_500 * 86_400));
        assert_eq!(parse_duration("36501d"), Err("give at most `36500d`".to_owned()));
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(parse_size("10GiB"), Ok(10 << 30));
        assert!(parse_size("10GB").is_err());
        assert_eq!(format_size(1536), "1536B");
        assert_eq!(format_duration(Duration::from_secs(60)), "1m");
        assert_eq!(format_duration(Duration::ZERO), "0ms");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value: u64) {
            prop_assert_eq!(parse_size(&format_size(value)), Ok(value));
            let duration = Duration::from_millis(value % (MAX_DURATION_MILLIS + 1));
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
