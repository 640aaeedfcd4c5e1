//! Whatever reads bytes that strangers may have written, as functions that take any bytes: the targets
//! of `fuzz/` call them, and so do the tests below. They may refuse; they must not panic, hang, or take
//! more memory than the bytes are worth.

use std::io::Cursor;

use model::Format;

use crate::{
    format::{dash, hls, mp4::index, sniff},
    playlists, tool,
};

/// The first bytes of an input.
pub fn sniff(data: &[u8]) {
    let _ = sniff::check_head(&data[..data.len().min(sniff::HEAD_BYTES)]);
}

/// The boxes of an MP4.
pub fn boxes(data: &[u8]) {
    let found = index::read(&mut Cursor::new(data)).expect("memory can always be read");
    if let Some(found) = found {
        assert!(found.has_moov || found.last_indexed_byte == 0, "only an index names data");
    }
}

/// HLS playlists and DASH manifests.
pub fn playlists(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        let _ = (hls::parse_uri(line), hls::parse_extinf(line), hls::parse_byte_range(line));
        if let Some(tag) = hls::Tag::parse(line) {
            let again = tag.to_string();
            assert_eq!(hls::Tag::parse(&again), Some(tag), "what is written is read as it was");
        }
    }
    for format in [Format::Hls, Format::Dash] {
        let _ = playlists::relocate(format, &text, "a folder");
    }
    if let Ok(manifest) = playlists::dash::fix_up(&text, &|_| Ok(0), &[]) {
        let _ = playlists::dash::fix_up(&manifest, &|_| Ok(0), &[]);
    }
    if let Ok(document) = roxmltree::Document::parse(&text) {
        let _ = dash::timeline_segments(document.root_element());
        let _ = document.root_element().attribute("media").map(|media| dash::segment_uri(media, u64::MAX));
    }
}

/// What FFmpeg says of its progress.
pub fn progress(data: &[u8]) {
    let mut progress = tool::progress::Progress::default();
    for line in String::from_utf8_lossy(data).lines() {
        progress.read(line);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Pieces of what is read here, so that chance comes beyond the first check.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let pieces = prop::sample::select(vec![
            "\0\0\0\u{8}",
            "\0\0\0\u{1}",
            "\0\0\0\u{20}",
            "ftyp",
            "moov",
            "trak",
            "mdia",
            "minf",
            "stbl",
            "stsz",
            "stco",
            "co64",
            "stsc",
            "moof",
            "mvex",
            "encv",
            "sinf",
            "schm",
            "\u{ff}\u{ff}\u{ff}",
            "#EXTM3U\n",
            "#EXTINF:",
            "#EXT-X-MEDIA:A=\"",
            "#EXT-X-BYTERANGE:1@",
            "\",",
            "<MPD>",
            "<S d=\"9\" r=\"99999999999\"/>",
            "</MPD>",
            "<SegmentTimeline media=\"$Number%0",
            "999999d$\">",
            "\n",
            "frame=",
            "out_time_us=-",
            "18446744073709551615",
            "=",
            "v=0\n",
        ]);
        let pieces = pieces.prop_map(|piece| piece.as_bytes().to_vec());
        let any = prop::collection::vec(any::<u8>(), 0..12);
        prop::collection::vec(prop_oneof![3 => pieces, 1 => any], 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(data in bytes()) {
            super::sniff(&data);
            super::boxes(&data);
            super::playlists(&data);
            super::progress(&data);
        }
    }
}
