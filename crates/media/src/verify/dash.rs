//! What a DASH output says of itself (ISO/IEC 23009-1), as far as this kind of manifest goes: static,
//! one period, one representation for each rendition and sound, each with a timeline of segments.

use std::{collections::BTreeSet, fs, path::Path};

use model::{Format, Rational};
use roxmltree::{Document, Node};

use super::listing::{Claims, Listing, Piece, Planned, Segment, Track, Wrapping, wrong};
use crate::{
    MediaError, Plan,
    package::mpd::{children, entries, numbered},
};

/// Reads the manifest `file` in `dir`, which names files beside it or below `files/`.
pub(super) fn read(plan: &Plan, dir: &Path, file: &str) -> Result<Listing, MediaError> {
    let (dir, below) = match file.rsplit_once('/') {
        Some((folder, _)) => (dir.join(folder), ""),
        None => (dir.to_owned(), "files/"),
    };
    let name = file.rsplit('/').next().unwrap_or(file);
    let text = fs::read_to_string(dir.join(name))
        .map_err(|error| wrong(format!("the manifest cannot be read: {error}")))?;
    let document =
        Document::parse(&text).map_err(|error| wrong(format!("the manifest cannot be read: {error}")))?;
    let mpd = document.root_element();
    if mpd.attribute("type") != Some("static") || children(mpd, "Period").count() != 1 {
        return Err(wrong("the manifest is not static with one period"));
    }
    let time = |name: &str| mpd.attribute(name).and_then(seconds);
    // ISO/IEC 23009-1, 5.3.1.2
    if mpd.attribute("profiles").is_none_or(str::is_empty) || time("minBufferTime").is_none_or(|s| s <= 0.0) {
        return Err(wrong("the manifest lacks its profiles or its `minBufferTime`"));
    }
    let representations: Vec<_> = children(mpd, "Period")
        .flat_map(|period| children(period, "AdaptationSet"))
        .flat_map(|set| children(set, "Representation").map(move |one| Representation { set, one }))
        .collect();
    let wanted = plan.videos.len() + plan.audios.len();
    if representations.len() != wanted {
        let count = representations.len();
        return Err(wrong(format!("the manifest has {count} representations, not {wanted}")));
    }
    // ISO/IEC 23009-1, 5.3.5.2
    let ids: BTreeSet<_> = representations.iter().filter_map(|one| one.one.attribute("id")).collect();
    if ids.len() != wanted {
        return Err(wrong("the representations of the manifest do not have an `id` each"));
    }
    let videos = plan.videos.iter().enumerate().map(|(n, video)| (&video.name, Planned::Video(n)));
    let audios = plan.audios.iter().enumerate().map(|(n, audio)| (&audio.name, Planned::Audio(n)));
    let track = |(name, planned): (&String, Planned)| {
        let found = representations.iter().find(|one| one.is_in(below, name));
        let found = found.ok_or_else(|| wrong(format!("the manifest does not name `{name}`")))?;
        let together = match planned {
            // one set for each codec: players do not switch between codecs
            Planned::Video(number) => {
                let codec = plan.videos[number].codec;
                plan.videos.iter().filter(|video| video.codec == codec).count()
            }
            Planned::Audio(_) => 1,
        };
        if children(found.set, "Representation").count() != together {
            return Err(wrong(format!("`{name}` is in one adaptation set with others, or without them")));
        }
        found.says_how_it_is_switched_to(name, planned)?;
        found.track(&dir, name, planned)
    };
    let tracks = videos.chain(audios).map(track).collect::<Result<_, _>>()?;
    Ok(Listing { format: Format::Dash, tracks, seconds: time("mediaPresentationDuration") })
}

/// A representation in its adaptation set, which may hold attributes for all of them.
struct Representation<'a, 'd> {
    set: Node<'a, 'd>,
    one: Node<'a, 'd>,
}

impl Representation<'_, '_> {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.one.attribute(name).or_else(|| self.set.attribute(name))
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attribute(name)?.parse().ok()
    }

    /// What a player has to know before it joins at a segment: of what kind it is, that its boundaries
    /// are those of the others, and that it begins with what stands alone (DASH-IF IOP asks for all of
    /// them). Pictures have square pixels.
    fn says_how_it_is_switched_to(&self, name: &str, planned: Planned) -> Result<(), MediaError> {
        let kind = match planned {
            Planned::Video(_) => "video",
            Planned::Audio(_) => "audio",
        };
        let mime = format!("{kind}/mp4");
        let sap = "startWithSAP";
        let mut wanted =
            vec![("contentType", kind), ("mimeType", &mime), ("segmentAlignment", "true"), (sap, "1")];
        if kind == "video" {
            wanted.push(("sar", "1:1"));
        }
        match wanted.into_iter().find(|(attribute, value)| self.attribute(attribute) != Some(value)) {
            Some((attribute, value)) => {
                Err(wrong(format!("`{name}` is not said to have {attribute} `{value}` in the manifest")))
            }
            None => Ok(()),
        }
    }

    fn template(&self) -> Option<Node<'_, '_>> {
        children(self.one, "SegmentTemplate").next()
    }

    fn is_in(&self, below: &str, name: &str) -> bool {
        let media = self.template().and_then(|template| template.attribute("media"));
        media.is_some_and(|media| media.starts_with(&format!("{below}{name}/")))
    }

    fn track(&self, dir: &Path, name: &str, planned: Planned) -> Result<Track, MediaError> {
        let lacks = |what: &str| wrong(format!("`{name}` has no {what} in the manifest"));
        let template = self.template().ok_or_else(|| lacks("template"))?;
        let init = template.attribute("initialization").ok_or_else(|| lacks("initialization segment"))?;
        let media = template.attribute("media").ok_or_else(|| lacks("segments"))?;
        let number = |name: &str| template.attribute(name).and_then(|value| value.parse::<u64>().ok());
        let scale = number("timescale").filter(|scale| *scale > 0).unwrap_or(1) as f64;
        let first = number("startNumber").unwrap_or(1);
        let timeline = children(template, "SegmentTimeline").next().ok_or_else(|| lacks("timeline"))?;
        let listed = entries(timeline);
        // ISO/IEC 23009-1, 5.3.9.6
        if let Some(pair) = listed.windows(2).find(|pair| pair[0].0 + pair[0].1 != pair[1].0) {
            let (ends, begins) = (pair[0].0 + pair[0].1, pair[1].0);
            return Err(wrong(format!(
                "the timeline of `{name}` goes on at {begins} where it was at {ends}"
            )));
        }
        let segment = |(index, (start, ticks)): (usize, (u64, u64))| {
            let uri = numbered(media, first + index as u64).ok_or_else(|| lacks("numbered segments"))?;
            let piece = Piece::find(dir, &uri)?;
            let (start, seconds) = (start as f64 / scale, ticks as f64 / scale);
            Ok(Segment { piece, seconds: Some(seconds), start: Some(start) })
        };
        let segments: Vec<_> =
            listed.into_iter().enumerate().map(segment).collect::<Result<_, MediaError>>()?;
        if segments.is_empty() {
            return Err(lacks("segments"));
        }
        Ok(Track {
            name: name.to_owned(),
            planned: vec![planned],
            wrapping: Wrapping::Fragments,
            init: Some(Piece::find(dir, init)?),
            segments,
            claims: self.claims(),
            i_frames: Vec::new(),
        })
    }

    fn claims(&self) -> Claims {
        let channels = children(self.one, "AudioChannelConfiguration").next();
        Claims {
            codecs: self.attribute("codecs").map(str::to_owned),
            size: self.number("width").zip(self.number("height")),
            rate: self.number("frameRate").map(Rational::as_f64),
            bandwidth: self.number("bandwidth"),
            average: None,
            channels: channels.and_then(|node| node.attribute("value")).and_then(|value| value.parse().ok()),
            sample_rate: self.number("audioSamplingRate"),
            target: None,
            range: None,
        }
    }
}

/// An ISO 8601 duration of hours, minutes and seconds.
fn seconds(duration: &str) -> Option<f64> {
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
    use super::*;

    const MPD: &str = r#"<MPD profiles="urn:mpeg:dash:profile:isoff-live:2011" minBufferTime="PT2S" type="static" mediaPresentationDuration="PT5.000S"><Period><AdaptationSet contentType="video" segmentAlignment="true" startWithSAP="1"><Representation id="0" bandwidth="1000" codecs="avc1.64001e" mimeType="video/mp4" sar="1:1" width="640" height="360"><SegmentTemplate timescale="10" initialization="files/360p/init.mp4" media="files/360p/$Number$.m4s" startNumber="1"><SegmentTimeline><S t="0" d="30"/><S t="30" d="20"/></SegmentTimeline></SegmentTemplate></Representation></AdaptationSet><AdaptationSet contentType="audio" startWithSAP="1" segmentAlignment="true"><Representation id="1" bandwidth="500" codecs="mp4a.40.2" mimeType="audio/mp4" audioSamplingRate="48000"><SegmentTemplate timescale="10" initialization="files/audio/init.mp4" media="files/audio/$Number$.m4s" startNumber="1"><SegmentTimeline><S t="0" d="30"/><S t="30" d="20"/></SegmentTimeline></SegmentTemplate></Representation></AdaptationSet></Period></MPD>"#;

    fn listing(text: &str) -> Result<Listing, MediaError> {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["360p", "audio"] {
            let files = folder.path().join("files").join(name);
            fs::create_dir_all(&files).expect("made");
            for file in ["init.mp4", "1.m4s", "2.m4s"] {
                fs::write(files.join(file), "x").expect("written");
            }
        }
        fs::write(folder.path().join("main.mpd"), text).expect("written");
        read(&Plan { format: Format::Dash, ..crate::verify::tests::plan() }, folder.path(), "main.mpd")
    }

    #[test]
    fn what_is_right_is_read() {
        let listing = listing(MPD).expect("right");
        assert_eq!((listing.tracks.len(), listing.seconds), (2, Some(5.0)));
    }

    #[rstest::rstest]
    #[case::kind("type=\"static\"", "type=\"dynamic\"", "not static")]
    #[case::profiles("profiles=", "profile=", "its profiles")]
    #[case::buffer("PT2S", "PT0S", "`minBufferTime`")]
    #[case::ids("id=\"1\"", "id=\"0\"", "an `id` each")]
    #[case::kind_of_content("contentType=\"video\"", "contentType=\"text\"", "contentType `video`")]
    #[case::mime("audio/mp4", "audio/aac", "mimeType `audio/mp4`")]
    #[case::alignment("segmentAlignment=\"true\" startWithSAP", "startWithSAP", "segmentAlignment `true`")]
    #[case::start("startWithSAP=\"1\"><Rep", "startWithSAP=\"3\"><Rep", "startWithSAP `1`")]
    #[case::pixels("1:1", "4:3", "sar `1:1`")]
    #[case::gap("<S t=\"30\"", "<S t=\"31\"", "goes on at 31 where it was at 30")]
    #[case::overlap("<S t=\"30\"", "<S t=\"29\"", "goes on at 29 where it was at 30")]
    #[case::file("startNumber=\"1\"", "startNumber=\"2\"", "`files/360p/3.m4s` is listed and is not there")]
    #[case::rendition("files/360p/$", "files/361p/$", "does not name `360p`")]
    fn what_is_wrong_is_refused(#[case] right: &str, #[case] changed: &str, #[case] words: &str) {
        assert!(MPD.contains(right));
        let error = listing(&MPD.replacen(right, changed, 1)).expect_err("refused");
        assert!(error.detail.contains(words), "{error}");
    }

    #[test]
    fn durations() {
        assert_eq!(seconds("PT11.011S"), Some(11.011));
        assert_eq!(seconds("PT1H2M3S"), Some(3723.0));
        assert_eq!(seconds("P1D"), None);
    }
}
