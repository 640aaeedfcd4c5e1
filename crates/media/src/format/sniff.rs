//! What the first bytes of a file say, before any tool sees it.
//!
//! A playlist under a video's name makes FFmpeg open other files and the network, so it is refused here; so
//! is plain text, which is never media. Anything else is left to ffprobe.

use model::ErrorCode;

use crate::error::MediaError;

/// Bytes from the start of a file that are read.
pub(crate) const HEAD_BYTES: usize = 4096;

/// Checks the first [`HEAD_BYTES`] of a file, or all of a shorter one.
///
/// # Errors
/// [`ErrorCode::InputForbidden`] for whatever names other files; [`ErrorCode::InvalidInput`] for an
/// empty file and for other text.
pub(crate) fn check_head(head: &[u8]) -> Result<(), MediaError> {
    if head.is_empty() {
        return Err(MediaError::new(ErrorCode::InvalidInput, "the file is empty"));
    }
    if let Some(kind) = kind_of_playlist(head) {
        let detail = format!("the file is {kind}, which refers to other files; give the media itself");
        return Err(MediaError::new(ErrorCode::InputForbidden, detail));
    }
    if is_text(head) {
        return Err(MediaError::new(ErrorCode::InvalidInput, "the file is text, not media"));
    }
    Ok(())
}

/// How files begin that name other files, in lower case.
const PLAYLIST_PREFIXES: &[(&str, &str)] = &[
    ("#extm3u", "an HLS or M3U playlist"),
    ("#extinf", "an M3U playlist"),
    ("ffconcat", "a concat script"),
    ("[playlist]", "a PLS playlist"),
    ("[reference]", "an ASX reference"),
    ("<asx", "an ASX playlist"),
    ("<smil", "a SMIL presentation"),
    ("<?wpl", "a WPL playlist"),
    ("rtsptext", "an RTSP redirection"),
];

/// Words of files that name other files, in lower case. They are looked for anywhere in the head, as FFmpeg
/// does.
const PLAYLIST_WORDS: &[(&str, &str)] = &[
    ("<mpd", "a DASH manifest"),
    ("<smoothstreamingmedia", "a Smooth Streaming manifest"),
    ("<compositionplaylist", "an IMF playlist"),
    ("<smil", "a SMIL presentation"),
    ("http://xspf.org/ns", "an XSPF playlist"),
    ("\n#ext-x-", "an HLS playlist"),
    ("\nffconcat version", "a concat script"),
];

fn kind_of_playlist(head: &[u8]) -> Option<&'static str> {
    let lower: Vec<u8> = skip_blank_start(head).to_ascii_lowercase();
    let prefix = PLAYLIST_PREFIXES.iter().find(|(prefix, _)| lower.starts_with(prefix.as_bytes()));
    let found = prefix.or_else(|| PLAYLIST_WORDS.iter().find(|(word, _)| contains(&lower, word.as_bytes())));
    match found {
        Some((_, kind)) => Some(kind),
        None if is_sdp(&lower) => Some("a session description (SDP)"),
        None => None,
    }
}

/// FFmpeg takes anything with a line `c=IN IP…` for SDP.
fn is_sdp(lower: &[u8]) -> bool {
    let begins = lower.starts_with(b"v=0\n") || lower.starts_with(b"v=0\r");
    begins || lower.split(|byte| matches!(byte, b'\n' | b'\r')).any(|line| line.starts_with(b"c=in ip"))
}

/// Without a byte order mark, white space and zeros before the first word.
fn skip_blank_start(head: &[u8]) -> &[u8] {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    &rest[rest.iter().take_while(|byte| blank(byte)).count()..]
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// Whether it is UTF-8 without control characters; the last character may be cut off. The header of
/// YUV4MPEG2 is text, and media follows it.
fn is_text(head: &[u8]) -> bool {
    if head.starts_with(b"YUV4MPEG2") {
        return false;
    }
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.chars().any(|c| c.is_control() && !c.is_whitespace() && c != '\x1b')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn code(head: &[u8]) -> Option<ErrorCode> {
        check_head(head).err().map(|error| error.code)
    }

    #[rstest]
    #[case(b"#EXTM3U\n#EXT-X-VERSION:3\n")]
    #[case(b"\xef\xbb\xbf \r\n#EXTM3U")]
    #[case(b"ffconcat version 1.0\nfile 'a.mp4'\n")]
    #[case(b"<?xml version=\"1.0\"?>\n<!-- x -->\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\">")]
    #[case(b"<?xml version=\"1.0\"?><SmoothStreamingMedia MajorVersion=\"2\">")]
    #[case(b"v=0\no=- 0 0 IN IP4 127.0.0.1\n")]
    #[case(b"s=x\nc=IN IP4 127.0.0.1\n")]
    #[case(b"[playlist]\nFile1=http://127.0.0.1/\n")]
    #[case(b"<ASX version=\"3.0\">")]
    #[case(b"\x00\x00\x00\x18ftypmp42 <MPD xmlns")]
    fn what_names_other_files_is_forbidden(#[case] head: &[u8]) {
        assert_eq!(code(head), Some(ErrorCode::InputForbidden));
    }

    #[rstest]
    #[case(b"")]
    #[case(b"This is a plain text file, not a video.\n")]
    #[case(b"<!DOCTYPE html>\n<html>")]
    #[case(b"1\n00:00:00,500 --> 00:00:01,500\nHello, w\xc3\xb6rld\n")]
    #[case(b"cut in a character \xc3")]
    fn text_is_not_media(#[case] head: &[u8]) {
        assert_eq!(code(head), Some(ErrorCode::InvalidInput));
    }

    #[rstest]
    #[case(b"\x00\x00\x00\x20ftypisom")]
    #[case(b"\x1a\x45\xdf\xa3")]
    #[case(b"RIFF\x00\x10\x00\x00AVI ")]
    #[case(b"YUV4MPEG2 W4 H4 F25:1\nFRAME\nabcd")]
    #[case(b"\x47\x40\x00\x10")]
    fn the_rest_is_left_to_the_prober(#[case] head: &[u8]) {
        assert_eq!(code(head), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(head in prop::collection::vec(any::<u8>(), 0..HEAD_BYTES)) {
            let _ = check_head(&head);
        }

        #[test]
        fn nothing_before_a_playlist_hides_it(blank in "[ \t\r\n]{0,40}", rest in "[ -~]{0,40}") {
            let head = format!("{blank}#EXTM3U{rest}");
            prop_assert_eq!(code(head.as_bytes()), Some(ErrorCode::InputForbidden));
        }
    }
}
