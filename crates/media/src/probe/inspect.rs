//! What the bytes of a file say before a tool sees it: its size, whether it is a playlist or text, and the
//! index of an MP4, which vouches for durations unless it contradicts itself.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use model::ErrorCode;

use super::described::{FfprobeOutput, Stream};
use crate::{
    error::MediaError,
    format::{
        mp4::index::{self, DurationMismatch, FrontIndex, MAX_MOOV_BYTES, Mp4Index},
        sniff,
    },
    input::GrowingInput,
    settings::InputLimits,
};

/// What was read of a file without a tool.
pub(super) struct InspectedFile {
    /// Bytes of the whole file.
    pub size: u64,
    /// The index; none of files that are not MP4 or QuickTime.
    pub index: Option<Mp4Index>,
}

impl InspectedFile {
    /// Whether an index in the file vouches for the duration of each of its streams. Fragments may end
    /// anywhere.
    pub(super) fn vouches_for(&self, described: &FfprobeOutput) -> bool {
        let is_media =
            |stream: &&Stream| matches!(stream.kind.as_str(), "video" | "audio") && !stream.is_attached_image;
        match &self.index {
            Some(index) if index.has_moov && !index.is_fragmented => {
                described.streams.iter().filter(is_media).all(|stream| stream.duration.is_some())
            }
            _ => false,
        }
    }
}

/// Reads what is needed of a whole file.
pub(super) async fn inspect_file(input: &Path, limits: &InputLimits) -> Result<InspectedFile, MediaError> {
    let (path, max_bytes) = (input.to_owned(), limits.bytes);
    tokio::task::spawn_blocking(move || read_file(&path, max_bytes))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| {
            MediaError::new(ErrorCode::Internal, format!("the input could not be read: {error}"))
        })?
}

fn read_file(path: &Path, max_bytes: u64) -> io::Result<Result<InspectedFile, MediaError>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > max_bytes {
        let detail = format!("it has {size} bytes; at most {max_bytes} are allowed");
        return Ok(Err(MediaError::new(ErrorCode::InputOverLimit, detail)));
    }
    let mut head = Vec::new();
    (&mut file).take(sniff::HEAD_BYTES as u64).read_to_end(&mut head)?;
    if let Err(refused) = sniff::check_head(&head) {
        return Ok(Err(refused));
    }
    let index = index::read(&mut file)?;
    if let Some(index) = &index
        && let Err(refused) = check_integrity(index, size)
    {
        return Ok(Err(refused));
    }
    Ok(Ok(InspectedFile { size, index }))
}

/// Reads the index of a growing file as soon as it is there; none where the file has to be whole.
pub(super) async fn inspect_front(
    input: &GrowingInput,
    limits: &InputLimits,
) -> Result<Option<InspectedFile>, MediaError> {
    let Some(size) = input.total().await.filter(|size| *size <= limits.bytes) else { return Ok(None) };
    let mut needed = 0;
    while input.has(needed).await {
        match read_front(input, size).await {
            Ok(FrontIndex::Complete(index)) => {
                check_integrity(&index, size)?;
                return Ok(Some(InspectedFile { size, index: Some(index) }));
            }
            // without a need for more bytes, reading again would find the same
            Ok(FrontIndex::NeedBytes(bytes)) if bytes > needed => needed = bytes,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

async fn read_front(input: &GrowingInput, size: u64) -> io::Result<FrontIndex> {
    let path = input.path().to_owned();
    tokio::task::spawn_blocking(move || index::read_front(&mut File::open(path)?, size))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Refuses what the index says is encrypted, damaged or cut off.
pub(super) fn check_integrity(index: &Mp4Index, size: u64) -> Result<(), MediaError> {
    let invalid = |detail: String| Err(MediaError::new(ErrorCode::InvalidInput, detail));
    if let Some(bytes) = index.oversized_moov {
        return invalid(format!("its index (`moov`) has {bytes} bytes; at most {MAX_MOOV_BYTES} are read"));
    }
    if let Some(scheme) = &index.encryption_scheme {
        return invalid(format!("it is encrypted ({scheme})"));
    }
    if let Some(timescale) = index.timescale_overflow {
        return invalid(format!("its index is damaged: a track has the timescale {timescale}"));
    }
    // the sample tables of a fragmented file say nothing of its samples
    if index.is_fragmented {
        return Ok(());
    }
    if index.last_indexed_byte > size {
        return invalid(format!(
            "it is truncated: its index names data up to byte {}, and the file has {size} bytes",
            index.last_indexed_byte
        ));
    }
    if let Some(DurationMismatch { by_header, by_samples }) = index.duration_mismatch {
        return invalid(format!(
            "its index contradicts itself: the duration of a track is {:.1} s by its header, and {:.1} s by its samples",
            by_header as f64 / 1e3,
            by_samples as f64 / 1e3
        ));
    }
    Ok(())
}
