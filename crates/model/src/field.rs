//! Fields of requests: which values mean "not set", how a wrong field is reported, and enums that are words.
//!
//! Clients of the AuroraCloud API send empty strings, zeros and `null` for what they leave unset (its Go
//! SDK has no `omitempty`): all of these mean the same as a field that is left out.

use std::fmt;

use serde_json::Value;

/// A field of a request that is wrong: which one, and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// The path of the field, such as `adaptive_streams[1].resolution`.
    pub field: String,
    /// What is wrong with which value, and what would be accepted.
    pub problem: String,
}

impl FieldError {
    /// An error about one field.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Removes unset fields from the objects of a request: `null`, `""`, `0`, `false`, `[]` and objects of only
/// such values. The elements of a list stay where they are.
pub fn remove_unset(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name, remove_unset(value)))
                .filter(|(_, value)| !is_unset(value))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(remove_unset).collect()),
        other => other,
    }
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// Whether a number lies in its range, where it is set.
pub(crate) fn check_range<T: PartialOrd + fmt::Display>(
    field: &str,
    value: Option<T>,
    low: T,
    high: T,
) -> Result<(), FieldError> {
    match value {
        Some(value) if !(low <= value && value <= high) => {
            Err(FieldError::new(field, format!("{value} is out of range; give {low} to {high}")))
        }
        _ => Ok(()),
    }
}

/// Whether a text has at most so many bytes.
///
/// # Errors
/// When it is longer.
pub fn check_text(field: &str, text: &str, max_bytes: usize) -> Result<(), FieldError> {
    if text.len() > max_bytes {
        return Err(FieldError::new(field, format!("is longer than {max_bytes} bytes")));
    }
    Ok(())
}

/// The most characters of a value that an error quotes.
const MAX_QUOTED_CHARS: usize = 80;

/// A value as an error quotes it, cut off when it is long.
pub(crate) fn quoted(value: &str) -> String {
    match value.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Implements `Serialize` and `Deserialize` of a type as its text, by `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;

/// An enum whose variants are words on the wire; the error of another word names every one that is accepted.
macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
        pub enum $name { $($(#[$vdoc])* #[schema(rename = $word)] $variant,)+ }

        impl $name {
            /// All variants.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!(
                        "is not one of {}",
                        Self::ALL.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
                    )),
                }
            }
        }

        $crate::field::serde_as_text!($name);
    };
}
pub(crate) use word_enum;
