//! Which version of an object an answer holds, so that two halves are never of two versions.

use reqwest::header::{
    ACCEPT_RANGES, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
};

/// What an answer says about the version of the object in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
    /// Whether `modified` may stand for the version: it does not when the object changed in the
    /// very second of the answer (RFC 9110, 8.8.2.2).
    modified_is_strong: bool,
    refuses_ranges: bool,
}

impl Version {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let get = |name: HeaderName| headers.get(name).cloned();
        let (modified, date) = (get(LAST_MODIFIED), get(DATE));
        Self {
            modified_is_strong: date.is_some() && modified != date,
            etag: get(ETAG),
            modified,
            refuses_ranges: get(ACCEPT_RANGES).is_some_and(|accepted| accepted == "none"),
        }
    }

    /// The value of `If-Range` with which the rest of this version can be asked for; none when the
    /// server gave nothing that proves a version (RFC 9110, 13.1.5).
    pub(super) fn proof(&self) -> Option<&HeaderValue> {
        let strong_etag = self.etag.as_ref().filter(|etag| !etag.as_bytes().starts_with(b"W/"));
        let modified = self.modified.as_ref().filter(|_| self.modified_is_strong && self.etag.is_none());
        strong_etag.or(modified).filter(|_| !self.refuses_ranges)
    }

    /// Whether the two are surely not the same. An answer may leave out what an earlier one said.
    pub(super) fn differs(&self, other: &Self) -> bool {
        fn both<'a>(one: &'a Option<HeaderValue>, other: &'a Option<HeaderValue>) -> Option<bool> {
            Some(one.as_ref()? != other.as_ref()?)
        }
        both(&self.etag, &other.etag).or_else(|| both(&self.modified, &other.modified)).unwrap_or(false)
    }
}

/// `Content-Range` in bytes: where the part starts, and how long the whole is; either may be unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) start: Option<u64>,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    pub(super) fn of(headers: &HeaderMap) -> Self {
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

    fn version(headers: &[(HeaderName, &'static str)]) -> Version {
        Version::of(
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
    fn only_a_strong_validator_is_proof(
        #[case] headers: &[(HeaderName, &'static str)],
        #[case] proof: Option<&str>,
    ) {
        let version = version(headers);
        assert_eq!(version.proof().map(HeaderValue::as_bytes), proof.map(str::as_bytes));
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
        assert_eq!(ContentRange::of(&headers), ContentRange { start, total });
    }
}
