//! FFmpeg's `-progress pipe:1`: lines of `key=value`, in blocks that end with `progress`.

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgressLine {
    /// Frames that have left the first video encoder.
    Frame(u64),
    /// Microseconds that are written; FFmpeg's `N/A`, before the first packet, is `Other`.
    OutTime(i64),
    /// Bytes that are written, where the muxer can tell.
    Size(u64),
    /// The end of a block.
    EndOfBlock,
    /// Anything else.
    Other,
}

impl ProgressLine {
    /// Reads a line, without its line break.
    pub(crate) fn parse(line: &str) -> Self {
        let Some((key, value)) = line.trim_end().split_once('=') else { return Self::Other };
        let value = value.trim_start();
        let number = match key {
            "frame" => value.parse().ok().map(Self::Frame),
            "out_time_us" => value.parse().ok().map(Self::OutTime),
            "total_size" => value.parse().ok().map(Self::Size),
            "progress" => Some(Self::EndOfBlock),
            _ => None,
        };
        number.unwrap_or(Self::Other)
    }
}

/// How far FFmpeg has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Frames that have left the first video encoder.
    pub frame: u64,
    /// Microseconds that are written.
    pub out_time: i64,
    /// Bytes that are written.
    pub size: u64,
}

impl Progress {
    /// Takes in a line; true at the end of a block.
    pub(crate) fn read(&mut self, line: &str) -> bool {
        match ProgressLine::parse(line) {
            ProgressLine::Frame(frame) => self.frame = frame,
            ProgressLine::OutTime(micros) => self.out_time = micros,
            ProgressLine::Size(bytes) => self.size = bytes,
            ProgressLine::EndOfBlock => return true,
            ProgressLine::Other => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("frame=187", ProgressLine::Frame(187))]
    #[case("fps=62.24", ProgressLine::Other)]
    #[case("stream_0_0_q=29.0", ProgressLine::Other)]
    #[case("bitrate= 543.2kbits/s", ProgressLine::Other)]
    #[case("total_size=262192", ProgressLine::Size(262_192))]
    #[case("total_size=N/A", ProgressLine::Other)]
    #[case("out_time_us=3861333", ProgressLine::OutTime(3_861_333))]
    #[case("out_time_us=-21333", ProgressLine::OutTime(-21_333))]
    #[case("out_time_us=N/A", ProgressLine::Other)]
    #[case("out_time=00:00:03.861333", ProgressLine::Other)]
    #[case("progress=continue", ProgressLine::EndOfBlock)]
    #[case("progress=end", ProgressLine::EndOfBlock)]
    #[case("Press [q] to stop", ProgressLine::Other)]
    fn lines(#[case] line: &str, #[case] read: ProgressLine) {
        assert_eq!(ProgressLine::parse(line), read);
    }
}
