//! What an object's key says: whether it can be one, what its content is, how long it may be kept.

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

/// The `Cache-Control` of an object, by its key's extension: a playlist or manifest is asked for
/// anew each time, a segment never; `None` leaves it to whoever serves the object.
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
