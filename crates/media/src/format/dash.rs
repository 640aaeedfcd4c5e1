//! What a manifest is read by (ISO/IEC 23009-1): elements by their names, timelines, templates and
//! durations. A count in the text is not believed beyond what is sensible.

use roxmltree::Node;

/// The children of a node that have this name, in whatever namespace.
pub(crate) fn children<'a, 'd>(node: Node<'a, 'd>, name: &'static str) -> impl Iterator<Item = Node<'a, 'd>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// Segments of a timeline that are counted; at two seconds each, three weeks.
const MOST_SEGMENTS: usize = 1 << 20;

/// Start and length of each segment of a timeline, in ticks: an `S` with `r` stands for `r + 1` of them.
pub(crate) fn entries(timeline: Node<'_, '_>) -> Vec<(u64, u64)> {
    let mut entries = Vec::new();
    let mut next = 0;
    for s in children(timeline, "S") {
        let number = |name: &str| s.attribute(name).and_then(|value| value.parse::<u64>().ok());
        next = number("t").unwrap_or(next);
        for _ in 0..=number("r").unwrap_or(0) {
            if entries.len() == MOST_SEGMENTS {
                return entries;
            }
            let length = number("d").unwrap_or(0);
            entries.push((next, length));
            next = next.saturating_add(length);
        }
    }
    entries
}

/// A template's URI with `$Number$` or `$Number%0Nd$` filled in.
pub(crate) fn numbered(media: &str, number: u64) -> Option<String> {
    let (before, rest) = media.split_once("$Number")?;
    let (width, after) = rest.split_once('$')?;
    let width = match width {
        "" => 0,
        width => width.strip_prefix("%0")?.strip_suffix('d')?.parse::<u8>().ok()?.into(),
    };
    Some(format!("{before}{number:0width$}{after}"))
}

/// An ISO 8601 duration of hours, minutes and seconds.
pub(crate) fn seconds(duration: &str) -> Option<f64> {
    let mut rest = duration.strip_prefix("PT")?;
    let mut sum = 0.0;
    while let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let unit = match &rest[end..=end] {
            "H" => 3600.0,
            "M" => 60.0,
            "S" => 1.0,
            _ => return None,
        };
        sum += rest[..end].parse::<f64>().ok()? * unit;
        rest = &rest[end + 1..];
    }
    rest.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    #[test]
    fn templates() {
        assert_eq!(numbered("files/v/$Number$.m4s", 7).as_deref(), Some("files/v/7.m4s"));
        assert_eq!(numbered("files/v/seg_$Number%05d$.m4s", 7).as_deref(), Some("files/v/seg_00007.m4s"));
        assert_eq!(numbered("files/v/$Time$.m4s", 7), None);
    }

    #[test]
    fn timelines() {
        let text = r#"<SegmentTimeline><S t="0" d="10" r="1"/><S d="4"/><S t="30" d="2"/></SegmentTimeline>"#;
        let document = Document::parse(text).expect("XML");
        assert_eq!(entries(document.root_element()), [(0, 10), (10, 10), (20, 4), (30, 2)]);
    }

    #[test]
    fn durations() {
        assert_eq!(seconds("PT11.011S"), Some(11.011));
        assert_eq!(seconds("PT1H2M3S"), Some(3723.0));
        assert_eq!(seconds("P1D"), None);
    }
}
