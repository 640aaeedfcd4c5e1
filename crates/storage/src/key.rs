//! Keys of objects: which texts can be one, and the content type and `Cache-Control` that follow from its
//! extension.

/// The longest key, in bytes: S3's limit, the smallest of all vendors'.
const MAX_KEY_BYTES: usize = 1024;

/// The longest name of a bucket that is a folder, in bytes; file systems take 255.
const MAX_FOLDER_NAME_BYTES: usize = 200;

/// Whether a text can be a key in every kind of object store; else why not.
pub(crate) fn check(key: &str) -> Result<(), String> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(format!("a key has 1 to {MAX_KEY_BYTES} bytes, not {}", key.len()));
    }
    if key.chars().any(char::is_control) {
        return Err("a key holds no control character".to_owned());
    }
    if key.ends_with(char::is_whitespace) {
        return Err("a key does not end in white space".to_owned());
    }
    match key.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some(part) => Err(format!("a key has no part `{part}`")),
        None => Ok(()),
    }
}

/// Whether a text can be a prefix of keys.
///
/// # Errors
/// Why it cannot.
pub fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.is_empty() {
        return Ok(());
    }
    // a prefix may end where a key may not, such as after a slash
    check(&format!("{prefix}-"))
}

/// Whether a bucket can be a folder of this name.
///
/// # Errors
/// Why it cannot; the text is the rest of a sentence that begins with the name of a field.
pub fn check_folder_name(name: &str) -> Result<(), String> {
    let problem = if name.is_empty() {
        "is not set; give the name of a folder, such as `videos`".to_owned()
    } else if name.len() > MAX_FOLDER_NAME_BYTES {
        format!("is longer than {MAX_FOLDER_NAME_BYTES} bytes")
    } else if name.starts_with('.') {
        format!("`{name}` begins with a dot; give a folder's name")
    } else if name.contains(['/', '\\']) {
        format!("`{name}` is a path; give one folder's name")
    } else if name.chars().any(char::is_control) {
        "holds a control character".to_owned()
    } else if name.trim() != name {
        format!("`{name}` begins or ends with white space; leave that out")
    } else {
        return Ok(());
    };
    Err(problem)
}

/// The content type of an object, by its key's extension.
pub fn content_type(key: &str) -> &'static str {
    match extension(key).as_str() {
        "mp4" | "m4v" => "video/mp4",
        "m4s" | "cmfv" => "video/iso.segment",
        "m4a" | "cmfa" => "audio/mp4",
        "ts" => "video/mp2t",
        "flv" => "video/x-flv",
        "webm" => "video/webm",
        "aac" => "audio/aac",
        "mp3" => "audio/mpeg",
        "ac3" => "audio/ac3",
        "opus" | "ogg" => "audio/ogg",
        "m3u8" => "application/vnd.apple.mpegurl",
        "mpd" => "application/dash+xml",
        "vtt" => "text/vtt",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "json" => "application/json",
        "xml" => "application/xml",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The `Cache-Control` of an object, by its key's extension: a playlist or manifest is requested anew each
/// time, a segment never; `None` leaves it to whoever serves the object.
pub fn cache_control(key: &str) -> Option<&'static str> {
    match extension(key).as_str() {
        "m3u8" | "mpd" => Some("no-cache"),
        "m4s" | "ts" | "aac" | "cmfv" | "cmfa" => Some("public, max-age=31536000, immutable"),
        _ => None,
    }
}

fn extension(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a/b.mp4", "video/mp4", None)]
    #[case("a/b.M3U8", "application/vnd.apple.mpegurl", Some("no-cache"))]
    #[case("a/b.mpd", "application/dash+xml", Some("no-cache"))]
    #[case("a/1.ts", "video/mp2t", Some("public, max-age=31536000, immutable"))]
    #[case("a/1.m4s", "video/iso.segment", Some("public, max-age=31536000, immutable"))]
    #[case("a.b/flv", "application/octet-stream", None)]
    #[case("é 中.flv", "video/x-flv", None)]
    fn what_an_extension_says(#[case] key: &str, #[case] media_type: &str, #[case] cache: Option<&str>) {
        assert_eq!((content_type(key), cache_control(key)), (media_type, cache));
    }

    #[rstest]
    #[case("")]
    #[case("/a")]
    #[case("a/")]
    #[case("a//b")]
    #[case("../a")]
    #[case("a/../b")]
    #[case("./a")]
    #[case("a\0b")]
    #[case("a ")]
    fn not_a_key(#[case] key: &str) {
        assert!(check(key).is_err());
    }

    #[rstest]
    #[case("")]
    #[case(".")]
    #[case("..")]
    #[case(".hidden")]
    #[case("a/b")]
    #[case(" a")]
    #[case(&"n".repeat(201))]
    fn not_a_folder_name(#[case] name: &str) {
        assert!(check_folder_name(name).is_err());
    }

    #[test]
    fn a_prefix_may_end_in_the_middle() {
        for prefix in ["", "a", "a/", "a/b c"] {
            assert_eq!(check_prefix(prefix), Ok(()), "{prefix}");
        }
        assert!(check_prefix("../").is_err());
        assert!(check_prefix("a/../").is_err());
    }
}
