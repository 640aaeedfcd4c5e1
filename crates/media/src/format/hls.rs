//! Lines of HLS playlists (RFC 8216, section 4), as far as they are rewritten here. What is not known
//! passes through as it is.

use std::fmt;

/// A tag with a list of attributes, in their order. Values keep their quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Without the `#`.
    pub name: String,
    attributes: Vec<(String, String)>,
}

/// The tags whose attributes are read.
const WITH_ATTRIBUTES: [&str; 3] = ["EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF"];

impl Tag {
    /// Reads one of the three tags that name playlists.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (name, list) = line.strip_prefix('#')?.split_once(':')?;
        WITH_ATTRIBUTES.contains(&name).then(|| Self { name: name.to_owned(), attributes: attributes(list) })
    }

    /// A value, without quotes.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.attributes.iter().find(|(key, _)| key == name)?;
        Some(value.trim_matches('"'))
    }

    /// Sets a value, with its quotes if it needs any.
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

/// Commas within quotes do not separate.
fn attributes(list: &str) -> Vec<(String, String)> {
    let mut quoted = false;
    list.split(|c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .filter_map(|attribute| attribute.split_once('='))
    .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
    .collect()
}

/// Each line as another, with the line breaks that there were.
pub(crate) fn map(text: &str, mut each: impl FnMut(&str) -> String) -> String {
    text.lines().map(|line| each(line) + "\n").collect()
}

/// A line that is a URI.
pub(crate) fn uri(line: &str) -> Option<&str> {
    Some(line.trim()).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The seconds of an `EXT-X-TARGETDURATION`.
pub(crate) fn target_duration(line: &str) -> Option<f64> {
    line.strip_prefix("#EXT-X-TARGETDURATION:")?.trim().parse().ok()
}

/// The seconds of an `EXTINF`.
pub(crate) fn extinf(line: &str) -> Option<f64> {
    line.strip_prefix("#EXTINF:")?.split(',').next()?.trim().parse().ok()
}

/// The length and offset of an `EXT-X-BYTERANGE`; without an offset there is nothing to rewrite.
pub(crate) fn byte_range(line: &str) -> Option<(u64, u64)> {
    let (length, offset) = line.strip_prefix("#EXT-X-BYTERANGE:")?.split_once('@')?;
    Some((length.trim().parse().ok()?, offset.trim().parse().ok()?))
}
