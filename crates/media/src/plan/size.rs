//! Sizes: the source's aspect is kept, sides are even, nothing is enlarged.

use model::{Box2d, Resolution, VideoCodec};

use crate::codecs;

/// What is within this of the source counts as the source's own size: 718 lines are 720p.
const SLACK: f64 = 1.02;

/// By how much a source of this size is scaled for a wish; over 1 when it would be enlarged.
pub(super) fn scale(wish: Resolution, (width, height): (f64, f64)) -> f64 {
    match wish {
        Resolution::Fit(frame) => {
            let turned = height > width && frame.width > frame.height;
            let (across, down) =
                if turned { (frame.height, frame.width) } else { (frame.width, frame.height) };
            (f64::from(across) / width).min(f64::from(down) / height)
        }
        Resolution::Width(across) => f64::from(across) / width,
        Resolution::Height(down) => f64::from(down) / height,
        Resolution::ShortSide(side) => f64::from(side) / width.min(height),
    }
}

/// Whether a scale enlarges.
pub(super) fn enlarges(scale: f64) -> bool {
    scale > SLACK
}

/// The even size of a source scaled so; never enlarged, and never more than the codec can hold.
pub(super) fn scaled((width, height): (f64, f64), scale: f64, codec: VideoCodec) -> Box2d {
    let mut scale = scale.min(1.0);
    loop {
        let side = |side: f64| even(side * scale).max(codecs::video(codec).min_side());
        let size = Box2d { width: side(width), height: side(height) };
        if codecs::video(codec).allows_size(size.width, size.height) {
            return size;
        }
        scale *= 0.98;
    }
}

/// The nearest even number, the lower of two; at least 2.
fn even(side: f64) -> u32 {
    let half = (side / 2.0 - 0.5).ceil();
    2 * (half.clamp(1.0, 1e6) as u32)
}
