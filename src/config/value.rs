//! How single values are read and written. The environment and flags give every value as text, so
//! all of these read text, and their errors say what would do.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IntoDeserializer as _, SeqAccess, Visitor, value::Error as ValueError},
};

use super::unit;

/// The largest number of things: connections, tasks, attempts. Far more than a machine has.
const MAX_COUNT: u64 = 1_000_000;

/// A number, a text, `true` or `false`, as text.
struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<String, E> {
        Ok(flag.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

fn scalar<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    let text = deserializer.deserialize_any(Scalar)?;
    read(text.trim()).map_err(D::Error::custom)
}

/// A duration such as `30s`, longer than nothing.
pub(super) mod duration {
    use super::*;

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        scalar(deserializer, |text| match unit::parse_duration(text)? {
            Duration::ZERO => Err("give more than nothing".to_owned()),
            duration => Ok(duration),
        })
    }

    pub(in crate::config) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&unit::format_duration(*duration))
    }
}

/// A duration such as `30s`; `0s` is one too.
pub(super) mod duration_or_zero {
    use super::*;

    pub(in crate::config) use super::duration::serialize;

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        scalar(deserializer, unit::parse_duration)
    }
}

/// A number of bytes such as `10GiB`.
pub(super) mod size {
    use super::*;

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u64, D::Error> {
        scalar(deserializer, unit::parse_size)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
    pub(in crate::config) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&unit::format_size(*bytes))
    }
}

/// `auto`, which is `None`, or a number of at least 1.
pub(super) mod auto {
    use super::*;

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<usize>, D::Error> {
        scalar(deserializer, |text| match text {
            "auto" => Ok(None),
            number => at_least_one(number).map(Some).map_err(|problem| format!("{problem}, or `auto`")),
        })
    }

    pub(in crate::config) fn serialize<S: Serializer>(
        number: &Option<usize>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => number.serialize(serializer),
            None => serializer.serialize_str("auto"),
        }
    }
}

/// A text that may be empty, which is `None`.
pub(super) mod optional {
    use super::*;

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>, T: From<String>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        scalar(deserializer, |text| Ok(if text.is_empty() { None } else { Some(T::from(text.to_owned())) }))
    }

    pub(in crate::config) fn serialize<S: Serializer, T: Serialize>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }
}

/// A secret that may be empty, which is `None`; it is never written.
pub(super) mod secret {
    use model::Secret;

    use super::*;

    /// What stands for a secret where settings are shown.
    pub(in crate::config) const REDACTED: &str = "[secret]";

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        optional::deserialize::<D, String>(deserializer).map(|text| text.map(Secret::new))
    }

    pub(in crate::config) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if secret.is_some() { REDACTED } else { "" })
    }
}

/// A list, or one text with commas between the values.
pub(super) mod list {
    use std::marker::PhantomData;

    use super::*;

    pub(in crate::config) fn deserialize<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: fmt::Display>,
    {
        deserializer.deserialize_any(List(PhantomData))
    }

    pub(in crate::config) fn serialize<S: Serializer, T: fmt::Display>(
        values: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(ToString::to_string))
    }

    struct List<T>(PhantomData<T>);

    impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list, or one text with commas")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(parse_item).collect()
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(part) = parts.next_element::<String>()? {
                values.push(parse_item(part.trim())?);
            }
            Ok(values)
        }
    }

    fn parse_item<T: FromStr<Err: fmt::Display>, E: Error>(part: &str) -> Result<T, E> {
        part.parse().map_err(|error| E::custom(format!("`{part}`: {error}")))
    }
}

/// An address and a port.
pub(super) fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    scalar(deserializer, |text| {
        text.parse()
            .map_err(|_| "give an IP address and a port, such as `127.0.0.1:8080` or `[::]:8080`".to_owned())
    })
}

/// A number of at least 1.
pub(super) fn count<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
{
    scalar(deserializer, at_least_one)
}

fn at_least_one<T: FromStr>(text: &str) -> Result<T, String> {
    match text.parse::<u64>() {
        Ok(number) if number > MAX_COUNT => Err(format!("give a whole number of at most {MAX_COUNT}")),
        Ok(1..) => text.parse().map_err(|_| "give a smaller number".to_owned()),
        _ => Err("give a whole number of at least 1".to_owned()),
    }
}

/// A whole number.
pub(super) fn number<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<T, D::Error> {
    scalar(deserializer, |text| text.parse().map_err(|_| "give a whole number".to_owned()))
}

/// A whole number from 0 to `MAX`.
pub(super) fn up_to<'de, const MAX: u8, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    scalar(deserializer, |text| {
        let number = text.parse().ok().filter(|number| *number <= MAX);
        number.ok_or_else(|| format!("give a whole number from 0 to {MAX}"))
    })
}

/// `true` or `false`.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    scalar(deserializer, |text| text.parse().map_err(|_| "give `true` or `false`".to_owned()))
}

/// One of an enum's words.
pub(super) fn word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    scalar(deserializer, |text| {
        let read = T::deserialize(text.to_owned().into_deserializer());
        read.map_err(|error: ValueError| error.to_string())
    })
}
