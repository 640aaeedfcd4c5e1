//! Durations as people say them. (`config::parse_duration` reads them.)

use std::time::Duration;

/// As a person would say it: `8 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn format_duration(time: Duration) -> String {
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
    #[case(0.4, "0 s")]
    #[case(59.4, "59 s")]
    #[case(200.0, "3 min 20 s")]
    #[case(7500.0, "2 h 5 min")]
    fn times_are_spoken(#[case] seconds: f64, #[case] text: &str) {
        assert_eq!(format_duration(Duration::from_secs_f64(seconds)), text);
    }
}
