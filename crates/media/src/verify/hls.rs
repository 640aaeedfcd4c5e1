//! What an HLS output says of itself, read with a parser that knows nothing of who wrote it.

use std::{collections::BTreeSet, fs, path::Path};

use m3u8_rs::{
    AlternativeMedia, MasterPlaylist, MediaPlaylist, MediaPlaylistType, MediaSegment, VariantStream,
};
use model::{Format, SegmentType};

use super::listing::{Claims, Listing, Piece, Planned, Range, Segment, Track, Wrapping, wrong};
use crate::{MediaError, Plan, formats, package::Bandwidth};

/// Bit rates of I-frames are told to within so much of themselves: how long each is shown is listed in
/// milliseconds.
const I_FRAME_RATES: f64 = 0.05;

/// Reads the master playlist in `dir` and all that it names.
pub(super) fn read(plan: &Plan, dir: &Path) -> Result<Listing, MediaError> {
    let text = read_text(&dir.join(formats::main_file(Format::Hls)), "the master playlist")?;
    let (_, master) =
        m3u8_rs::parse_master_playlist(&text).map_err(|_| wrong("the master playlist cannot be read"))?;
    check_master(plan, &master)?;
    let mut tracks = Vec::new();
    for (number, video) in plan.videos.iter().enumerate() {
        let variant = variant(&master, &video.name, false)?;
        let mut track = track(plan, dir, &video.name, &variant.uri)?;
        track.planned = vec![Planned::Video(number)];
        track.claims = Claims { target: track.claims.target, ..variant_claims(variant) };
        track.i_frames = i_frames(dir, variant, variant_of_i_frames(&master, &video.name)?)?;
        tracks.push(track);
    }
    for (number, audio) in plan.audios.iter().enumerate() {
        let sound = sound(&master, &audio.name)?;
        let mut track = track(plan, dir, &audio.name, sound.uri.as_deref().unwrap_or_default())?;
        track.planned = vec![Planned::Audio(number)];
        track.claims.channels = sound.channels.as_deref().and_then(|channels| channels.parse().ok());
        if plan.videos.is_empty() && number == 0 {
            let variant = variant(&master, &audio.name, false)?;
            track.claims.codecs.clone_from(&variant.codecs);
            track.claims.bandwidth = Some(variant.bandwidth as f64);
            track.claims.average = variant.average_bandwidth.map(|bits| bits as f64);
        }
        tracks.push(track);
    }
    Ok(Listing { format: Format::Hls, tracks, seconds: None })
}

/// One variant for each rendition, one sound group that all of them name, and its first sound is the
/// default one; no group where there is no sound.
fn check_master(plan: &Plan, master: &MasterPlaylist) -> Result<(), MediaError> {
    if !master.independent_segments {
        return Err(wrong("the master playlist does not say that segments are independent"));
    }
    let variants = master.variants.iter().filter(|variant| !variant.is_i_frame);
    let wanted = plan.videos.len().max(1);
    if variants.clone().count() != wanted {
        return Err(wrong(format!("the master playlist has {} variants, not {wanted}", variants.count())));
    }
    if master.alternatives.len() != plan.audios.len() {
        let count = master.alternatives.len();
        return Err(wrong(format!("the master playlist has {count} sounds, not {}", plan.audios.len())));
    }
    let group = master.alternatives.first().map(|sound| sound.group_id.as_str());
    if let Some(other) = variants.clone().find(|variant| variant.audio.as_deref() != group) {
        return Err(wrong(format!("the variant `{}` does not name the sounds' group", other.uri)));
    }
    // RFC 8216, 4.3.4.1.1
    let names: BTreeSet<_> = master.alternatives.iter().map(|sound| sound.name.as_str()).collect();
    if names.len() != master.alternatives.len() {
        return Err(wrong("the sounds of the master playlist do not have a name each"));
    }
    let default = plan.audios.first().map(|audio| audio.name.as_str());
    for sound in &master.alternatives {
        let is_default = sound.uri.as_deref().zip(default).is_some_and(|(uri, name)| is_in(uri, name));
        let marked = sound.default == is_default && (sound.autoselect || !is_default);
        if Some(sound.group_id.as_str()) != group || !marked {
            return Err(wrong(format!("the sound `{}` is not in the group as it should be", sound.name)));
        }
    }
    Ok(())
}

fn variant<'a>(
    master: &'a MasterPlaylist,
    name: &str,
    is_i_frame: bool,
) -> Result<&'a VariantStream, MediaError> {
    let of_it = |variant: &&VariantStream| variant.is_i_frame == is_i_frame && is_in(&variant.uri, name);
    master
        .variants
        .iter()
        .find(of_it)
        .ok_or_else(|| wrong(format!("the master playlist does not name the rendition `{name}`")))
}

fn variant_of_i_frames<'a>(master: &'a MasterPlaylist, name: &str) -> Result<&'a VariantStream, MediaError> {
    variant(master, name, true)
        .map_err(|_| wrong(format!("the master playlist does not name the I-frames of `{name}`")))
}

fn sound<'a>(master: &'a MasterPlaylist, name: &str) -> Result<&'a AlternativeMedia, MediaError> {
    let of_it = |sound: &&AlternativeMedia| sound.uri.as_deref().is_some_and(|uri| is_in(uri, name));
    master
        .alternatives
        .iter()
        .find(of_it)
        .ok_or_else(|| wrong(format!("the master playlist does not name the sound `{name}`")))
}

fn is_in(uri: &str, name: &str) -> bool {
    uri.strip_prefix("files/")
        .and_then(|rest| rest.strip_prefix(name))
        .is_some_and(|rest| rest.starts_with('/'))
}

fn variant_claims(variant: &VariantStream) -> Claims {
    Claims {
        codecs: variant.codecs.clone(),
        size: variant.resolution.map(|size| (size.width, size.height)),
        rate: variant.frame_rate,
        bandwidth: Some(variant.bandwidth as f64),
        average: variant.average_bandwidth.map(|bits| bits as f64),
        range: variant
            .other_attributes
            .as_ref()
            .and_then(|all| all.get("VIDEO-RANGE"))
            .map(ToString::to_string),
        ..Claims::default()
    }
}

/// A media playlist and its segments.
fn track(plan: &Plan, dir: &Path, name: &str, uri: &str) -> Result<Track, MediaError> {
    let playlist = media_playlist(dir, uri)?;
    let folder = folder_of(uri);
    let (wrapping, init) = match plan.segmenting.map(|segmenting| segmenting.kind) {
        Some(SegmentType::Fmp4) => {
            let map = playlist.segments.first().and_then(|segment| segment.map.as_ref());
            let map = map.ok_or_else(|| wrong(format!("`{uri}` names no initialization segment")))?;
            (Wrapping::Fragments, Some(Piece::find(dir, &format!("{folder}{}", map.uri))?))
        }
        _ => (Wrapping::Ts, None),
    };
    let segment = |segment: &MediaSegment| {
        if segment.discontinuity || segment.byte_range.is_some() {
            return Err(wrong(format!("`{uri}` does not list whole segments that follow each other")));
        }
        let piece = Piece::find(dir, &format!("{folder}{}", segment.uri))?;
        Ok(Segment { piece, seconds: Some(f64::from(segment.duration)), start: None })
    };
    let segments = playlist.segments.iter().map(segment).collect::<Result<_, _>>()?;
    let claims = Claims { target: Some(playlist.target_duration as f64), ..Claims::default() };
    Ok(Track {
        name: name.to_owned(),
        planned: Vec::new(),
        wrapping,
        init,
        segments,
        claims,
        i_frames: Vec::new(),
    })
}

fn media_playlist(dir: &Path, uri: &str) -> Result<MediaPlaylist, MediaError> {
    let file = Piece::find(dir, uri)?;
    let text = read_text(&file.path, uri)?;
    let (_, playlist) =
        m3u8_rs::parse_media_playlist(&text).map_err(|_| wrong(format!("`{uri}` cannot be read")))?;
    if !playlist.end_list || playlist.playlist_type != Some(MediaPlaylistType::Vod) {
        return Err(wrong(format!("`{uri}` is not marked as complete")));
    }
    if playlist.segments.is_empty() {
        return Err(wrong(format!("`{uri}` lists no segments")));
    }
    let (version, needed) = (playlist.version.unwrap_or(1), needed_version(&playlist));
    if version < needed {
        return Err(wrong(format!(
            "`{uri}` is of version {version}, and has what came with version {needed}"
        )));
    }
    Ok(playlist)
}

/// The least version of a playlist that may hold what this one holds (RFC 8216, 7).
fn needed_version(playlist: &MediaPlaylist) -> usize {
    let any = |has: fn(&MediaSegment) -> bool| playlist.segments.iter().any(has);
    match any(|segment| segment.map.is_some()) {
        true if playlist.i_frames_only => 5,
        true => 6,
        false if playlist.i_frames_only || any(|segment| segment.byte_range.is_some()) => 4,
        false if any(|segment| segment.duration.fract() != 0.0) => 3,
        false => 1,
    }
}

/// The I-frames of a rendition, and what is said of them: its size, its codec, and their own peak (RFC
/// 8216, 4.3.4.3).
fn i_frames(dir: &Path, of: &VariantStream, listed: &VariantStream) -> Result<Vec<Range>, MediaError> {
    let uri = listed.uri.as_str();
    let playlist = media_playlist(dir, uri)?;
    if !playlist.i_frames_only {
        return Err(wrong(format!("`{uri}` is not marked as I-frames only")));
    }
    if playlist.segments.first().is_none_or(|segment| segment.map.is_none()) {
        return Err(wrong(format!("`{uri}` names nothing that initializes its I-frames")));
    }
    let range = |segment: &MediaSegment| {
        let piece = Piece::find(dir, &format!("{}{}", folder_of(uri), segment.uri))?;
        let range = segment.byte_range.as_ref().and_then(|range| Some((range.offset?, range.length)));
        let (offset, length) =
            range.ok_or_else(|| wrong(format!("`{uri}` has an I-frame without its bytes")))?;
        Ok(Range { path: piece.path, offset, length })
    };
    let ranges = playlist.segments.iter().map(range).collect::<Result<Vec<_>, _>>()?;
    let sizes: Vec<_> = ranges
        .iter()
        .zip(&playlist.segments)
        .map(|(range, frame): (&Range, _)| (range.length, f64::from(frame.duration)))
        .collect();
    let peak = Bandwidth::of(&sizes).peak;
    let codec = |variant: &VariantStream| {
        variant.codecs.as_deref().and_then(|codecs| codecs.split(',').next()).map(str::to_owned)
    };
    if listed.resolution != of.resolution || codec(listed).is_none() || codec(listed) != codec(of) {
        return Err(wrong(format!("`{uri}` is not listed with the codec and the size of its rendition")));
    }
    if (listed.bandwidth as f64 - peak).abs() > I_FRAME_RATES * peak + 1.0 {
        let claimed = listed.bandwidth;
        return Err(wrong(format!("`{uri}` is listed with {claimed} bit/s, and its peak is {peak:.0}")));
    }
    Ok(ranges)
}

/// With its slash; empty for what lies beside the master playlist.
fn folder_of(uri: &str) -> &str {
    uri.rfind('/').map_or("", |slash| &uri[..=slash])
}

fn read_text(path: &Path, what: &str) -> Result<Vec<u8>, MediaError> {
    fs::read(path).map_err(|error| wrong(format!("{what} cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: &str = "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"files/audio/playlist.m3u8\",GROUP-ID=\"audio\",NAME=\"Audio\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\"\n#EXT-X-STREAM-INF:BANDWIDTH=1000,AVERAGE-BANDWIDTH=900,CODECS=\"avc1.64001e,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO=\"audio\"\nfiles/360p/playlist.m3u8\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=400,CODECS=\"avc1.64001e\",RESOLUTION=640x360,URI=\"files/360p/iframes.m3u8\"\n";
    const MEDIA: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:3\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:2.5,\n1.ts\n#EXTINF:2.5,\n2.ts\n#EXT-X-ENDLIST\n";
    const I_FRAMES: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:3\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI=\"1.ts\",BYTERANGE=\"376@0\"\n#EXTINF:2.5,\n#EXT-X-BYTERANGE:125@376\n1.ts\n#EXTINF:2.5,\n#EXT-X-BYTERANGE:100@376\n2.ts\n#EXT-X-ENDLIST\n";

    fn listing(master: &str, media: &str, i_frames: &str) -> Result<Listing, MediaError> {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        for name in ["360p", "audio"] {
            write(&format!("files/{name}/playlist.m3u8"), media);
            write(&format!("files/{name}/1.ts"), "x");
            write(&format!("files/{name}/2.ts"), "x");
        }
        write("files/360p/iframes.m3u8", i_frames);
        write("main.m3u8", master);
        read(&crate::verify::tests::plan(), folder.path())
    }

    #[test]
    fn what_is_right_is_read() {
        let listing = listing(MASTER, MEDIA, I_FRAMES).expect("right");
        assert_eq!((listing.tracks.len(), listing.tracks[0].i_frames.len()), (2, 2));
    }

    #[rstest::rstest]
    #[case::independent("#EXT-X-INDEPENDENT-SEGMENTS\n", "", "segments are independent")]
    #[case::group("GROUP-ID=\"audio\"", "GROUP-ID=\"other\"", "does not name the sounds' group")]
    #[case::default("DEFAULT=YES,", "", "not in the group as it should be")]
    #[case::no_name("NAME=\"Audio\"", "NAME=\"\"", "has 0 sounds, not 1")]
    #[case::i_frames("iframes.m3u8", "playlist.m3u8", "not marked as I-frames only")]
    #[case::i_frame_size(
        "RESOLUTION=640x360,URI",
        "RESOLUTION=640x362,URI",
        "the codec and the size of its rendition"
    )]
    #[case::i_frame_codec("CODECS=\"avc1.64001e\",", "CODECS=\"avc1.64001f\",", "the codec and the size")]
    #[case::i_frame_rate("BANDWIDTH=400", "BANDWIDTH=300", "listed with 300 bit/s, and its peak is 400")]
    fn a_wrong_master_is_refused(#[case] right: &str, #[case] changed: &str, #[case] words: &str) {
        assert!(MASTER.contains(right));
        let error = listing(&MASTER.replacen(right, changed, 1), MEDIA, I_FRAMES).expect_err("refused");
        assert!(error.detail.contains(words), "{error}");
    }

    #[test]
    fn two_sounds_of_one_name_are_refused() {
        let mut plan = crate::verify::tests::plan();
        plan.audios.push(crate::AudioPlan { name: "audio_2".to_owned(), ..plan.audios[0].clone() });
        let sound = MASTER.lines().nth(2).expect("a sound");
        let second =
            sound.replace("DEFAULT=YES,AUTOSELECT=YES,", "").replace("files/audio/", "files/audio_2/");
        let master = MASTER.replace(sound, &format!("{sound}\n{second}"));
        let (_, master) = m3u8_rs::parse_master_playlist(master.as_bytes()).expect("read");
        let error = check_master(&plan, &master).expect_err("refused");
        assert!(error.detail.contains("a name each"), "{error}");
    }

    #[rstest::rstest]
    #[case::version("VERSION:6", "VERSION:2", "is of version 2, and has what came with version 3")]
    #[case::no_version("#EXT-X-VERSION:6\n", "", "version 1")]
    #[case::incomplete("#EXT-X-ENDLIST\n", "", "not marked as complete")]
    #[case::kind("TYPE:VOD", "TYPE:EVENT", "not marked as complete")]
    #[case::discontinuity("2.ts", "#EXT-X-DISCONTINUITY\n2.ts", "whole segments that follow each other")]
    #[case::missing("2.ts", "3.ts", "`files/360p/3.ts` is listed and is not there")]
    #[case::outside("2.ts", "../../../2.ts", "not a path of the output")]
    fn a_wrong_playlist_is_refused(#[case] right: &str, #[case] changed: &str, #[case] words: &str) {
        assert!(MEDIA.contains(right));
        let error = listing(MASTER, &MEDIA.replacen(right, changed, 1), I_FRAMES).expect_err("refused");
        assert!(error.detail.contains(words), "{error}");
    }

    #[rstest::rstest]
    #[case::version("VERSION:6", "VERSION:4", "is of version 4, and has what came with version 5")]
    #[case::no_map("#EXT-X-MAP:URI=\"1.ts\",BYTERANGE=\"376@0\"\n", "", "nothing that initializes")]
    #[case::no_bytes("#EXT-X-BYTERANGE:100@376\n", "", "an I-frame without its bytes")]
    fn wrong_i_frames_are_refused(#[case] right: &str, #[case] changed: &str, #[case] words: &str) {
        assert!(I_FRAMES.contains(right));
        let error = listing(MASTER, MEDIA, &I_FRAMES.replacen(right, changed, 1)).expect_err("refused");
        assert!(error.detail.contains(words), "{error}");
    }
}
