//! The end of a child's standard error.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes that are kept.
const TAIL_BYTES: usize = 64 << 10;

/// Reads to the end, keeping the last 64 KiB.
pub(crate) async fn tail(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept = VecDeque::with_capacity(4096);
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        kept.extend(&buffer[..count]);
        kept.drain(..kept.len().saturating_sub(TAIL_BYTES));
    }
    String::from_utf8_lossy(kept.make_contiguous()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_end_is_kept() {
        let long = [vec![b'a'; 100_000], b"the end".to_vec()].concat();
        let kept = tail(long.as_slice()).await;
        assert_eq!(kept.len(), TAIL_BYTES);
        assert!(kept.ends_with("the end"));
    }
}
