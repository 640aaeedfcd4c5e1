//! Where a task's input comes from.

use std::{fmt, str::FromStr};

use url::Url;

use crate::{
    StorageType, UploadId,
    field::{quoted, serde_as_text},
    limits::MAX_INPUT_BYTES,
};

/// What may be given, for messages.
const ACCEPTED_FORMS: &str = "give http://, https://, an object such as s3://bucket/key, or an upload";

/// The input of a task, or its logo: a URL, an object in one of the customer's storages, or an upload. Its
/// text is kept exactly as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    text: String,
    location: InputLocation,
}

/// Where an input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputLocation {
    /// At an `http` or `https` URL.
    Url(Url),
    /// In a bucket of a storage of the customer's.
    Object {
        /// The kind of storage.
        kind: StorageType,
        /// The bucket's name.
        bucket: String,
        /// The key as it is: never percent-decoded.
        key: String,
    },
    /// A file that was uploaded to the server.
    Upload(UploadId),
}

impl Input {
    /// The text as it was sent; so it is answered, and stands in callbacks.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where it is.
    pub fn location(&self) -> &InputLocation {
        &self.location
    }

    /// For logs: without the query, which may hold a signature.
    pub fn redacted(&self) -> String {
        match &self.location {
            InputLocation::Url(url) if url.query().is_some() => {
                let mut url = url.clone();
                url.set_query(Some("…"));
                url.to_string()
            }
            InputLocation::Url(url) => url.to_string(),
            InputLocation::Object { .. } | InputLocation::Upload(_) => self.text.clone(),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_INPUT_BYTES {
            return Err(format!("is longer than {MAX_INPUT_BYTES} bytes"));
        }
        if let Some(id) = text.strip_prefix("upload://") {
            let id = id.parse().map_err(|_| format!("`{}` is not what `upload` answered", quoted(text)))?;
            return Ok(Self { text: text.to_owned(), location: InputLocation::Upload(id) });
        }
        if let Some((scheme, rest)) = text.split_once("://")
            && let Ok(kind) = scheme.parse()
        {
            return Ok(Self { text: text.to_owned(), location: parse_object(kind, rest)? });
        }
        let url = Url::parse(text)
            .map_err(|error| format!("`{}` is not a URL ({error}); {ACCEPTED_FORMS}", quoted(text)))?;
        match url.scheme() {
            "http" | "https" => Ok(Self { text: text.to_owned(), location: InputLocation::Url(url) }),
            scheme => Err(format!("`{scheme}` inputs are not supported; {ACCEPTED_FORMS}")),
        }
    }
}

fn parse_object(kind: StorageType, rest: &str) -> Result<InputLocation, String> {
    let form = format!("give {kind}://bucket/key");
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(format!("names no bucket; {form}"));
    }
    if key.is_empty() || key.ends_with('/') {
        return Err(format!("names no object in the bucket `{}`; {form}", quoted(bucket)));
    }
    if key.chars().any(char::is_control) {
        return Err("holds a control character".to_owned());
    }
    match key.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some(part) => Err(format!("has the part `{part}`; empty parts, `.` and `..` are not allowed")),
        None => Ok(InputLocation::Object { kind, bucket: bucket.to_owned(), key: key.to_owned() }),
    }
}

serde_as_text!(Input);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("s3://bkt/a/b.mov", StorageType::S3, "bkt", "a/b.mov")]
    #[case("oss://bkt/a%20b?c#d.mov", StorageType::Oss, "bkt", "a%20b?c#d.mov")]
    #[case("file://bkt/é 中.mov", StorageType::File, "bkt", "é 中.mov")]
    fn an_objects_key_is_raw(
        #[case] text: &str,
        #[case] kind: StorageType,
        #[case] bucket: &str,
        #[case] key: &str,
    ) {
        let input: Input = text.parse().expect("an input");
        let location = InputLocation::Object { kind, bucket: bucket.to_owned(), key: key.to_owned() };
        assert_eq!((input.as_str(), input.location()), (text, &location));
        assert_eq!(input.redacted(), text);
    }

    #[rstest]
    #[case("file:///etc/passwd", "names no bucket; give file://bucket/key")]
    #[case("upload://../a", "`upload://../a` is not what `upload` answered")]
    #[case("s3://bkt", "names no object in the bucket `bkt`; give s3://bucket/key")]
    #[case("s3://bkt/a/", "names no object in the bucket `bkt`; give s3://bucket/key")]
    #[case("file://bkt/../a", "has the part `..`; empty parts, `.` and `..` are not allowed")]
    #[case("s3://bkt/a//b", "has the part ``; empty parts, `.` and `..` are not allowed")]
    #[case(
        "ftp://a/b",
        "`ftp` inputs are not supported; give http://, https://, an object such as s3://bucket/key, or an upload"
    )]
    fn refused(#[case] text: &str, #[case] problem: &str) {
        assert_eq!(text.parse::<Input>().expect_err("refused"), problem);
    }

    #[test]
    fn a_query_is_not_logged() {
        let input: Input = "https://a.example/b.mov?sign=secret".parse().expect("an input");
        assert_eq!(input.redacted(), "https://a.example/b.mov?%E2%80%A6");
    }
}
