//! Lengths of time as people write and read them.

use std::time::Duration;

/// Reads `3s`, `500ms`, `2m` or `1h`; a bare number is seconds.
///
/// # Errors
/// What would be accepted.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let number_ends = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_ends);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{text}` is not a time; give one such as 3s, 500ms or 2m")),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * seconds).ok())
        .ok_or_else(|| format!("`{text}` is not a time; give one such as 3s, 500ms or 2m"))
}

/// As a person would say it: `8 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("3s", 3000)]
    #[case("500ms", 500)]
    #[case("1.5", 1500)]
    #[case("2m", 120_000)]
    fn times_are_read(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
    }

    #[rstest]
    #[case("")]
    #[case("s")]
    #[case("-1s")]
    #[case("3 weeks")]
    #[case("1e400s")]
    fn other_text_is_refused(#[case] text: &str) {
        assert!(parse(text).expect_err("refused").contains("give one such as 3s"));
    }

    #[rstest]
    #[case(0.4, "0 s")]
    #[case(59.4, "59 s")]
    #[case(200.0, "3 min 20 s")]
    #[case(7500.0, "2 h 5 min")]
    fn times_are_spoken(#[case] seconds: f64, #[case] text: &str) {
        assert_eq!(spoken(Duration::from_secs_f64(seconds)), text);
    }
}
