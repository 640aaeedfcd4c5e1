//! Where a video can be cut into segments, by the times of its packets.

/// A packet of the video; all times are seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct VideoFrame {
    pub(super) pts: f64,
    pub(super) dts: f64,
    pub(super) duration: f64,
    pub(super) is_key: bool,
}

/// The GOPs (groups of pictures) of a video; all times are seconds.
#[derive(Default)]
pub(super) struct GopIndex {
    /// The presentation time of each key frame.
    pub(super) key_frames: Vec<f64>,
    /// How long before its presentation time the first one is decoded.
    pub(super) pts_dts_offset: f64,
    /// When the last frame has been shown.
    end: f64,
    /// When the last frame in decoding order has been decoded.
    decoding_end: f64,
    /// By how much times may be rounded.
    tolerance: f64,
    /// A key frame of an open GOP: leading pictures, which are decoded after it, are shown before it.
    open_gop: Option<f64>,
    /// A key frame with another offset of its presentation from its decoding time than the first one.
    pts_dts_offset_changed: Option<f64>,
}

impl GopIndex {
    pub(super) fn add(&mut self, frame: VideoFrame, time_base: f64) {
        let VideoFrame { pts, dts, duration, is_key } = frame;
        self.end = self.end.max(pts + duration);
        self.decoding_end = dts + duration;
        self.tolerance = 2.5 * time_base;
        if is_key {
            let offset = pts - dts;
            if self.key_frames.is_empty() {
                self.pts_dts_offset = offset;
            } else if (offset - self.pts_dts_offset).abs() > self.tolerance {
                self.pts_dts_offset_changed.get_or_insert(pts);
            }
            self.key_frames.push(pts);
        } else if let Some(key_frame) = self.key_frames.last()
            && pts < key_frame - time_base / 2.0
        {
            self.open_gop.get_or_insert(*key_frame);
        }
    }

    /// Why segments cannot begin at its key frames, if so. Only those in `random_access` can be decoded
    /// without any other frame, where that is given. The packager cuts at the first key frame after each
    /// multiple of `segment_secs`, and tells the length of segments by decoding times.
    pub(super) fn problem(
        &self,
        random_access: Option<&[f64]>,
        segment_secs: f64,
        max_secs: f64,
    ) -> Option<String> {
        let is_random_access = |key_frame: &f64| {
            random_access.is_none_or(|times| times.binary_search_by(|time| time.total_cmp(key_frame)).is_ok())
        };
        // the packager takes it for a file without the edit list that says that it begins at 0
        if let Some(first) = self.key_frames.first()
            && *first > 0.0
            && *first == self.pts_dts_offset
        {
            return Some(format!("its video begins {first:.2} s late"));
        }
        if let Some(at) = self.open_gop {
            return Some(format!("the GOP of its key frame at {at:.2} s is open"));
        }
        if let Some(at) = self.key_frames.iter().find(|key_frame| !is_random_access(key_frame)) {
            return Some(format!("its key frame at {at:.2} s is no random access point (IDR)"));
        }
        let end_offset_changed = (self.end - self.decoding_end - self.pts_dts_offset).abs() > self.tolerance;
        let end = if end_offset_changed { Some(self.end) } else { None };
        if let Some(at) = self.pts_dts_offset_changed.or(end) {
            return Some(format!("its frames come at uneven times before {at:.2} s"));
        }
        let segment = |time: &f64| (time / segment_secs).floor();
        let gops = self.key_frames.chunk_by(|a, b| segment(a) == segment(b));
        let cuts = gops.filter_map(|key_frames| key_frames.first().copied());
        let cuts: Vec<f64> = cuts.chain([self.end]).collect();
        let longest = cuts.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        if longest <= max_secs {
            return None;
        }
        Some(format!(
            "a segment from key frame to key frame would last {longest:.1} s, more than {max_secs:.0} s"
        ))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn frame(pts: f64, dts: f64, duration: f64, is_key: bool) -> VideoFrame {
        VideoFrame { pts, dts, duration, is_key }
    }

    #[test]
    fn decoding_that_begins_at_zero() {
        let mut gops = GopIndex::default();
        gops.add(frame(0.08, 0.0, 0.04, true), 0.001);
        gops.add(frame(0.12, 0.04, 0.04, false), 0.001);
        assert_eq!(gops.problem(None, 1.0, 20.0).as_deref(), Some("its video begins 0.08 s late"));
    }

    /// Frames of 0.5 s, in decoding order: their presentation times, and whether they are key frames.
    fn gops(frames: &[(f64, bool)]) -> GopIndex {
        let mut gops = GopIndex::default();
        for (number, (pts, is_key)) in frames.iter().enumerate() {
            gops.add(frame(*pts, number as f64 * 0.5 - 0.5, 0.5, *is_key), 0.001);
        }
        gops
    }

    const CLOSED: [(f64, bool); 6] =
        [(0.0, true), (1.0, false), (0.5, false), (1.5, true), (2.5, false), (2.0, false)];

    #[rstest]
    #[case::closed(&CLOSED, None, 20.0, None)]
    #[case::idr(&CLOSED, Some(&[0.0, 1.5][..]), 20.0, None)]
    #[case::no_idr(&CLOSED, Some(&[0.0][..]), 20.0, Some("its key frame at 1.50 s is no random access point (IDR)"))]
    #[case::open(&[(0.0, true), (0.5, false), (1.5, true), (1.0, false)], None, 20.0,
        Some("the GOP of its key frame at 1.50 s is open"))]
    #[case::uneven(&[(0.0, true), (0.7, false), (1.5, true)], None, 20.0, Some("its frames come at uneven times before 1.50 s"))]
    #[case::uneven_end(&[(0.0, true), (0.75, false)], None, 20.0, Some("its frames come at uneven times before 1.25 s"))]
    #[case::far(&CLOSED, None, 1.2, Some("a segment from key frame to key frame would last 1.5 s, more than 1 s"))]
    fn where_it_can_be_cut(
        #[case] frames: &[(f64, bool)],
        #[case] random_access: Option<&[f64]>,
        #[case] max_secs: f64,
        #[case] problem: Option<&str>,
    ) {
        assert_eq!(gops(frames).problem(random_access, 1.0, max_secs).as_deref(), problem);
    }
}
