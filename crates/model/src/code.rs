//! The error codes that customers see: one table for the API's answers and for failed tasks.
//!
//! Codes are stable once released: a code never changes its meaning, and the text of an error begins with
//! its code's words (`Invalid input file: …`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_FAILURE_DETAIL_BYTES;

macro_rules! codes {
    ($(#[doc = $doc:literal] $name:ident = $code:literal, $words:literal;)+) => {
        /// What went wrong, as a stable number with its words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode { $(#[doc = $doc] $name,)+ }

        impl ErrorCode {
            /// Every code, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The number that is answered as `code` or `error_code`.
            pub const fn number(self) -> u32 {
                match self { $(Self::$name => $code,)+ }
            }

            /// The words that every message of this code begins with.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)+ }
            }

            /// What the code means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $doc.trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// a field of the request is wrong
    BadParam = 1001, "BadParam";
    /// the access key or the secret key is missing or wrong
    AuthFail = 1002, "AuthFail";
    /// the input is not media, truncated or cannot be decoded
    InvalidInput = 1003, "Invalid input file";
    /// there is no such thing
    NotFound = 1004, "EmptyResult";
    /// it exists already, is in use, or is in the wrong state
    Conflict = 1005, "Conflict";
    /// it is not yours, or your key may not do this
    Forbidden = 1006, "Forbidden";
    /// too many requests
    RateLimited = 1007, "RateLimited";
    /// the body or the upload is over the limit
    TooLarge = 1008, "TooLarge";
    /// the input could not be fetched: name, connection, timeout, 4xx or 5xx
    InputUnreachable = 1101, "Input unreachable";
    /// the input's address, scheme, path or kind of file is not allowed
    InputForbidden = 1102, "Input forbidden";
    /// the input is over the limit of size, duration, pixels or streams
    InputOverLimit = 1103, "Input over the limit";
    /// the streams that the template needs are absent
    NothingToTranscode = 1104, "Nothing to transcode";
    /// the output storage could not be reached
    OutputUnreachable = 1201, "Output unreachable";
    /// the output storage refused the credentials or the write
    OutputRefused = 1202, "Output refused";
    /// the bucket or container does not exist
    OutputMissing = 1203, "Output missing";
    /// the encoder ended with an error, or what it made is not right
    EncodingFailed = 1301, "Encoding failed";
    /// the encoding took more time, memory or disk than it may
    EncodingOverLimit = 1302, "Encoding over the limit";
    /// the key server did not give a usable key
    KeyServerFailed = 1303, "Key server failed";
    /// the task was cancelled
    Cancelled = 1401, "Cancelled";
    /// an error of the server's own; the request id or task id finds it in the log
    Internal = 1500, "InternalError";
    /// the server is shutting down or overloaded: try again
    Unavailable = 1503, "Unavailable";
}

impl ErrorCode {
    /// The code with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.number())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        Self::from_number(number)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown error code {number}")))
    }
}

/// Why a task failed: a code, and a text that names what was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub code: ErrorCode,
    /// What was wrong, without the code's words; empty when these say everything.
    pub detail: String,
}

impl Failure {
    /// A failure with this detail, of which no more is kept than its bound.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(MAX_FAILURE_DETAIL_BYTES));
        Self { code, detail }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.words())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_ordered() {
        assert!(ErrorCode::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
    }

    #[test]
    fn a_detail_is_cut_between_characters() {
        let detail = "é".repeat(MAX_FAILURE_DETAIL_BYTES);
        let failure = Failure::new(ErrorCode::InvalidInput, format!("x{detail}"));
        assert_eq!(failure.detail.len(), MAX_FAILURE_DETAIL_BYTES - 1);
        assert_eq!(Failure::new(ErrorCode::InvalidInput, "short").detail, "short");
    }

    #[test]
    fn a_failure_begins_with_its_words() {
        let failure = Failure::new(ErrorCode::InvalidInput, "no moov box");
        assert_eq!(failure.to_string(), "Invalid input file: no moov box");
    }
}
