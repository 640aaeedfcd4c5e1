//! Parses what a client sent, a body or a query, into a typed request.
//!
//! Values that mean "not set" are removed first. An error names the field by its path, the value, and what
//! would be accepted. Unknown fields become warnings, so that a misspelt one is seen.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use model::{FieldError, remove_unset};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::Value;
use serde_path_to_error::{Segment, Track};

/// Characters of a value that an error repeats.
const MAX_SHOWN_CHARS: usize = 80;

/// Parses a request out of a JSON object; gives the paths of its unknown fields too.
///
/// # Errors
/// The first field that is wrong.
pub(super) fn parse<T: DeserializeOwned>(value: Value) -> Result<(T, Vec<String>), FieldError> {
    refuse_nul(&value, "")?;
    let value = remove_unset(value);
    let (mut track, mut unknown) = (Track::new(), Vec::new());
    let tracked = serde_path_to_error::Deserializer::new(&value, &mut track);
    let mut note_unknown = |path: serde_ignored::Path<'_>| unknown.push(path_of_ignored(&path));
    match T::deserialize(serde_ignored::Deserializer::new(tracked, &mut note_unknown)) {
        Ok(request) => Ok((request, unknown)),
        Err(error) => Err(to_field_error(&error.to_string(), &track.path(), &value)),
    }
}

/// The warnings about unknown fields.
pub(super) fn warnings(unknown: Vec<String>) -> Vec<String> {
    unknown.into_iter().map(|field| format!("`{field}` is not a known field and was ignored")).collect()
}

/// PostgreSQL stores no text with a NUL character, and no field has a use for one.
fn refuse_nul(value: &Value, path: &str) -> Result<(), FieldError> {
    match value {
        Value::String(text) if text.contains('\0') => {
            return Err(FieldError::new(path, "holds a NUL character"));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_nul(item, &format!("{path}[{index}]"))?;
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let field_path = join_path(path, name);
                if name.contains('\0') {
                    let shown = field_path.replace('\0', "\u{fffd}");
                    return Err(FieldError::new(shown, "has a NUL character in its name"));
                }
                refuse_nul(field, &field_path)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The path of an unknown field, as errors name fields: `adaptive_streams[1].resolution`.
fn path_of_ignored(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", path_of_ignored(parent)),
        Path::Map { parent, key } => join_path(&path_of_ignored(parent), key),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            path_of_ignored(parent)
        }
    }
}

fn join_path(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// Turns the text of serde's error into a sentence about the field.
fn to_field_error(error: &str, path: &serde_path_to_error::Path, request: &Value) -> FieldError {
    let field = if path.iter().len() == 0 { String::new() } else { path.to_string() };
    // serde puts the name into backticks
    let quoted_name = error.split('`').nth(1).unwrap_or_default();
    if error.starts_with("missing field") {
        return FieldError::new(join_path(&field, quoted_name), "is not set, and is needed");
    }
    if error.starts_with("duplicate field") {
        return FieldError::new(join_path(&field, quoted_name), "is given twice, under two names");
    }
    let shown = value_at(request, path).map(show).unwrap_or_default();
    let mistyped = error.starts_with("invalid type") || error.starts_with("invalid value");
    let problem = match error.rsplit_once(", expected ") {
        Some((_, expected)) if mistyped => format!("`{shown}` is not {}", describe_expected(expected)),
        // the errors of our own types are predicates, such as "is not a resolution"
        _ if error.starts_with("is ") || error.starts_with("has ") => format!("`{shown}` {error}"),
        _ => error.to_owned(),
    };
    FieldError::new(if field.is_empty() { "body" } else { &field }, problem)
}

/// What serde expected, without the names of Rust's types.
fn describe_expected(expected: &str) -> &str {
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
fn value_at<'a>(request: &'a Value, path: &serde_path_to_error::Path) -> Option<&'a Value> {
    path.iter().try_fold(request, |value, segment| match segment {
        Segment::Seq { index } => value.get(index),
        Segment::Map { key } => value.get(key),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

/// A value as an error shows it.
fn show(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => shorten(Cow::Borrowed(text)),
        other => shorten(Cow::Owned(other.to_string())),
    }
}

/// A text that a client sent, as an error repeats it: its first 80 characters.
pub(super) fn shorten(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => text,
    }
}

/// Deserializes a number of a query, where every value is text; 0 is "not set" as in bodies. For
/// `#[serde(default, deserialize_with = "number")]`.
pub(super) fn number<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display> + Default + PartialEq,
{
    let text = String::deserialize(deserializer)?;
    match text.trim().parse::<T>() {
        Ok(number) => Ok(if number == T::default() { None } else { Some(number) }),
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
        let error = parse::<Template>(body).expect_err("refused").to_string();
        assert!(error.starts_with(problem), "{error}");
    }

    #[test]
    fn unknown_fields_are_noted_wherever_they_are() {
        let body = json!({
            "template_name": "t", "format": "hls", "qualty": 5, "not_sent": "",
            "adaptive_streams": [{"resolution": "720p"}, {"resolutoin": "360p"}],
        });
        let (_, unknown) = parse::<Template>(body).expect("valid");
        assert_eq!(unknown, ["qualty", "adaptive_streams[1].resolutoin"]);
    }

    #[rstest]
    #[case(json!({"count": "7"}), Some(7))]
    #[case(json!({"count": "0"}), None)]
    #[case(json!({"count": ""}), None)]
    #[case(json!({}), None)]
    fn numbers_of_a_query_are_text(#[case] query: Value, #[case] count: Option<u32>) {
        assert_eq!(parse::<Paged>(query).expect("valid").0.count, count);
    }

    #[rstest]
    #[case("ten")]
    #[case("-1")]
    #[case("1.5")]
    #[case("99999999999")]
    fn a_bad_number_names_its_field(#[case] count: &str) {
        let error = parse::<Paged>(json!({ "count": count })).expect_err("refused").to_string();
        assert_eq!(error, format!("count: `{count}` is not a whole number within range"));
    }
}
