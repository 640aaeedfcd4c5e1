//! Sizes: the source's aspect is kept, sides are even, nothing is enlarged.

use model::{Box2d, Resolution, VideoCodec};

use crate::codecs;

/// A scale up to this counts as the source's own size: 718 lines are 720p.
const MAX_SAME_SIZE_SCALE: f64 = 1.02;

/// By how much a source of this size is scaled for a resolution; over 1 when it would be enlarged.
pub(super) fn scale(resolution: Resolution, (width, height): (f64, f64)) -> f64 {
    match resolution {
        Resolution::Fit(frame) => {
            // a box for landscape holds portrait video upright
            let is_turned = height > width && frame.width > frame.height;
            let (across, down) =
                if is_turned { (frame.height, frame.width) } else { (frame.width, frame.height) };
            (f64::from(across) / width).min(f64::from(down) / height)
        }
        Resolution::Width(across) => f64::from(across) / width,
        Resolution::Height(down) => f64::from(down) / height,
        Resolution::ShortSide(side) => f64::from(side) / width.min(height),
    }
}

/// Whether a scale enlarges.
pub(super) fn enlarges(scale: f64) -> bool {
    scale > MAX_SAME_SIZE_SCALE
}

/// The even size of a source scaled so; never enlarged, and never more than the codec allows.
pub(super) fn scaled((width, height): (f64, f64), scale: f64, codec: VideoCodec) -> Box2d {
    let spec = codecs::video(codec);
    let mut scale = scale.min(1.0);
    loop {
        let side = |side: f64| nearest_even(side * scale).max(spec.min_side());
        let size = Box2d { width: side(width), height: side(height) };
        if spec.allows_size(size.width, size.height) {
            return size;
        }
        scale *= 0.98;
    }
}

/// The nearest even number, the lower of two; at least 2.
fn nearest_even(side: f64) -> u32 {
    let half = (side / 2.0 - 0.5).ceil();
    2 * (half.clamp(1.0, 1e6) as u32)
}
