//! DASH manifests (ISO/IEC 23009-1). What the packager leaves wrong:
//!
//! - `@bandwidth` leaves out a short last segment, and is then below the average of a short representation;
//! - `@mediaPresentationDuration` is that of one representation, so that the end of a longer one is not played;
//! - `@startWithSAP` is missing on video, whose segments begin with an IDR in every plan;
//! - where a copy begins a little after 0, `@presentationTimeOffset` is set in some timelines and not in others;
//! - `@frameRate` of a copy is taken from its first frame alone;
//! - the level of VP9 is guessed.

use std::{io, ops::Range};

use roxmltree::{Document, Node};

use super::vp9_level;
use crate::{
    format::{
        bandwidth::Bandwidth,
        dash::{child_elements, parse_duration, segment_uri, timeline_segments},
    },
    plan::VideoPlan,
};

/// Bytes of a segment by its URI.
type Measure<'a> = dyn Fn(&str) -> io::Result<u64> + 'a;

/// The manifest with all that right; `measure` gives the bytes of segments.
pub(crate) fn fix_up(text: &str, measure: &Measure<'_>, videos: &[VideoPlan]) -> io::Result<String> {
    let document = Document::parse(text).map_err(io::Error::other)?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut longest = 0.0_f64;
    let buffer = document.root_element().attribute("minBufferTime").and_then(parse_duration);
    let buffer = buffer.ok_or_else(|| io::Error::other("the manifest has no `minBufferTime`"))?;
    for node in document.descendants().filter(|node| node.tag_name().name() == "Representation") {
        let segments = segments(node, measure)?;
        longest = longest.max(start(node) + segments.iter().map(|(_, seconds)| seconds).sum::<f64>());
        let video = videos.iter().find(|video| is_in_folder(node, &video.name));
        if let Some(video) = video {
            if let Some(codecs) = node.attribute_node("codecs") {
                edits.push((codecs.range_value(), vp9_level::fix_codecs(codecs.value(), video)));
            }
            let above = [Some(node), node.parent()].into_iter().flatten();
            let rate = above.filter_map(|node| node.attribute_node("frameRate")).next();
            if let Some(rate) = rate
                && video.copied().is_some()
            {
                edits.push((rate.range_value(), video.frame_rate.to_string()));
            }
        }
        let template = child_elements(node, "SegmentTemplate").next();
        if let Some(moved) = template.and_then(|node| node.attribute_node("presentationTimeOffset")) {
            edits.push((moved.range_value(), "0".to_owned()));
        }
        if let Some(attribute) = node.attribute_node("bandwidth") {
            let needed = Bandwidth::peak_with_buffer(&segments, buffer).ceil() as u64;
            edits.push((attribute.range_value(), needed.to_string()));
        }
    }
    for set in document.descendants().filter(|node| node.tag_name().name() == "AdaptationSet") {
        if set.attribute("startWithSAP").is_none() {
            let after_name = set.range().start + "<AdaptationSet".len();
            edits.push((after_name..after_name, r#" startWithSAP="1""#.to_owned()));
        }
    }
    if let Some(attribute) = document.root_element().attribute_node("mediaPresentationDuration") {
        edits.push((attribute.range_value(), format!("PT{longest:.3}S")));
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut fixed = text.to_owned();
    for (range, value) in edits.into_iter().rev() {
        fixed.replace_range(range, &value);
    }
    Ok(fixed)
}

/// Whether a representation's segments lie in the folder of this name.
fn is_in_folder(representation: Node<'_, '_>, name: &str) -> bool {
    let template = child_elements(representation, "SegmentTemplate").next();
    let media = template.and_then(|template| template.attribute("media")).unwrap_or_default();
    media.rsplit('/').nth(1) == Some(name)
}

/// Seconds at which the first segment begins.
fn start(representation: Node<'_, '_>) -> f64 {
    let template = child_elements(representation, "SegmentTemplate").next();
    let first = template.and_then(|template| {
        let (start, _) = *timeline_segments(child_elements(template, "SegmentTimeline").next()?).first()?;
        let timescale = template.attribute("timescale")?.parse::<f64>().ok()?;
        Some(start as f64 / timescale.max(1.0))
    });
    first.unwrap_or_default()
}

/// Bytes and seconds of each segment.
fn segments(representation: Node<'_, '_>, measure: &Measure<'_>) -> io::Result<Vec<(u64, f64)>> {
    let lacks = || io::Error::other("a representation lists no segments");
    let template = child_elements(representation, "SegmentTemplate").next().ok_or_else(lacks)?;
    let timeline = child_elements(template, "SegmentTimeline").next().ok_or_else(lacks)?;
    let media = template.attribute("media").ok_or_else(lacks)?;
    let number = |name: &str| template.attribute(name).and_then(|value| value.parse::<u64>().ok());
    let timescale = number("timescale").unwrap_or(1).max(1) as f64;
    let first = number("startNumber").unwrap_or(1);
    let segment = |(index, (_, duration)): (usize, (u64, u64))| {
        let uri = segment_uri(media, first.saturating_add(index as u64)).ok_or_else(lacks)?;
        Ok((measure(&uri)?, duration as f64 / timescale))
    };
    timeline_segments(timeline).into_iter().enumerate().map(segment).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures;

    #[test]
    fn short_last_segments_count() {
        let measure = |uri: &str| Ok(if uri == "files/v/1.m4s" { 36_730 } else { 7_828 });
        let text = r#"<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT2.0S" minBufferTime="PT2S"><AdaptationSet id="0"><Representation id="0" bandwidth="146920" codecs="avc1.42c014"><SegmentTemplate timescale="15360" media="files/v/$Number$.m4s" startNumber="1"><SegmentTimeline><S t="0" d="30720"/><S t="30720" d="512"/></SegmentTimeline></SegmentTemplate></Representation></AdaptationSet></MPD>"#;
        let right = fix_up(text, &measure, &[]).expect("readable");
        let expected = text.replace("146920", "175311").replace("PT2.0S", "PT2.033S");
        assert_eq!(right, expected.replace("<AdaptationSet id", "<AdaptationSet startWithSAP=\"1\" id"));
    }

    #[test]
    fn a_copy_may_begin_late_and_has_its_own_rate() {
        let source = fixtures::source(Some(fixtures::video(640, 360, "24000/1001")), vec![]);
        let videos = fixtures::plan(json!({"format": "dash", "vcodec": "copy"}), &source).videos;
        let text = r#"<MPD mediaPresentationDuration="PT2S" minBufferTime="PT2S"><AdaptationSet startWithSAP="1" frameRate="16000/672"><Representation><SegmentTemplate timescale="10" presentationTimeOffset="1" media="files/360p/$Number$.m4s"><SegmentTimeline><S t="1" d="20"/></SegmentTimeline></SegmentTemplate></Representation></AdaptationSet></MPD>"#;
        let right = fix_up(text, &|_| Ok(8), &videos).expect("readable");
        let expected = text.replace("16000/672", "24000/1001").replace("Offset=\"1\"", "Offset=\"0\"");
        assert_eq!(right, expected.replace("PT2S\" min", "PT2.100S\" min"));
    }
}
