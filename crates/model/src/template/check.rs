//! What the fields of a template say together, and what can be done at all.

use std::{fmt, num::NonZeroU32};

use super::{Format, SegmentType, Template, TransMode};
use crate::{AudioMode, FieldError, VideoMode, field::check_range};

impl Template {
    /// Checks what the fields say together, and that all of it can be done.
    ///
    /// # Errors
    /// The first field that is wrong, with what would be accepted.
    pub fn check(&self) -> Result<(), FieldError> {
        self.check_ranges()?;
        self.check_support()?;
        self.check_copied()?;
        self.check_combinations()
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
        if let Some(wish) = &self.thumbnail {
            let set = |value: u32| Some(value).filter(|value| *value > 0);
            check_range("thumbnail.number", set(wish.number), 1, 10_000)?;
            check_range("thumbnail.width", set(wish.width), 16, 4096)?;
            check_range("thumbnail.height", set(wish.height), 16, 4096)?;
        }
        match self.audio_channels {
            None | Some(1 | 2 | 6) => Ok(()),
            Some(other) => {
                Err(FieldError::new("audio_channels", format!("{other} is not supported; give 1, 2 or 6")))
            }
        }
    }

    fn check_support(&self) -> Result<(), FieldError> {
        let not_yet = |field: &str, value: &dyn fmt::Display, accepted: &str| {
            Err(FieldError::new(field, format!("`{value}` is not supported yet; {accepted}")))
        };
        if let Some(other) = self.trans_mode.filter(|mode| *mode != TransMode::Standard) {
            return not_yet("trans_mode", &other, "give `standard`");
        }
        match self.encryption {
            Some(_) => Err(FieldError::new("encryption", "is not supported yet; leave it unset")),
            None => Ok(()),
        }
    }

    /// What is copied is not encoded: nothing is said of how it should be, but for what the older SDK
    /// always says.
    fn check_copied(&self) -> Result<(), FieldError> {
        let always = (const { NonZeroU32::new(25).expect("not 0") }, 5.0);
        let video = [
            ("hdr", self.hdr.is_some()),
            ("resolution", self.resolution.is_some()),
            ("framerate", self.framerate.is_some_and(|rate| rate != always.0)),
            ("quality", self.quality.is_some_and(|quality| quality != always.1)),
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
        let first =
            |fields: &[(&'static str, bool)]| fields.iter().find(|(_, set)| *set).map(|(name, _)| *name);
        let leave = |field: &str, codec: &str| {
            Err(FieldError::new(
                field,
                format!("cannot be had with {codec}; leave it unset, or give a codec"),
            ))
        };
        if let Some(field) = first(&video).filter(|_| self.video_mode() == VideoMode::Copy) {
            return leave(field, "vcodec `copy`");
        }
        if self.audio_mode() == AudioMode::Copy {
            if let Some(field) = first(&audio) {
                return leave(field, "acodec `copy`");
            }
            let mut renditions = self.adaptive_streams.iter().flatten();
            if let Some(index) = renditions.position(|rendition| rendition.audio_bitrate.is_some()) {
                return leave(&format!("adaptive_streams[{index}].audio_bitrate"), "acodec `copy`");
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
                return wrong("thumbnail", "cannot be taken beside vcodec `none`".to_owned());
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
        if self.adaptive_streams.as_ref().is_some_and(|streams| streams.len() > 10) {
            return wrong("adaptive_streams", "has more than 10 renditions".to_owned());
        }
        if (self.format == Format::Dash || self.also.is_some()) && self.seg_type == Some(SegmentType::Ts) {
            return wrong("seg_type", "`ts` cannot be used with dash; give `fmp4`".to_owned());
        }
        crate::container::check(self)
    }
}
