//! The checks of a template: ranges, features that are not supported yet, and combinations of fields.

use std::num::NonZeroU32;

use super::{Format, SegmentType, Template, TransMode};
use crate::{
    AudioMode, FieldError, VideoMode,
    field::{check_range, check_text},
    limits::{MAX_DESCRIPTION_BYTES, MAX_RENDITIONS},
};

/// The `framerate` that the older SDK sends with every template.
const SDK_FRAMERATE: u32 = 25;

/// The `quality` that the older SDK sends with every template.
const SDK_QUALITY: f64 = 5.0;

impl Template {
    /// Checks ranges and combinations of fields, and that everything in it is supported.
    ///
    /// # Errors
    /// The first field that is wrong, with what would be accepted.
    pub fn check(&self) -> Result<(), FieldError> {
        self.check_sizes()?;
        self.check_ranges()?;
        self.check_support()?;
        self.check_copied()?;
        self.check_combinations()
    }

    /// First of all: what the other checks cost grows with it.
    fn check_sizes(&self) -> Result<(), FieldError> {
        if self.adaptive_streams.as_ref().is_some_and(|streams| streams.len() > MAX_RENDITIONS) {
            let problem = format!("has more than {MAX_RENDITIONS} renditions");
            return Err(FieldError::new("adaptive_streams", problem));
        }
        check_text("description", self.description.as_deref().unwrap_or_default(), MAX_DESCRIPTION_BYTES)
    }

    fn check_ranges(&self) -> Result<(), FieldError> {
        check_range("quality", self.quality, 1.0, 10.0)?;
        check_range("framerate", self.framerate.map(NonZeroU32::get), 1, 240)?;
        check_range("video_bitrate", self.video_bitrate, 10, 200_000)?;
        check_range("audio_bitrate", self.audio_bitrate, 8, 640)?;
        check_range("gop_size", self.gop_size, 1, 1200)?;
        check_range("gop_seconds", self.gop_seconds, 1, 60)?;
        check_range("seg_time", self.seg_time, 1, 60)?;
        for (index, rendition) in self.adaptive_streams.iter().flatten().enumerate() {
            let field = |name: &str| format!("adaptive_streams[{index}].{name}");
            check_range(&field("quality"), rendition.quality, 1.0, 10.0)?;
            check_range(&field("framerate"), rendition.framerate.map(NonZeroU32::get), 1, 240)?;
            check_range(&field("video_bitrate"), rendition.video_bitrate, 10, 200_000)?;
            check_range(&field("audio_bitrate"), rendition.audio_bitrate, 8, 640)?;
        }
        if let Some(thumbnail) = &self.thumbnail {
            let unless_zero = |value: u32| if value == 0 { None } else { Some(value) };
            check_range("thumbnail.number", unless_zero(thumbnail.number), 1, 10_000)?;
            check_range("thumbnail.width", unless_zero(thumbnail.width), 16, 4096)?;
            check_range("thumbnail.height", unless_zero(thumbnail.height), 16, 4096)?;
        }
        match self.audio_channels {
            None | Some(1 | 2 | 6) => Ok(()),
            Some(other) => {
                Err(FieldError::new("audio_channels", format!("{other} is not supported; give 1, 2 or 6")))
            }
        }
    }

    fn check_support(&self) -> Result<(), FieldError> {
        match self.trans_mode {
            None | Some(TransMode::Standard) => {}
            Some(mode @ (TransMode::Fast | TransMode::Intelligent)) => {
                let problem = format!("`{mode}` is not supported yet; give `standard`");
                return Err(FieldError::new("trans_mode", problem));
            }
        }
        if self.encryption.is_some() {
            return Err(FieldError::new("encryption", "is not supported yet; leave it unset"));
        }
        Ok(())
    }

    /// Fields that say how to encode are refused for a stream that is copied, except for the values that
    /// the older SDK always sends.
    fn check_copied(&self) -> Result<(), FieldError> {
        let video = [
            ("hdr", self.hdr.is_some()),
            ("resolution", self.resolution.is_some()),
            ("framerate", self.framerate.is_some_and(|rate| rate.get() != SDK_FRAMERATE)),
            ("quality", self.quality.is_some_and(|quality| quality != SDK_QUALITY)),
            ("video_bitrate", self.video_bitrate.is_some()),
            ("gop_size", self.gop_size.is_some()),
            ("gop_seconds", self.gop_seconds.is_some()),
            ("logo_path", self.logo_path.is_some()),
            ("adaptive_streams", self.adaptive_streams.is_some()),
            ("thumbnail", self.thumbnail.is_some()),
        ];
        let audio = [
            ("audio_bitrate", self.audio_bitrate.is_some()),
            ("audio_sample_rate", self.audio_sample_rate.is_some()),
            ("audio_channels", self.audio_channels.is_some()),
            ("loudness", self.loudness.is_some()),
        ];
        let first_set = |fields: &[(&'static str, bool)]| {
            fields.iter().find(|(_, is_set)| *is_set).map(|(name, _)| *name)
        };
        let conflict = |field: &str, codec: &str| {
            Err(FieldError::new(
                field,
                format!("cannot be had with {codec}; leave it unset, or give a codec"),
            ))
        };
        if self.video_mode() == VideoMode::Copy
            && let Some(field) = first_set(&video)
        {
            return conflict(field, "vcodec `copy`");
        }
        if self.audio_mode() == AudioMode::Copy {
            if let Some(field) = first_set(&audio) {
                return conflict(field, "acodec `copy`");
            }
            let mut renditions = self.adaptive_streams.iter().flatten();
            if let Some(index) = renditions.position(|rendition| rendition.audio_bitrate.is_some()) {
                return conflict(&format!("adaptive_streams[{index}].audio_bitrate"), "acodec `copy`");
            }
        }
        Ok(())
    }

    fn check_combinations(&self) -> Result<(), FieldError> {
        let wrong = |field: &str, problem: String| Err(FieldError::new(field, problem));
        if self.video_mode() == VideoMode::None {
            if self.audio_mode() == AudioMode::None {
                return wrong("acodec", "`none` beside vcodec `none` leaves nothing to make".to_owned());
            }
            if self.adaptive_streams.is_some() {
                return wrong("adaptive_streams", "has renditions beside vcodec `none`".to_owned());
            }
            if self.thumbnail.is_some() {
                return wrong("thumbnail", "cannot be made beside vcodec `none`".to_owned());
            }
            if self.logo_path.is_some() {
                return wrong("logo_path", "has nothing to be laid over beside vcodec `none`".to_owned());
            }
        }
        if self.loudness.is_some() && self.audio_mode() == AudioMode::None {
            return wrong("loudness", "cannot be set beside acodec `none`".to_owned());
        }
        for (field, set) in
            [("logo_size", self.logo_size.is_some()), ("logo_offset", self.logo_offset.is_some())]
        {
            if set && self.logo_path.is_none() {
                return wrong(field, "is set without a `logo_path`".to_owned());
            }
        }
        if self.adaptive_streams.is_some() && !self.format.is_segmented() {
            return wrong(
                "adaptive_streams",
                format!("cannot be put into {}; give format `hls` or `dash`", self.format),
            );
        }
        for (field, mode) in self.video_modes() {
            let in_ladder = self.adaptive_streams.is_some();
            if in_ladder && matches!(mode, VideoMode::Copy | VideoMode::None) {
                return wrong(&field, format!("`{mode}` cannot be one of the renditions; give a codec"));
            }
        }
        match (self.format, self.also) {
            (_, None) | (Format::Hls, Some(Format::Dash)) => {}
            (format, Some(also)) => {
                let problem =
                    format!("`{also}` cannot be had beside {format}; give `dash` with format `hls`");
                return wrong("also", problem);
            }
        }
        if (self.format == Format::Dash || self.also.is_some()) && self.seg_type == Some(SegmentType::Ts) {
            return wrong("seg_type", "`ts` cannot be used with dash; give `fmp4`".to_owned());
        }
        crate::container::check(self)
    }
}
