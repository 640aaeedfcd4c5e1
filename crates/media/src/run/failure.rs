//! Why a tool failed, read from its exit status and its last words: the customer's code and sentence.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use model::ErrorCode;

use crate::{command, error::DISK_FULL, tool::programs::Program};

/// Signal numbers of Linux (signal(7)) that tell of a limit.
const KILL: i32 = 9;
const XCPU: i32 = 24;
const XFSZ: i32 = 25;

const CHANGES: &str = "the rate or the channels of its sound change on the way";
const NO_MEMORY: &str = "Cannot allocate memory";

/// What FFmpeg and the packager say, what it means, and whether the input is to blame. The first
/// that is found counts: what stands higher explains what stands below.
const WORDS: &[(&str, ErrorCode, &str)] = &[
    (command::CHANGES, ErrorCode::InvalidInput, CHANGES),
    ("No space left on device", ErrorCode::EncodingOverLimit, DISK_FULL),
    ("Disk quota exceeded", ErrorCode::EncodingOverLimit, DISK_FULL),
    // the packager is not told why a file was cut short
    ("running out of disk space", ErrorCode::EncodingOverLimit, DISK_FULL),
    ("File too large", ErrorCode::EncodingOverLimit, "an output file got too large"),
    // a size that no memory holds was read from the file
    (
        "Error during demuxing: Cannot allocate memory",
        ErrorCode::InvalidInput,
        "it cannot be read to its end",
    ),
    (NO_MEMORY, ErrorCode::EncodingOverLimit, "it needs more memory than it may have"),
    ("pthread_create() failed", ErrorCode::EncodingOverLimit, "it needs more memory than it may have"),
    ("not on whitelist", ErrorCode::InputForbidden, "the input refers to other files"),
    ("moov atom not found", ErrorCode::InvalidInput, "its index (`moov`) is missing; the file is cut off"),
    ("Error opening input", ErrorCode::InvalidInput, "it cannot be read"),
    ("Decode error rate", ErrorCode::InvalidInput, "most of it cannot be decoded"),
    ("Could not open encoder before EOF", ErrorCode::InvalidInput, "nothing in it can be decoded"),
    ("received no packets", ErrorCode::InvalidInput, "nothing in it can be decoded"),
];

/// Decoders take some damage for a lack of memory, among much that they call damage.
fn is_damage(stderr: &str) -> bool {
    let complaints = |words: &str| stderr.matches(words).count();
    stderr.contains("Decode error rate")
        && complaints("Invalid data found when processing input") > complaints(NO_MEMORY)
}

/// A code and a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) code: ErrorCode,
    pub(super) detail: String,
}

/// FFmpeg makes a sound's graph anew when its rate or channels change, and the new one begins at 0 again:
/// it goes on to the end, with time stamps that nobody can use.
pub(super) fn starts_again(stderr: &str) -> Option<Verdict> {
    let says = |line: &str| line.contains("[aost#") && line.contains("Non-monotonic DTS");
    stderr.lines().any(says).then(|| Verdict { code: ErrorCode::InvalidInput, detail: CHANGES.to_owned() })
}

/// Judges a tool that did not end well.
pub(super) fn judge(program: Program, status: ExitStatus, stderr: &str) -> Verdict {
    let is_damage = is_damage(stderr);
    let said = |words: &str| stderr.contains(words) && !(is_damage && words == NO_MEMORY);
    if let Some((_, code, meaning)) = WORDS.iter().find(|(words, ..)| said(words)) {
        return Verdict { code: *code, detail: (*meaning).to_owned() };
    }
    let over = |detail: &str| Verdict { code: ErrorCode::EncodingOverLimit, detail: detail.to_owned() };
    match signal(status) {
        Some(XFSZ) => over("an output file got too large"),
        Some(XCPU) => over("it needs more processor time than it may have"),
        Some(KILL) => over("it was killed, most likely because memory ran out"),
        Some(other) => failed(format!("{} died of signal {other}", program.name())),
        None => failed(format!("{} ended with an error{}", program.name(), last_words(stderr))),
    }
}

fn failed(detail: String) -> Verdict {
    Verdict { code: ErrorCode::EncodingFailed, detail }
}

/// The signal that ended it; bubblewrap says 128 + the signal for the child inside.
fn signal(status: ExitStatus) -> Option<i32> {
    status.signal().or_else(|| status.code().filter(|code| (129..=159).contains(code)).map(|code| code - 128))
}

/// The last line that says something to somebody who has no log: without addresses and paths.
fn last_words(stderr: &str) -> String {
    let says =
        |line: &&str| !line.is_empty() && !line.contains('/') && !line.starts_with("Conversion failed");
    let plain = |line: &str| line.rsplit_once("] ").map_or(line, |(_, words)| words).trim().to_owned();
    stderr.lines().rev().find(says).map_or_else(String::new, |line| format!(": {}", plain(line)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn exit(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[rstest]
    #[case(
        228,
        "[out#0/mp4 @ 0x5638b2814580] Task finished with error code: -28 (No space left on device)",
        ErrorCode::EncodingOverLimit
    )]
    #[case(
        2,
        "E1127 16:08:24.062236   32050 demuxer.cc:370] Failed to process sample 256 5 (FILE_FAILURE): Cannot close file out/seg_00001.ts, possibly file permission issue or running out of disk space.",
        ErrorCode::EncodingOverLimit
    )]
    #[case(
        183,
        "[in#0 @ 0x56350e8975c0] moov atom not found\n[in#0 @ 0x56350e897600] Error opening input: Invalid data found when processing input\n",
        ErrorCode::InvalidInput
    )]
    #[case(
        69,
        "[vist#0:0/vp9 @ 0x55b248a1ab40] [dec:vp9 @ 0x55b248a17400] Decode error rate 1 exceeds maximum 0.666667",
        ErrorCode::InvalidInput
    )]
    #[case(
        69,
        "[dec:libdav1d @ 0x55] Error submitting packet to decoder: Invalid data found when processing input\n\
         [dec:libdav1d @ 0x55] Error submitting packet to decoder: Invalid data found when processing input\n\
         [dec:libdav1d @ 0x55] Decoding error: Cannot allocate memory\n\
         [dec:libdav1d @ 0x55] Decode error rate 0.947368 exceeds maximum 0.666667",
        ErrorCode::InvalidInput
    )]
    #[case(
        69,
        "[dec:h264 @ 0x55] Error submitting packet to decoder: Invalid data found when processing input\n\
         [dec:h264 @ 0x55] Decoding error: Cannot allocate memory\n\
         [dec:h264 @ 0x55] Decoding error: Cannot allocate memory\n\
         [dec:h264 @ 0x55] Decode error rate 1 exceeds maximum 0.666667",
        ErrorCode::EncodingOverLimit
    )]
    #[case(
        69,
        "[dec:libdav1d @ 0x55] Error submitting packet to decoder: Invalid data found when processing input\n\
         [out#0/mp4 @ 0x55] Error writing trailer: No space left on device\n\
         [dec:libdav1d @ 0x55] Decode error rate 1 exceeds maximum 0.666667",
        ErrorCode::EncodingOverLimit
    )]
    #[case(
        69,
        "[vost#0:0/libx264 @ 0x557fd768e340] [enc:libx264 @ 0x557fd7727d00] Could not open encoder before EOF",
        ErrorCode::InvalidInput
    )]
    #[case(
        245,
        "[in#0/mov,mp4,m4a,3gp,3g2,mj2 @ 0x563559086dc0] pthread_create() failed: Resource temporarily unavailable",
        ErrorCode::EncodingOverLimit
    )]
    #[case(128 + XFSZ, "", ErrorCode::EncodingOverLimit)]
    #[case(128 + 11, "", ErrorCode::EncodingFailed)]
    #[case(1, "Unrecognized option 'foo'.", ErrorCode::EncodingFailed)]
    fn who_is_to_blame(#[case] code: i32, #[case] stderr: &str, #[case] blamed: ErrorCode) {
        assert_eq!(judge(Program::Ffmpeg, exit(code), stderr).code, blamed);
    }

    #[test]
    fn sound_that_changes() {
        let stderr = "[aac @ 0x5633761de7c0] Queue input is backward in time\n[aost#0:1/aac @ 0x56337618e540] \
                      Non-monotonic DTS; previous: 97280, current: 240; changing to 97281.\n";
        assert_eq!(starts_again(stderr).map(|verdict| verdict.code), Some(ErrorCode::InvalidInput));
        assert_eq!(
            starts_again("[in#0/mpegts @ 0x563376052e00] Packet corrupt (stream = 0, dts = 304490).\n"),
            None
        );
    }

    #[test]
    fn the_sentence_has_no_paths() {
        let stderr =
            "[libx264 @ 0x55] broken ffmpeg build\nError opening output file /data/work/1/out/main.mp4.\n";
        let verdict = judge(Program::Ffmpeg, exit(1), stderr);
        assert_eq!(verdict.detail, "ffmpeg ended with an error: broken ffmpeg build");
    }
}
