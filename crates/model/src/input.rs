//! Where a task's input comes from.

use std::{fmt, str::FromStr};

use url::Url;

use crate::{
    StorageType, UploadId,
    field::{cut, text_serde},
};

/// What may be given, for messages.
const FORMS: &str = "give http://, https://, an object such as s3://bucket/key, or an upload";

/// The URL of an input, or an object in one of the customer's storages. Its text is kept exactly
/// as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    text: String,
    place: InputPlace,
}

/// Where an input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputPlace {
    /// On the web.
    Web(Url),
    /// In a bucket of a storage of the customer's.
    Object {
        /// The kind of storage.
        kind: StorageType,
        /// The bucket's name.
        bucket: String,
        /// The key, raw: never percent-decoded.
        key: String,
    },
    /// Sent to the server.
    Upload(UploadId),
}

impl Input {
    /// As it was sent; answered and told in callbacks.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where it is.
    pub fn place(&self) -> &InputPlace {
        &self.place
    }

    /// For logs: without the query, which may hold a signature.
    pub fn redacted(&self) -> String {
        match &self.place {
            InputPlace::Web(url) if url.query().is_some() => {
                let mut url = url.clone();
                url.set_query(Some("…"));
                url.to_string()
            }
            InputPlace::Web(url) => url.to_string(),
            InputPlace::Object { .. } | InputPlace::Upload(_) => self.text.clone(),
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
        if text.len() > 8192 {
            return Err("is longer than 8192 bytes".to_owned());
        }
        if let Some(id) = text.strip_prefix("upload://") {
            let id = id.parse().map_err(|_| format!("`{}` is not what `upload` answered", cut(text)))?;
            return Ok(Self { text: text.to_owned(), place: InputPlace::Upload(id) });
        }
        if let Some((scheme, rest)) = text.split_once("://")
            && let Ok(kind) = scheme.parse()
        {
            return Ok(Self { text: text.to_owned(), place: object(kind, rest)? });
        }
        let url =
            Url::parse(text).map_err(|error| format!("`{}` is not a URL ({error}); {FORMS}", cut(text)))?;
        match url.scheme() {
            "http" | "https" => Ok(Self { text: text.to_owned(), place: InputPlace::Web(url) }),
            scheme => Err(format!("`{scheme}` inputs are not supported; {FORMS}")),
        }
    }
}

fn object(kind: StorageType, rest: &str) -> Result<InputPlace, String> {
    let form = format!("give {kind}://bucket/key");
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(format!("names no bucket; {form}"));
    }
    if key.is_empty() || key.ends_with('/') {
        return Err(format!("names no object in the bucket `{}`; {form}", cut(bucket)));
    }
    if key.chars().any(char::is_control) {
        return Err("holds a control character".to_owned());
    }
    match key.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some(part) => Err(format!("has the part `{part}`; empty parts, `.` and `..` are not allowed")),
        None => Ok(InputPlace::Object { kind, bucket: bucket.to_owned(), key: key.to_owned() }),
    }
}

text_serde!(Input);

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
        let place = InputPlace::Object { kind, bucket: bucket.to_owned(), key: key.to_owned() };
        assert_eq!((input.as_str(), input.place()), (text, &place));
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
