//! `Retry-After`: how long the sender of an answer asks to be left alone (RFC 9110, 10.2.3).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};

/// The `Retry-After` of an answer that was received `now`, given in seconds or as an HTTP date. None when
/// there is none, when it is neither, and for a date that is past.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let delay = httpdate::parse_http_date(value).ok()?.duration_since(now).ok()?;
    if delay.is_zero() { None } else { Some(delay) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("120", Some(120))]
    #[case(" 0 ", Some(0))]
    #[case("Tue, 14 Nov 2023 22:14:20 GMT", Some(60))]
    #[case("Tuesday, 14-Nov-23 22:14:20 GMT", Some(60))]
    #[case("Tue Nov 14 22:14:20 2023", Some(60))]
    #[case("Tue, 14 Nov 2023 22:13:20 GMT", None)]
    #[case("Tue, 14 Nov 2023 22:13:00 GMT", None)]
    #[case("soon", None)]
    #[case("-5", None)]
    fn seconds_or_a_date_to_come(#[case] value: &'static str, #[case] seconds: Option<u64>) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(value))]);
        assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs));
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
