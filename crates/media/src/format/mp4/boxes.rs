//! The boxes of ISO base media files (ISO/IEC 14496-12, 4.2): headers in a file, boxes within a body that
//! is in memory, and the big-endian numbers in them. No size is believed beyond the bytes that are there.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes of a box header with a 64-bit size (`largesize`), the longest there is.
pub(super) const MAX_HEADER_BYTES: u64 = 16;

/// The header of a box in a file.
#[derive(Clone, Copy)]
pub(crate) struct BoxHeader {
    /// Four printable characters, such as `moov`.
    pub kind: [u8; 4],
    /// Offset in the file of the first byte of the header.
    pub start: u64,
    /// Offset in the file of the first byte after the header.
    pub body: u64,
    /// Offset of the first byte after the box; may be beyond the end of the file.
    pub end: u64,
}

impl BoxHeader {
    /// Reads the header at `offset` in a file of `file_size` bytes; none where no box can begin.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn read(
        file: &mut (impl Read + Seek),
        offset: u64,
        file_size: u64,
    ) -> io::Result<Option<Self>> {
        if offset.checked_add(8).is_none_or(|body| body > file_size) {
            return Ok(None);
        }
        let mut bytes = [0; MAX_HEADER_BYTES as usize];
        file.seek(SeekFrom::Start(offset))?;
        let available = usize::try_from((file_size - offset).min(MAX_HEADER_BYTES)).unwrap_or(8);
        file.read_exact(&mut bytes[..available])?;
        let kind = [bytes[4], bytes[5], bytes[6], bytes[7]];
        let (body, size) = match u64::from(read_u32(&bytes, 0).unwrap_or(0)) {
            // zeros are padding at the end of a file, not a box
            0 if kind == [0; 4] => return Ok(None),
            // size 0: the box goes on to the end of the file
            0 => (offset + 8, file_size - offset),
            // size 1: `largesize` follows
            1 => (offset + 16, read_u64(&bytes, 8).unwrap_or(0)),
            size => (offset + 8, size),
        };
        let end = offset.saturating_add(size);
        // QuickTime's own boxes may begin with the copyright sign of Mac OS Roman
        let is_printable = kind.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte == 0xa9);
        if end < body || !is_printable {
            return Ok(None);
        }
        Ok(Some(Self { kind, start: offset, body, end }))
    }

    /// Bytes of the box without its header.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.end - self.body
    }

    /// The body, all of which has to be in the file.
    ///
    /// # Errors
    /// When the file cannot be read, or ends before the box.
    pub(crate) fn read_body(&self, file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
        let mut body = vec![0; usize::try_from(self.body_bytes()).unwrap_or(0)];
        file.seek(SeekFrom::Start(self.body))?;
        file.read_exact(&mut body)?;
        Ok(body)
    }
}

/// The body of the first box of this kind among the children of a body.
pub(crate) fn child<'a>(body: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children(body).find(|(found, _)| *found == kind).map(|(_, body)| body)
}

/// Kind and body of each child; ends at the first one that is not whole. Children with a 64-bit size, which
/// only media data needs, are not read.
pub(crate) fn children(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let size = match read_u32(rest, 0)? as usize {
            0 => rest.len(),
            size => size,
        };
        let kind = rest.get(4..8)?;
        let body = rest.get(8..size)?;
        rest = &rest[size..];
        Some((kind, body))
    })
}

/// The number at this offset; none beyond the end.
pub(crate) fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// The number at this offset; none beyond the end.
pub(crate) fn read_u64(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    /// A box with its header.
    pub(crate) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).expect("small");
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    /// Big-endian numbers, one after the other.
    pub(crate) fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }
}
