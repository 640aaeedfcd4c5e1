//! DASH manifests (ISO/IEC 23009-1): elements by their names, segment timelines, URI templates, durations.
//! Repeat counts in the text are not believed beyond a limit.

use roxmltree::Node;

/// The child elements of this name, in whatever namespace.
pub(crate) fn child_elements<'a, 'd>(
    node: Node<'a, 'd>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'd>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// Segments of a timeline that are read; at two seconds each, three weeks.
const MAX_SEGMENTS: usize = 1 << 20;

/// Start and duration of each segment of a `SegmentTimeline`, in units of the timescale (5.3.9.6): an `S`
/// with `r` stands for `r + 1` segments.
pub(crate) fn timeline_segments(timeline: Node<'_, '_>) -> Vec<(u64, u64)> {
    let mut segments = Vec::new();
    let mut next_start = 0_u64;
    for s in child_elements(timeline, "S") {
        let number = |name: &str| s.attribute(name).and_then(|value| value.parse::<u64>().ok());
        next_start = number("t").unwrap_or(next_start);
        let duration = number("d").unwrap_or(0);
        for _ in 0..=number("r").unwrap_or(0) {
            if segments.len() == MAX_SEGMENTS {
                return segments;
            }
            segments.push((next_start, duration));
            next_start = next_start.saturating_add(duration);
        }
    }
    segments
}

/// The URI of a segment by a template with `$Number$` or `$Number%0Nd$` (5.3.9.4.4); none by any other
/// template.
pub(crate) fn segment_uri(template: &str, number: u64) -> Option<String> {
    let (before, rest) = template.split_once("$Number")?;
    let (width, after) = rest.split_once('$')?;
    let width = match width {
        "" => 0,
        width => width.strip_prefix("%0")?.strip_suffix('d')?.parse::<u8>().ok()?.into(),
    };
    Some(format!("{before}{number:0width$}{after}"))
}

/// The seconds of a duration of hours, minutes and seconds, such as `PT1H2M3.5S` (ISO 8601).
pub(crate) fn parse_duration(duration: &str) -> Option<f64> {
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
    if rest.is_empty() { Some(sum) } else { None }
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    #[test]
    fn templates() {
        assert_eq!(segment_uri("files/v/$Number$.m4s", 7).as_deref(), Some("files/v/7.m4s"));
        assert_eq!(segment_uri("files/v/seg_$Number%05d$.m4s", 7).as_deref(), Some("files/v/seg_00007.m4s"));
        assert_eq!(segment_uri("files/v/$Time$.m4s", 7), None);
    }

    #[test]
    fn timelines() {
        let text = r#"<SegmentTimeline><S t="0" d="10" r="1"/><S d="4"/><S t="30" d="2"/></SegmentTimeline>"#;
        let document = Document::parse(text).expect("XML");
        assert_eq!(timeline_segments(document.root_element()), [(0, 10), (10, 10), (20, 4), (30, 2)]);
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("PT11.011S"), Some(11.011));
        assert_eq!(parse_duration("PT1H2M3S"), Some(3723.0));
        assert_eq!(parse_duration("P1D"), None);
    }
}
