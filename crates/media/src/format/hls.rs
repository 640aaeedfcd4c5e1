//! Lines of HLS playlists (RFC 8216, section 4), as far as they are rewritten. A line that is not known is
//! left as it is.

use std::fmt;

/// A tag with an attribute list (4.2), in its order. Values keep their quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Without the `#`.
    pub name: String,
    attributes: Vec<(String, String)>,
}

/// The tags that name playlists.
const PLAYLIST_TAGS: [&str; 3] = ["EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF"];

impl Tag {
    /// Reads one of the tags that name playlists; none of any other line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (name, list) = line.strip_prefix('#')?.split_once(':')?;
        if !PLAYLIST_TAGS.contains(&name) {
            return None;
        }
        Some(Self { name: name.to_owned(), attributes: parse_attributes(list) })
    }

    /// The value of an attribute, without quotes.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.attributes.iter().find(|(key, _)| key == name)?;
        Some(value.trim_matches('"'))
    }

    /// Sets the value of an attribute, which comes with its quotes if it needs any.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.attributes.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((name.to_owned(), value)),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}:", self.name)?;
        for (index, (name, value)) in self.attributes.iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Attributes are separated by commas, but not by those within quotes.
fn parse_attributes(list: &str) -> Vec<(String, String)> {
    let mut quoted = false;
    list.split(|c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .filter_map(|attribute| attribute.split_once('='))
    .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
    .collect()
}

/// The text with each line replaced by what `each` makes of it.
pub(crate) fn map_lines(text: &str, mut each: impl FnMut(&str) -> String) -> String {
    text.lines().map(|line| each(line) + "\n").collect()
}

/// The URI of a line that is one.
pub(crate) fn parse_uri(line: &str) -> Option<&str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') { None } else { Some(line) }
}

/// The seconds of an `EXT-X-TARGETDURATION`.
pub(crate) fn parse_target_duration(line: &str) -> Option<f64> {
    line.strip_prefix("#EXT-X-TARGETDURATION:")?.trim().parse().ok()
}

/// The seconds of an `EXTINF`.
pub(crate) fn parse_extinf(line: &str) -> Option<f64> {
    line.strip_prefix("#EXTINF:")?.split(',').next()?.trim().parse().ok()
}

/// The length and offset, in bytes, of an `EXT-X-BYTERANGE`; none where it has no offset, which the
/// packager always writes.
pub(crate) fn parse_byte_range(line: &str) -> Option<(u64, u64)> {
    let (length, offset) = line.strip_prefix("#EXT-X-BYTERANGE:")?.split_once('@')?;
    Some((length.trim().parse().ok()?, offset.trim().parse().ok()?))
}
