//! HTTP validators: which version of the input an answer holds, so that the file never mixes two versions.

use reqwest::header::{
    ACCEPT_RANGES, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
};

/// What an answer says about the version of the input in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InputVersion {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
    /// Whether `last_modified` is a strong validator: not when the input changed in the very second of the
    /// answer (RFC 9110, 8.8.2.2).
    is_last_modified_strong: bool,
    refuses_ranges: bool,
}

impl InputVersion {
    pub(super) fn parse(headers: &HeaderMap) -> Self {
        let get = |name: HeaderName| headers.get(name).cloned();
        let (last_modified, date) = (get(LAST_MODIFIED), get(DATE));
        Self {
            is_last_modified_strong: date.is_some() && last_modified != date,
            etag: get(ETAG),
            last_modified,
            refuses_ranges: get(ACCEPT_RANGES).is_some_and(|accepted| accepted == "none"),
        }
    }

    /// The value of `If-Range` with which the rest of this version can be requested; none when the server
    /// gave no strong validator (RFC 9110, 13.1.5) or serves no ranges.
    pub(super) fn strong_validator(&self) -> Option<&HeaderValue> {
        if self.refuses_ranges {
            return None;
        }
        match (&self.etag, &self.last_modified) {
            (Some(etag), _) if etag.as_bytes().starts_with(b"W/") => None,
            (Some(etag), _) => Some(etag),
            (None, Some(last_modified)) if self.is_last_modified_strong => Some(last_modified),
            (None, _) => None,
        }
    }

    /// Whether the two are certainly not the same, by the first validator that both answers have.
    pub(super) fn differs(&self, other: &Self) -> bool {
        if let (Some(etag), Some(other_etag)) = (&self.etag, &other.etag) {
            return etag != other_etag;
        }
        match (&self.last_modified, &other.last_modified) {
            (Some(last_modified), Some(other_last_modified)) => last_modified != other_last_modified,
            _ => false,
        }
    }
}

/// A `Content-Range`, in bytes: where the range starts, and the size of the whole; either may be unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) start: Option<u64>,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    pub(super) fn parse(headers: &HeaderMap) -> Self {
        let text = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some((range, total)) = text.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')) else {
            return Self::default();
        };
        let start = range.split_once('-').and_then(|(start, _)| start.trim().parse().ok());
        Self { start, total: total.trim().parse().ok() }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn version(headers: &[(HeaderName, &'static str)]) -> InputVersion {
        InputVersion::parse(
            &headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect(),
        )
    }

    const MONDAY: &str = "Mon, 02 Jan 2023 00:00:00 GMT";
    const TUESDAY: &str = "Tue, 03 Jan 2023 00:00:00 GMT";

    #[rstest]
    #[case::strong_tag(&[(ETAG, "\"a\""), (LAST_MODIFIED, MONDAY), (DATE, TUESDAY)], Some("\"a\""))]
    #[case::weak_tag(&[(ETAG, "W/\"a\""), (LAST_MODIFIED, MONDAY), (DATE, TUESDAY)], None)]
    #[case::date(&[(LAST_MODIFIED, MONDAY), (DATE, TUESDAY)], Some(MONDAY))]
    #[case::this_second(&[(LAST_MODIFIED, MONDAY), (DATE, MONDAY)], None)]
    #[case::no_clock(&[(LAST_MODIFIED, MONDAY)], None)]
    #[case::nothing(&[], None)]
    #[case::no_ranges(&[(ETAG, "\"a\""), (ACCEPT_RANGES, "none")], None)]
    fn only_a_strong_validator_is_used(
        #[case] headers: &[(HeaderName, &'static str)],
        #[case] validator: Option<&str>,
    ) {
        let version = version(headers);
        assert_eq!(version.strong_validator().map(HeaderValue::as_bytes), validator.map(str::as_bytes));
    }

    #[test]
    fn versions_differ_by_what_both_say() {
        let one = version(&[(ETAG, "\"a\""), (LAST_MODIFIED, MONDAY)]);
        assert!(one.differs(&version(&[(ETAG, "\"b\""), (LAST_MODIFIED, MONDAY)])));
        assert!(one.differs(&version(&[(LAST_MODIFIED, TUESDAY)])));
        assert!(!one.differs(&version(&[(ETAG, "\"a\""), (LAST_MODIFIED, TUESDAY)])));
        assert!(!one.differs(&version(&[])));
    }

    #[rstest]
    #[case("bytes 10-19/20", Some(10), Some(20))]
    #[case("bytes 10-19/*", Some(10), None)]
    #[case("bytes */20", None, Some(20))]
    #[case("pages 1-2/3", None, None)]
    #[case("", None, None)]
    fn content_ranges(#[case] text: &'static str, #[case] start: Option<u64>, #[case] total: Option<u64>) {
        let headers = [(CONTENT_RANGE, HeaderValue::from_static(text))].into_iter().collect();
        assert_eq!(ContentRange::parse(&headers), ContentRange { start, total });
    }
}
