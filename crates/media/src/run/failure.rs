//! Why a program failed, diagnosed from its exit status and the end of its log: the customer's code and
//! sentence.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use model::ErrorCode;

use crate::{
    error::{DISK_FULL, MediaError},
    tool::{
        child::{ChildError, Ended},
        programs::Program,
    },
};

/// Signal numbers of Linux (signal(7)) by which a limit of resources ends a process.
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

/// What FFmpeg logs before it ends at the first change of audio that it was told to fail on.
pub(super) const AUDIO_CHANGED_MESSAGE: &str = "Changing audio frame properties on the fly is not supported";

const AUDIO_CHANGES: &str = "the sample rate or the channels of its audio change on the way";
const NO_MEMORY: &str = "Cannot allocate memory";

/// Messages of FFmpeg and the packager, whose fault each tells, and what it means. The first that is found
/// counts: what stands higher explains what stands below.
const MESSAGES: &[(&str, ErrorCode, &str)] = &[
    (AUDIO_CHANGED_MESSAGE, ErrorCode::InvalidInput, AUDIO_CHANGES),
    ("No space left on device", ErrorCode::EncodingOverLimit, DISK_FULL),
    ("Disk quota exceeded", ErrorCode::EncodingOverLimit, DISK_FULL),
    // the packager does not know why a file was cut short
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

/// Decoders take some damage for a lack of memory; with damage they report much more that is invalid.
fn is_damage(stderr: &str) -> bool {
    let count = |message: &str| stderr.matches(message).count();
    stderr.contains("Decode error rate")
        && count("Invalid data found when processing input") > count(NO_MEMORY)
}

/// A code and a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) code: ErrorCode,
    pub(super) detail: String,
}

/// FFmpeg rebuilds the filter graph of an audio when its sample rate or channels change, and the new one
/// begins at 0 again: FFmpeg goes on to the end, with time stamps that nobody can use.
fn timestamps_begin_again(stderr: &str) -> Option<Diagnosis> {
    let says = |line: &str| line.contains("[aost#") && line.contains("Non-monotonic DTS");
    if !stderr.lines().any(says) {
        return None;
    }
    Some(Diagnosis { code: ErrorCode::InvalidInput, detail: AUDIO_CHANGES.to_owned() })
}

/// The end of a program's log when it ended well; else why it did not.
pub(super) fn check(program: Program, ended: Result<Ended, ChildError>) -> Result<String, MediaError> {
    match ended {
        Ok(Ended { status, stderr_tail }) => {
            let diagnosis = if status.success() {
                timestamps_begin_again(&stderr_tail)
            } else {
                Some(diagnose(program, status, &stderr_tail))
            };
            match diagnosis {
                None => Ok(stderr_tail),
                Some(Diagnosis { code, detail }) => Err(MediaError::new(code, detail).with_log(stderr_tail)),
            }
        }
        Err(ChildError::Stalled(stall)) => {
            let code = match program {
                // it only moves what was encoded: no input makes it slow, so another try may go well
                Program::Packager => ErrorCode::Internal,
                Program::Ffmpeg | Program::Ffprobe => ErrorCode::EncodingOverLimit,
            };
            Err(MediaError::new(code, format!("{} got no further for {} s", program.name(), stall.as_secs())))
        }
        Err(ChildError::Io(error)) => {
            let lost = MediaError::new(ErrorCode::Internal, format!("{} was lost: {error}", program.name()));
            Err(MediaError::of_disk(&error, lost))
        }
    }
}

/// Diagnoses a program that did not end well.
pub(super) fn diagnose(program: Program, status: ExitStatus, stderr: &str) -> Diagnosis {
    let is_damage = is_damage(stderr);
    let has = |message: &str| stderr.contains(message) && !(is_damage && message == NO_MEMORY);
    if let Some((_, code, meaning)) = MESSAGES.iter().find(|(message, ..)| has(message)) {
        return Diagnosis { code: *code, detail: (*meaning).to_owned() };
    }
    let over = |detail: &str| Diagnosis { code: ErrorCode::EncodingOverLimit, detail: detail.to_owned() };
    match signal(status) {
        Some(SIGXFSZ) => over("an output file got too large"),
        Some(SIGXCPU) => over("it needs more processor time than it may have"),
        Some(SIGKILL) => over("it was killed, most likely because memory ran out"),
        Some(other) => failed(format!("{} died of signal {other}", program.name())),
        None => failed(format!("{} ended with an error{}", program.name(), last_message(stderr))),
    }
}

fn failed(detail: String) -> Diagnosis {
    Diagnosis { code: ErrorCode::EncodingFailed, detail }
}

/// The signal that ended it; bubblewrap exits with 128 + the signal of the child inside.
fn signal(status: ExitStatus) -> Option<i32> {
    status.signal().or_else(|| status.code().filter(|code| (129..=159).contains(code)).map(|code| code - 128))
}

/// The last line of a log that means something to somebody who does not have it: without addresses and paths.
fn last_message(stderr: &str) -> String {
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
    #[case(128 + SIGXFSZ, "", ErrorCode::EncodingOverLimit)]
    #[case(128 + 11, "", ErrorCode::EncodingFailed)]
    #[case(1, "Unrecognized option 'foo'.", ErrorCode::EncodingFailed)]
    fn who_is_to_blame(#[case] code: i32, #[case] stderr: &str, #[case] blamed: ErrorCode) {
        assert_eq!(diagnose(Program::Ffmpeg, exit(code), stderr).code, blamed);
    }

    #[test]
    fn audio_that_changes() {
        let stderr = "[aac @ 0x5633761de7c0] Queue input is backward in time\n[aost#0:1/aac @ 0x56337618e540] \
                      Non-monotonic DTS; previous: 97280, current: 240; changing to 97281.\n";
        assert_eq!(
            timestamps_begin_again(stderr).map(|diagnosis| diagnosis.code),
            Some(ErrorCode::InvalidInput)
        );
        assert_eq!(
            timestamps_begin_again(
                "[in#0/mpegts @ 0x563376052e00] Packet corrupt (stream = 0, dts = 304490).\n"
            ),
            None
        );
    }

    #[test]
    fn the_sentence_has_no_paths() {
        let stderr =
            "[libx264 @ 0x55] broken ffmpeg build\nError opening output file /data/work/1/out/main.mp4.\n";
        let diagnosis = diagnose(Program::Ffmpeg, exit(1), stderr);
        assert_eq!(diagnosis.detail, "ffmpeg ended with an error: broken ffmpeg build");
    }
}
