//! Ids: one type for each kind of resource, so that one is never taken for another.

use std::{fmt, str::FromStr};

use chrono::DateTime;
use rand::Rng;

use crate::{Timestamp, field::serde_as_text};

/// A text that is not an id of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a {kind}: {expected}")]
pub struct ParseIdError {
    kind: &'static str,
    expected: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(ParseIdError { kind: $kind, expected: $expected })
                }
            }
        }

        serde_as_text!($name);
    };
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether a text is an id made by [`timed_id`].
fn is_timed_id(text: &str) -> bool {
    text.len() == 32 && text.as_bytes()[..20].iter().all(u8::is_ascii_digit) && is_hex(&text[20..], 12)
}

fn is_tenant_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// So many random bytes in lower-case hex: two digits a byte.
fn random_hex<const BYTES: usize>(random: &mut impl Rng) -> String {
    let mut bytes = [0; BYTES];
    random.fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// 14 digits of UTC date and time, 6 of microseconds, 12 random hex digits: such ids sort by age. The clock
/// gives milliseconds; the last three of the 6 digits are random, which keeps ids of one millisecond apart.
fn timed_id(now: Timestamp, random: &mut impl Rng) -> String {
    let date = DateTime::from_timestamp_millis(now.as_millis()).unwrap_or_default();
    let micros = now.as_millis().rem_euclid(1000) * 1000 + i64::from(random.next_u32() % 1000);
    format!("{}{micros:06}{}", date.format("%Y%m%d%H%M%S"), random_hex::<6>(random))
}

text_id! {
    /// A task, such as `20220420111542664667cccc3d179880`; sorts by the time of creation.
    TaskId, "task id", "20 digits and 12 hex digits", is_timed_id
}
text_id! {
    /// A batch of tasks; made like a task's id.
    BatchId, "batch id", "20 digits and 12 hex digits", is_timed_id
}
text_id! {
    /// A storage: 16 hex digits.
    StorageId, "storage id", "16 hex digits", |text| is_hex(text, 16)
}
text_id! {
    /// A callback, sent as `webhook-id`: `cb_` and 32 hex digits, never a dot (Standard Webhooks
    /// signs `id.timestamp.body`).
    CallbackId, "callback id", "cb_ and 32 hex digits",
    |text| text.strip_prefix("cb_").is_some_and(|hex| is_hex(hex, 32))
}
text_id! {
    /// An upload: 32 hex digits.
    UploadId, "upload id", "32 hex digits", |text| is_hex(text, 32)
}
text_id! {
    /// A tenant, to whom resources belong: 1 to 64 letters, digits, `.`, `_` or `-`.
    TenantId, "tenant", "1 to 64 letters, digits, `.`, `_` or `-`", is_tenant_name
}
text_id! {
    /// A worker process: 32 hex digits, new at each start.
    WorkerId, "worker id", "32 hex digits", |text| is_hex(text, 32)
}

impl TaskId {
    /// A new id for a task created `now`.
    pub fn generate(now: Timestamp, random: &mut impl Rng) -> Self {
        Self(timed_id(now, random))
    }
}

impl BatchId {
    /// A new id for a batch created `now`.
    pub fn generate(now: Timestamp, random: &mut impl Rng) -> Self {
        Self(timed_id(now, random))
    }
}

impl StorageId {
    /// A new id.
    pub fn generate(random: &mut impl Rng) -> Self {
        Self(random_hex::<8>(random))
    }
}

impl CallbackId {
    /// A new id.
    pub fn generate(random: &mut impl Rng) -> Self {
        Self(format!("cb_{}", random_hex::<16>(random)))
    }
}

impl UploadId {
    /// A new id.
    pub fn generate(random: &mut impl Rng) -> Self {
        Self(random_hex::<16>(random))
    }
}

impl WorkerId {
    /// A new id.
    pub fn generate(random: &mut impl Rng) -> Self {
        Self(random_hex::<16>(random))
    }
}

impl TenantId {
    /// The tenant of the first administrator.
    pub fn main() -> Self {
        Self("main".to_owned())
    }
}

/// A job: the id of its row in the queue, never shown to customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_has_the_documented_shape_and_sorts_by_time() {
        let mut random = rand::rng();
        let first = TaskId::generate(Timestamp::from_millis(1_650_453_342_664), &mut random);
        let later = TaskId::generate(Timestamp::from_millis(1_650_453_342_665), &mut random);
        assert!(first.as_str().starts_with("20220420111542664"), "{first}");
        assert!(first < later);
        assert_eq!(first.as_str().parse(), Ok(first));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "x",
            "20220420111542664667cccc3d17988",
            "20220420111542664667CCCC3D179880",
            "é".repeat(16).as_str(),
        ] {
            assert!(text.parse::<TaskId>().is_err(), "{text}");
        }
        assert!("cb_1.2".parse::<CallbackId>().is_err());
    }
}
