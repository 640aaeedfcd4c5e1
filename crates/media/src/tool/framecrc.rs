//! FFmpeg's `framecrc` muxer: `#tb 0: 1/90000` for each stream, then one line for each packet, `stream, dts,
//! pts, duration, size, crc`, with `F=0x…` where its flags are not those of a plain key frame.

/// A line that is not a comment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FramecrcLine {
    /// Seconds of one unit of a stream's time stamps.
    TimeBase {
        /// The output stream.
        stream: usize,
        /// Seconds.
        seconds: f64,
    },
    /// A packet.
    Packet(FramecrcPacket),
}

/// A packet, in units of its stream's time base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FramecrcPacket {
    /// The output stream.
    pub stream: usize,
    /// When it is decoded; none when that is not known.
    pub dts: Option<i64>,
    /// When it is shown; none when that is not known.
    pub pts: Option<i64>,
    /// How long it is shown.
    pub duration: i64,
    /// Whether it is a key frame.
    pub is_key: bool,
    /// Whether it is decoded and not shown, because an edit list leaves it out (`AV_PKT_FLAG_DISCARD`).
    pub is_hidden: bool,
}

impl FramecrcLine {
    /// Reads a line; none for comments and for what is no line of this muxer.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        if let Some(rest) = line.strip_prefix("#tb ") {
            let (stream, time_base) = rest.split_once(':')?;
            let (num, den) = time_base.trim().split_once('/')?;
            let seconds = num.parse::<f64>().ok()? / den.parse::<f64>().ok()?;
            return Some(Self::TimeBase { stream: stream.parse().ok()?, seconds });
        }
        let mut fields = line.split(',').map(str::trim);
        let stream = fields.next()?.parse().ok()?;
        let mut number = || fields.next().and_then(|field| field.parse::<i64>().ok());
        let (dts, pts, duration) = (number()?, number()?, number().unwrap_or_default());
        let flags = fields.find_map(|field| u32::from_str_radix(field.strip_prefix("F=0x")?, 16).ok());
        // AV_NOPTS_VALUE is the smallest number
        let known = |time: i64| if time == i64::MIN { None } else { Some(time) };
        let is_key = flags.is_none_or(|flags| flags & 1 == 1);
        let is_hidden = flags.is_some_and(|flags| flags & 4 != 0);
        let (dts, pts) = (known(dts), known(pts));
        Some(Self::Packet(FramecrcPacket { stream, dts, pts, duration, is_key, is_hidden }))
    }

    /// The output stream of a packet.
    pub(crate) fn packet_stream(line: &str) -> Option<usize> {
        match Self::parse(line)? {
            Self::Packet(packet) => Some(packet.stream),
            Self::TimeBase { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn packet(
        stream: usize,
        dts: i64,
        pts: Option<i64>,
        duration: i64,
        (is_key, is_hidden): (bool, bool),
    ) -> Option<FramecrcLine> {
        let dts = Some(dts);
        Some(FramecrcLine::Packet(FramecrcPacket { stream, dts, pts, duration, is_key, is_hidden }))
    }

    #[rstest]
    #[case("#software: Lavf62", None)]
    #[case("#tb 1: 1/50\n", Some(FramecrcLine::TimeBase { stream: 1, seconds: 0.02 }))]
    #[case("#dimensions 0: 256x144", None)]
    #[case("0,        -80,          0,       40,     3730, 0xe8a3cecb\n", packet(0, -80, Some(0), 40, (true, false)))]
    #[case("1, -1024, -1024, 1024, 256, 0xea44782a, F=0x5, S=1, Skip Samples, 10, 0x1", packet(1, -1024, Some(-1024), 1024, (true, true)))]
    #[case("0, -40, 160, 40, 1462, 0x2608d22f, F=0x0", packet(0, -40, Some(160), 40, (false, false)))]
    #[case("1, 5, -9223372036854775808, 1, 1, 0x0", packet(1, 5, None, 1, (true, false)))]
    fn lines(#[case] line: &str, #[case] read: Option<FramecrcLine>) {
        assert_eq!(FramecrcLine::parse(line), read);
    }
}
