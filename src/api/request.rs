//! Parses what a client sent, a body or a query, into a typed request.
//!
//! Values that mean "not set" are removed first. An error names the field by its path, the value, and what
//! would be accepted. Unknown fields become warnings, so that a misspelt one is seen. What it costs grows
//! with the number of bytes and with nothing else: paths are put together for what is shown, and no more is
//! shown than a few lines.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use model::{
    FieldError,
    limits::{MAX_BODY_DEPTH, MAX_BODY_VALUES, MAX_NAMED_UNKNOWN_FIELDS},
    remove_unset,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::Value;
use serde_path_to_error::{Segment, Track};

/// Characters of a value, or of one name in a path, that an error repeats.
const MAX_SHOWN_CHARS: usize = 80;

/// Characters of a problem that serde describes.
const MAX_PROBLEM_CHARS: usize = 400;

/// The unknown fields of a request.
#[derive(Debug, Default)]
pub(super) struct UnknownFields {
    /// The paths of the first ones.
    named: Vec<String>,
    /// How many there are beside them.
    others: usize,
}

/// Parses a request out of a JSON object; gives its unknown fields too.
///
/// # Errors
/// The first field that is wrong.
pub(super) fn parse<T: DeserializeOwned>(value: Value) -> Result<(T, UnknownFields), FieldError> {
    refuse_nul(&value)?;
    let value = remove_unset(value);
    let (mut track, mut unknown) = (Track::new(), UnknownFields::default());
    let tracked = serde_path_to_error::Deserializer::new(&value, &mut track);
    let mut note_unknown = |path: serde_ignored::Path<'_>| unknown.note(&path);
    match T::deserialize(serde_ignored::Deserializer::new(tracked, &mut note_unknown)) {
        Ok(request) => Ok((request, unknown)),
        Err(error) => Err(to_field_error(&error.to_string(), &track.path(), &value)),
    }
}

/// Checks how many values a JSON text has and how deep they lie, before anything is made of it: in memory a
/// value takes a hundred times its bytes.
///
/// # Errors
/// When there are too many, or they lie too deep.
pub(super) fn check_shape(json: &[u8]) -> Result<(), FieldError> {
    let wrong = |problem: String| Err(FieldError::new("body", problem));
    let (mut values, mut depth, mut is_in_text, mut is_escaped) = (1, 0_usize, false, false);
    for byte in json {
        if is_in_text {
            (is_in_text, is_escaped) = (is_escaped || *byte != b'"', !is_escaped && *byte == b'\\');
            continue;
        }
        match byte {
            b'"' => is_in_text = true,
            // each begins or separates values
            b',' => values += 1,
            b'[' | b'{' => (values, depth) = (values + 1, depth + 1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_BODY_DEPTH {
            return wrong(format!("has more than {MAX_BODY_DEPTH} lists and objects within each other"));
        }
        if values > MAX_BODY_VALUES {
            return wrong(format!("has more than {MAX_BODY_VALUES} values"));
        }
    }
    Ok(())
}

impl UnknownFields {
    fn note(&mut self, path: &serde_ignored::Path<'_>) {
        if self.named.len() < MAX_NAMED_UNKNOWN_FIELDS {
            self.named.push(path_of_ignored(path));
        } else {
            self.others += 1;
        }
    }

    /// The warnings about them.
    pub(super) fn warnings(self) -> Vec<String> {
        let warn = |field| format!("`{field}` is not a known field and was ignored");
        let mut warnings: Vec<_> = self.named.into_iter().map(warn).collect();
        if self.others > 0 {
            warnings.push(format!("{} more fields are not known and were ignored", self.others));
        }
        warnings
    }
}

/// PostgreSQL stores no text with a NUL character, and no field has a use for one.
fn refuse_nul(value: &Value) -> Result<(), FieldError> {
    match find_nul(value) {
        None => Ok(()),
        Some(Nul { path, problem }) => {
            let joined = path.iter().rev().fold(String::new(), |path, step| match step.as_bytes() {
                [b'[', ..] => path + step,
                _ => join_path(&path, step),
            });
            Err(FieldError::new(joined, problem))
        }
    }
}

/// A NUL character in a request.
struct Nul {
    /// The names and indices on the way to it, the innermost first.
    path: Vec<String>,
    problem: &'static str,
}

fn find_nul(value: &Value) -> Option<Nul> {
    let (mut found, step) = match value {
        Value::String(text) if text.contains('\0') => {
            return Some(Nul { path: Vec::new(), problem: "holds a NUL character" });
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| Some((find_nul(item)?, format!("[{index}]"))))?,
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            if name.contains('\0') {
                let problem = "has a NUL character in its name";
                return Some((Nul { path: Vec::new(), problem }, shown_name(name)));
            }
            Some((find_nul(field)?, shown_name(name)))
        })?,
        _ => return None,
    };
    found.path.push(step);
    Some(found)
}

/// The path of an unknown field, as errors name fields: `adaptive_streams[1].resolution`.
fn path_of_ignored(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", path_of_ignored(parent)),
        Path::Map { parent, key } => join_path(&path_of_ignored(parent), &shown_name(key)),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            path_of_ignored(parent)
        }
    }
}

fn join_path(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// A field's name as a path shows it.
fn shown_name(name: &str) -> String {
    shorten(Cow::Borrowed(name)).replace('\0', "\u{fffd}")
}

/// Turns the text of serde's error into a sentence about the field.
fn to_field_error(error: &str, path: &serde_path_to_error::Path, request: &Value) -> FieldError {
    let field = show_path(path);
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
        _ => cut(error, MAX_PROBLEM_CHARS).into_owned(),
    };
    FieldError::new(if field.is_empty() { "body" } else { &field }, problem)
}

/// The path of a field, each of its names shortened.
fn show_path(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |path, segment| match segment {
        Segment::Seq { index } => format!("{path}[{index}]"),
        Segment::Map { key } => join_path(&path, &shown_name(key)),
        Segment::Enum { variant } => join_path(&path, &shown_name(variant)),
        Segment::Unknown => join_path(&path, "?"),
    })
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
    cut(text, MAX_SHOWN_CHARS)
}

fn cut<'a>(text: impl Into<Cow<'a, str>>, max_chars: usize) -> Cow<'a, str> {
    let text = text.into();
    match text.char_indices().nth(max_chars) {
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
        assert_eq!(unknown.named, ["qualty", "adaptive_streams[1].resolutoin"]);
    }

    #[test]
    fn of_very_many_unknown_fields_a_few_are_named() {
        let mut body = json!({"template_name": "t", "format": "hls"});
        for number in 0..1000 {
            body[format!("field{number}")] = json!(1);
        }
        body["x".repeat(100_000)] = json!(1);
        let warnings = parse::<Template>(body).expect("valid").1.warnings();
        assert_eq!(warnings.len(), MAX_NAMED_UNKNOWN_FIELDS + 1);
        assert_eq!(warnings[0], "`field0` is not a known field and was ignored");
        assert_eq!(warnings[MAX_NAMED_UNKNOWN_FIELDS], "981 more fields are not known and were ignored");
    }

    #[test]
    fn a_path_is_shown_with_short_names() {
        let name = "n".repeat(100_000);
        let body = json!({ &name: [0, {"b": "\0"}] });
        let error = parse::<Template>(body).expect_err("refused").to_string();
        assert_eq!(error, format!("{}…[1].b: holds a NUL character", &name[..MAX_SHOWN_CHARS]));
        let body = json!({ "a\0b": 1 });
        let error = parse::<Template>(body).expect_err("refused").to_string();
        assert_eq!(error, "a\u{fffd}b: has a NUL character in its name");
        let body = json!({"template_name": "t", "format": "hls", "encryption": {"headers": { name: 7 }}});
        assert!(parse::<Template>(body).expect_err("refused").to_string().len() < 300);
    }

    /// A long name over a long list: a path for each of its items would be gigabytes of text.
    #[test]
    fn what_it_costs_grows_with_the_bytes_alone() {
        let items = vec![json!(0); MAX_BODY_VALUES];
        let body = json!({ "a".repeat(1 << 20): items });
        let started = std::time::Instant::now();
        parse::<Template>(body).expect_err("refused");
        assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
    }

    #[rstest]
    #[case::a_list(format!("[{}0]", "0,".repeat(MAX_BODY_VALUES - 2)), Ok(()))]
    #[case::too_long(format!("[{}0]", "0,".repeat(MAX_BODY_VALUES - 1)), Err("has more than 32768 values"))]
    #[case::lists(format!("[{}[]]", "[],".repeat(MAX_BODY_VALUES)), Err("has more than 32768 values"))]
    #[case::deep("[".repeat(MAX_BODY_DEPTH) + &"]".repeat(MAX_BODY_DEPTH), Ok(()))]
    #[case::too_deep(
        "[{\"a\":".repeat(MAX_BODY_DEPTH),
        Err("has more than 32 lists and objects within each other")
    )]
    #[case::marks_in_a_text(format!(r#"{{"a": "{}\"{}"}}"#, "[,".repeat(40_000), "[,".repeat(40_000)), Ok(()))]
    #[case::a_text_that_ends(format!(r#"{{"a": "\\\\", {}"#, "[".repeat(40)), Err("has more than 32 lists and objects within each other"))]
    fn a_body_has_so_many_values_and_lies_so_deep(#[case] json: String, #[case] expected: Result<(), &str>) {
        let problem = check_shape(json.as_bytes()).err().map(|error| error.problem);
        assert_eq!(problem.as_deref(), expected.err());
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
