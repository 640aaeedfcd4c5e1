//! Reading what a client sent: a body or a query, into a typed request.
//!
//! Whatever is "not set" is gone first; then every error names the field by its path, the value, and
//! what would be accepted; fields that nobody knows become warnings, so that a typo is seen.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use model::{FieldError, remove_unset};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::Value;
use serde_path_to_error::{Segment, Track};

/// The longest value that an error repeats, in characters.
const SHOWN: usize = 80;

/// Reads a request out of a JSON object; gives the names of the fields that it does not know too.
///
/// # Errors
/// The first field that is wrong.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<(T, Vec<String>), FieldError> {
    refuse_nul(&value, "")?;
    let value = remove_unset(value);
    let (mut track, mut unknown) = (Track::new(), Vec::new());
    let followed = serde_path_to_error::Deserializer::new(&value, &mut track);
    let mut note = |path: serde_ignored::Path<'_>| unknown.push(spell(&path));
    match T::deserialize(serde_ignored::Deserializer::new(followed, &mut note)) {
        Ok(request) => Ok((request, unknown)),
        Err(error) => Err(explain(&error.to_string(), &track.path(), &value)),
    }
}

/// The warnings about fields that nobody knows.
pub(super) fn warnings(unknown: Vec<String>) -> Vec<String> {
    unknown.into_iter().map(|field| format!("`{field}` is not a known field and was ignored")).collect()
}

/// PostgreSQL keeps no text with a NUL, and nothing that is named in a request needs one.
fn refuse_nul(value: &Value, path: &str) -> Result<(), FieldError> {
    match value {
        Value::String(text) if text.contains('\0') => Err(FieldError::new(path, "holds a NUL character")),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| refuse_nul(item, &format!("{path}[{index}]"))),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            let path = join(path.to_owned(), name);
            if name.contains('\0') {
                return Err(FieldError::new(
                    path.replace('\0', "\u{fffd}"),
                    "has a NUL character in its name",
                ));
            }
            refuse_nul(value, &path)
        }),
        _ => Ok(()),
    }
}

/// A path as it is named in errors: `adaptive_streams[1].resolution`.
fn spell(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", spell(parent)),
        Path::Map { parent, key } => join(spell(parent), key),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            spell(parent)
        }
    }
}

fn join(parent: String, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// Turns serde's error into a sentence about the field.
fn explain(error: &str, path: &serde_path_to_error::Path, request: &Value) -> FieldError {
    let field = if path.iter().len() == 0 { String::new() } else { path.to_string() };
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    if error.starts_with("missing field") {
        return FieldError::new(join(field, &quoted(error)), "is not set, and is needed");
    }
    if error.starts_with("duplicate field") {
        return FieldError::new(join(field, &quoted(error)), "is given twice, under two names");
    }
    let shown = at(request, path).map(show).unwrap_or_default();
    let mistyped = error.starts_with("invalid type") || error.starts_with("invalid value");
    let problem = match error.rsplit_once(", expected ") {
        Some((_, expected)) if mistyped => format!("`{shown}` is not {}", plain(expected)),
        // errors of our own types begin with the value, or with what it is
        _ if error.starts_with("is ") || error.starts_with("has ") => format!("`{shown}` {error}"),
        _ => error.to_owned(),
    };
    FieldError::new(if field.is_empty() { "body" } else { &field }, problem)
}

/// What serde expected, for people who do not know Rust.
fn plain(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "a nonzero u32" => {
            "a whole number of 0 or more, within range"
        }
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "string" | "str" | "a borrowed string" => "a text",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

/// The value at a path.
fn at<'a>(request: &'a Value, path: &serde_path_to_error::Path) -> Option<&'a Value> {
    path.iter().try_fold(request, |value, segment| match segment {
        Segment::Seq { index } => value.get(index),
        Segment::Map { key } => value.get(key),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

/// A value as an error shows it.
fn show(value: &Value) -> Cow<'_, str> {
    let text = match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => text,
    }
}

/// A number out of a query, where everything is text; 0 is "not set" there too. Use as
/// `#[serde(default, deserialize_with = "number")]`.
pub(super) fn number<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display> + Default + PartialEq,
{
    let text = String::deserialize(deserializer)?;
    match text.trim().parse::<T>() {
        Ok(number) => Ok((number != T::default()).then_some(number)),
        Err(_) => Err(D::Error::custom("is not a whole number within range")),
    }
}

#[cfg(test)]
mod tests {
    use model::Template;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Paged {
        #[serde(default, deserialize_with = "number")]
        count: Option<u32>,
    }

    #[rstest]
    #[case(json!({"format": "mp4"}), "template_name: is not set, and is needed")]
    #[case(json!({"template_name": "t", "format": "avi"}), "format: `avi` is not one of `mp4`, `hls`, `dash`, `flv`")]
    #[case(
        json!({"template_name": "t", "format": "hls", "adaptive_streams": [{}, {"resolution": "12 x 7"}]}),
        "adaptive_streams[1].resolution: `12 x 7` is not a resolution; give"
    )]
    #[case(json!({"template_name": "t", "format": "hls", "framerate": "fast"}), "framerate: `fast` is not a whole number")]
    #[case(json!({"template_name": "t", "format": "hls", "quality": "good"}), "quality: `good` is not a number")]
    #[case(json!({"template_name": "t", "format": "hls", "description": "a\0b"}), "description: holds a NUL")]
    #[case(
        json!({"template_name": "t", "format": "hls", "audio_bitrate": 96, "audioBitrate": 64}),
        "audio_bitrate: is given twice, under two names"
    )]
    fn a_wrong_field_is_named_with_its_value_and_what_would_do(#[case] body: Value, #[case] problem: &str) {
        let error = read::<Template>(body).expect_err("refused").to_string();
        assert!(error.starts_with(problem), "{error}");
    }

    #[test]
    fn unknown_fields_are_noted_wherever_they_are() {
        let body = json!({
            "template_name": "t", "format": "hls", "qualty": 5, "not_sent": "",
            "adaptive_streams": [{"resolution": "720p"}, {"resolutoin": "360p"}],
        });
        let (_, unknown) = read::<Template>(body).expect("readable");
        assert_eq!(unknown, ["qualty", "adaptive_streams[1].resolutoin"]);
    }

    #[rstest]
    #[case(json!({"count": "7"}), Some(7))]
    #[case(json!({"count": "0"}), None)]
    #[case(json!({"count": ""}), None)]
    #[case(json!({}), None)]
    fn numbers_of_a_query_are_text(#[case] query: Value, #[case] count: Option<u32>) {
        assert_eq!(read::<Paged>(query).expect("readable").0.count, count);
    }

    #[rstest]
    #[case("ten")]
    #[case("-1")]
    #[case("1.5")]
    #[case("99999999999")]
    fn a_bad_number_names_its_field(#[case] count: &str) {
        let error = read::<Paged>(json!({ "count": count })).expect_err("refused").to_string();
        assert_eq!(error, format!("count: `{count}` is not a whole number within range"));
    }
}
