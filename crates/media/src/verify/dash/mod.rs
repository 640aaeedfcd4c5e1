//! What a DASH output says of itself (ISO/IEC 23009-1), as far as this kind of manifest goes: static, one
//! period, one representation for each rendition and each audio stream, each with a segment timeline.

mod rules;
#[cfg(test)]
mod tests;

use model::{Format, Rational};
use roxmltree::{Document, Node};

use super::listing::{Claims, Listing, MediaFile, Segment, StreamRef, Track, TrackContainer, wrong_output};
use crate::{
    error::MediaError,
    format::{
        MAX_PLAYLIST_BYTES,
        dash::{child_elements, parse_duration, segment_uri, timeline_segments},
    },
    layout::OutputLayout,
    plan::Plan,
    work_folder::WorkFolder,
};

/// The scheme that counts channels, up to six of them (ISO/IEC 23009-1, 5.8.5.4; ISO/IEC 23003-3).
const CHANNELS_SCHEME: &str = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";

/// The schemes of the code points of matrix, transfer function and primaries (ISO/IEC 23091-2, 8).
const COLOUR_SCHEMES: [&str; 3] = [
    "urn:mpeg:mpegB:cicp:MatrixCoefficients",
    "urn:mpeg:mpegB:cicp:TransferCharacteristics",
    "urn:mpeg:mpegB:cicp:ColourPrimaries",
];

/// Reads the manifest `file` in `dir`, which names files beside it or below `files/`.
pub(super) fn read(plan: &Plan, dir: &WorkFolder, file: &str) -> Result<Listing, MediaError> {
    let (folder, below) = match file.rsplit_once('/') {
        Some((folder, _)) => (format!("{folder}/"), String::new()),
        None => (String::new(), format!("{}/", OutputLayout::FILES_FOLDER)),
    };
    let text = dir
        .read_text(file, MAX_PLAYLIST_BYTES)
        .map_err(|error| wrong_output(format!("the manifest cannot be read: {error}")))?;
    let document = Document::parse(&text)
        .map_err(|error| wrong_output(format!("the manifest cannot be read: {error}")))?;
    let mpd = document.root_element();
    rules::check_mpd(mpd)?;
    let representations: Vec<_> = child_elements(mpd, "Period")
        .flat_map(|period| child_elements(period, "AdaptationSet"))
        .flat_map(|set| child_elements(set, "Representation").map(move |one| Representation { set, one }))
        .collect();
    rules::check_representations(plan, &representations)?;
    let videos = plan.videos.iter().enumerate().map(|(n, video)| (&video.name, StreamRef::Video(n)));
    let audios = plan.audios.iter().enumerate().map(|(n, audio)| (&audio.name, StreamRef::Audio(n)));
    let track = |(name, planned): (&String, StreamRef)| {
        let found = representations.iter().find(|one| one.lies_in(&below, name));
        let found = found.ok_or_else(|| wrong_output(format!("the manifest does not name `{name}`")))?;
        rules::check_adaptation_set(plan, found, name, planned)?;
        found.track((dir, &folder), name, planned, planned.is_copied(plan))
    };
    let tracks = videos.chain(audios).map(track).collect::<Result<Vec<_>, _>>()?;
    let time = |name: &str| mpd.attribute(name).and_then(parse_duration);
    let (duration, min_buffer_time) = (time("mediaPresentationDuration"), time("minBufferTime"));
    rules::check_presentation_duration(duration, &tracks)?;
    Ok(Listing {
        format: Format::Dash,
        tracks,
        duration,
        min_buffer_time,
        manifest_files: vec![dir.path().join(file)],
    })
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

    fn size<T: std::str::FromStr>(&self) -> Option<(T, T)> {
        Some((self.number("width")?, self.number("height")?))
    }

    /// The value of its property in this scheme, or of its set's (5.8.4.8 and 5.8.4.9).
    fn property(&self, scheme: &str) -> Option<u32> {
        let kinds = ["EssentialProperty", "SupplementalProperty"];
        let nodes = [self.one, self.set].into_iter().flat_map(|node| kinds.map(|kind| (node, kind)));
        let mut all = nodes.flat_map(|(node, kind)| child_elements(node, kind));
        let found = all.find(|node| node.attribute("schemeIdUri") == Some(scheme))?;
        found.attribute("value")?.parse().ok()
    }

    fn template(&self) -> Option<Node<'_, '_>> {
        child_elements(self.one, "SegmentTemplate").next()
    }

    fn lies_in(&self, below: &str, name: &str) -> bool {
        let media = self.template().and_then(|template| template.attribute("media"));
        media.is_some_and(|media| media.starts_with(&format!("{below}{name}/")))
    }

    fn track(
        &self,
        (dir, folder): (&WorkFolder, &str),
        name: &str,
        planned: StreamRef,
        may_begin_late: bool,
    ) -> Result<Track, MediaError> {
        let lacks = |what: &str| wrong_output(format!("`{name}` has no {what} in the manifest"));
        let template = self.template().ok_or_else(|| lacks("template"))?;
        let init = template.attribute("initialization").ok_or_else(|| lacks("initialization segment"))?;
        let media = template.attribute("media").ok_or_else(|| lacks("segments"))?;
        let number = |name: &str| template.attribute(name).and_then(|value| value.parse::<u64>().ok());
        let timescale = number("timescale").filter(|scale| *scale > 0).unwrap_or(1);
        let scale = timescale as f64;
        let first = number("startNumber").unwrap_or(1);
        let timeline = child_elements(template, "SegmentTimeline").next().ok_or_else(|| lacks("timeline"))?;
        let listed = timeline_segments(timeline);
        rules::check_timeline(name, template, &listed, may_begin_late)?;
        let segment = |(index, (start, duration)): (usize, (u64, u64))| {
            let uri = segment_uri(media, first + index as u64).ok_or_else(|| lacks("numbered segments"))?;
            let file = MediaFile::find(dir, &format!("{folder}{uri}"))?;
            let (start, duration) = (start as f64 / scale, duration as f64 / scale);
            Ok(Segment { file, duration: Some(duration), start: Some(start) })
        };
        let segments: Vec<_> =
            listed.into_iter().enumerate().map(segment).collect::<Result<_, MediaError>>()?;
        if segments.is_empty() {
            return Err(lacks("segments"));
        }
        Ok(Track {
            name: name.to_owned(),
            planned: vec![planned],
            container: TrackContainer::FragmentedMp4,
            init: Some(MediaFile::find(dir, &format!("{folder}{init}"))?),
            segments,
            claims: Claims { timescale: Some(timescale), ..self.claims() },
            i_frames: Vec::new(),
        })
    }

    fn claims(&self) -> Claims {
        let of_it = |node: &Node<'_, '_>| node.attribute("schemeIdUri") == Some(CHANNELS_SCHEME);
        let channels = child_elements(self.one, "AudioChannelConfiguration").find(of_it);
        Claims {
            codecs: self.attribute("codecs").map(str::to_owned),
            size: self.size(),
            frame_rate: self.number("frameRate").map(Rational::as_f64),
            bandwidth: self.number("bandwidth"),
            channels: channels.and_then(|node| node.attribute("value")).and_then(|value| value.parse().ok()),
            sample_rate: self.number("audioSamplingRate"),
            language: self.attribute("lang").map(str::to_owned),
            colour: COLOUR_SCHEMES.map(|scheme| self.property(scheme)),
            ..Claims::default()
        }
    }
}
