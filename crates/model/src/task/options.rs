//! What a task may ask for beyond its template.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{FieldError, Format, Template, field::check_range};

/// 1 to 9; of the tasks of one tenant, higher goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// The lowest.
    pub const LOWEST: u8 = 1;
    /// The highest.
    pub const HIGHEST: u8 = 9;

    /// A priority; 0 means the default.
    ///
    /// # Errors
    /// When it is over 9.
    pub fn new(value: u32) -> Result<Self, FieldError> {
        match u8::try_from(value) {
            Ok(0) => Ok(Self::default()),
            Ok(value @ Self::LOWEST..=Self::HIGHEST) => Ok(Self(value)),
            _ => Err(FieldError::new("priority", format!("{value} is out of range; give 1 to 9"))),
        }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

/// Options beyond the template, for one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExtraOptions {
    /// HLS playlists that grow from the start of the encoding, so that the output can be played before it
    /// is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_playlist: Option<bool>,
    /// Where the clip begins, in seconds of the input; unset: at its start. At its end or after it, there
    /// is nothing to transcode (1104).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 12.5)]
    pub start: Option<f64>,
    /// The duration of the clip, in seconds, exact to a frame; unset: up to the end of the input, which is
    /// also the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 30.0)]
    pub duration: Option<f64>,
}

/// The largest start and duration of a clip, in seconds; no input is longer.
const MAX_INPUT_SECS: f64 = 1e6;

impl ExtraOptions {
    /// Checks that all of it can be done with this template.
    ///
    /// # Errors
    /// The first option that cannot.
    pub fn check(&self, template: &Template) -> Result<(), FieldError> {
        check_range("extra_options.start", self.start, 0.0, MAX_INPUT_SECS)?;
        check_range("extra_options.duration", self.duration, 0.001, MAX_INPUT_SECS)?;
        let early = self.early_playlist == Some(true);
        let options = [
            ("start", self.start.is_some()),
            ("duration", self.duration.is_some()),
            ("early_playlist", early),
        ];
        if let Some((name, _)) = options.iter().find(|(_, set)| *set && template.copies()) {
            let problem = "cannot be had with `copy`; leave it unset, or use a template with codecs";
            return Err(FieldError::new(format!("extra_options.{name}"), problem));
        }
        match template.format {
            Format::Mp4 | Format::Flv | Format::Dash if early => Err(FieldError::new(
                "extra_options.early_playlist",
                format!("is for `hls`, and the template makes `{}`; leave it unset", template.format),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(format: Format) -> Template {
        Template::new("t".parse().expect("a name"), format)
    }

    #[test]
    fn a_clip_lies_in_an_input() {
        let options = |start, duration| ExtraOptions { start, duration, ..ExtraOptions::default() };
        let (mp4, hls) = (template(Format::Mp4), template(Format::Hls));
        assert_eq!(options(Some(0.5), Some(0.04)).check(&mp4), Ok(()));
        assert_eq!(
            options(Some(-1.0), None).check(&mp4).expect_err("refused").to_string(),
            "extra_options.start: -1 is out of range; give 0 to 1000000"
        );
        assert_eq!(
            options(None, Some(-1.0)).check(&hls).expect_err("refused").field,
            "extra_options.duration"
        );
    }

    #[test]
    fn only_hls_has_playlists_that_grow() {
        let early = |value| ExtraOptions { early_playlist: Some(value), ..ExtraOptions::default() };
        assert_eq!(early(true).check(&template(Format::Hls)), Ok(()));
        assert_eq!(early(false).check(&template(Format::Mp4)), Ok(()));
        assert_eq!(
            early(true).check(&template(Format::Dash)).expect_err("refused").to_string(),
            "extra_options.early_playlist: is for `hls`, and the template makes `dash`; leave it unset"
        );
    }

    #[test]
    fn what_is_copied_is_copied_whole() {
        let mut copied = template(Format::Hls);
        copied.acodec = Some(crate::AudioMode::Copy);
        for json in [r#"{"start": 1}"#, r#"{"duration": 1}"#, r#"{"early_playlist": true}"#] {
            let options: ExtraOptions = serde_json::from_str(json).expect("options");
            assert_eq!(options.check(&template(Format::Hls)), Ok(()), "{json}");
            let refused = options.check(&copied).expect_err("refused").to_string();
            assert!(
                refused.ends_with("cannot be had with `copy`; leave it unset, or use a template with codecs"),
                "{refused}"
            );
        }
        assert_eq!(ExtraOptions::default().check(&copied), Ok(()));
    }

    #[test]
    fn priority_zero_is_the_default() {
        assert_eq!(Priority::new(0), Ok(Priority::default()));
        assert!(Priority::new(10).is_err());
    }
}
