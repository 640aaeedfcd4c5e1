//! Which templates are accepted and which refused, and with which texts.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::remove_unset;

/// What the newer Go SDK sends for a template of which only name and format are set.
fn sdk_body() -> serde_json::Value {
    json!({
        "template_name": "t", "format": "hls", "vcodec": "", "acodec": "", "trans_mode": "",
        "resolution": "", "framerate": 0, "quality": 0.0, "video_bitrate": 0, "audio_bitrate": 0,
        "gop_size": 0, "gop_seconds": 0, "seg_type": "", "seg_time": 0, "audio_sample_rate": "",
        "audio_channels": 0, "logo_path": "", "logo_size": "", "logo_offset": "",
        "adaptive_streams": null, "also": "",
        "encryption": {"provider": "", "mode": "", "drm_systems": null, "key_url": "", "http_method": "", "headers": null},
        "thumbnail": {"start_point": 0, "interval": 0, "number": 0, "width": 0, "height": 0},
        "description": ""
    })
}

#[test]
fn empty_strings_and_zeros_mean_unset() {
    let template: Template = serde_json::from_value(remove_unset(sdk_body())).expect("a template");
    assert_eq!(template, Template::new("t".parse().expect("a name"), Format::Hls));
    template.check().expect("fine");
}

#[test]
fn the_oldest_sdk_spells_audio_bitrate_its_own_way() {
    let template: Template =
        serde_json::from_value(json!({"template_name": "t", "format": "mp4", "audioBitrate": 96}))
            .expect("a template");
    assert_eq!(template.audio_bitrate, Some(96));
}

#[rstest]
#[case("resolution", json!("12 x 7"), "`12 x 7` is not a resolution")]
#[case("vcodec", json!("mpeg1"), "is not one of `h264`")]
#[case("framerate", json!("fast"), "invalid type")]
#[case("logo_path", json!("logo.png"), "`logo.png` is not a URL")]
#[case("loudness", json!("loud"), "is not one of `ebu-r128`")]
#[case("logo_size", json!("large"), "`large` is not a size; give `200x100`")]
#[case("logo_offset", json!("5"), "`5` is not an offset; give `10x10`")]
#[case("framerate", json!(-1), "invalid value")]
#[case("audio_sample_rate", json!("1"), "is not a sample rate")]
fn a_wrong_field_says_what_would_do(
    #[case] field: &str,
    #[case] value: serde_json::Value,
    #[case] problem: &str,
) {
    let mut body = sdk_body();
    body[field] = value;
    let error = serde_json::from_value::<Template>(remove_unset(body)).expect_err("refused").to_string();
    assert!(error.contains(problem), "{error}");
}

#[rstest]
#[case("acodec", json!("mp3"))]
#[case("quality", json!(11))]
#[case("seg_time", json!(61))]
#[case("trans_mode", json!("fast"))]
#[case("also", json!("mp4"))]
#[case("thumbnail.number", json!({"number": 10001}))]
#[case("thumbnail.width", json!({"width": 8}))]
#[case("audio_channels", json!(5))]
#[case("logo_size", json!("10x10"))]
#[case("logo_offset", json!("10x10"))]
fn unsupported_values_are_refused(#[case] field: &str, #[case] value: serde_json::Value) {
    let mut body = sdk_body();
    body[field.split('.').next().expect("a name")] = value;
    let template: Template = serde_json::from_value(remove_unset(body)).expect("readable");
    assert_eq!(template.check().expect_err("refused").field, field);
}

#[test]
fn what_the_older_sdk_always_sends_is_accepted_with_a_copy() {
    let body =
        json!({"template_name": "t", "format": "mp4", "vcodec": "copy", "framerate": 25, "quality": 5});
    serde_json::from_value::<Template>(body).expect("readable").check().expect("fine");
}

/// Every field that would need an encoder, beside a copy.
#[test]
fn fields_for_an_encoder_are_refused_with_a_copy() {
    let refused = |copied: &str, field: &str, value: serde_json::Value| {
        let mut body = json!({"template_name": "t", "format": "hls", copied: "copy"});
        serde_json::from_value::<Template>(body.clone()).expect("readable").check().expect("fine alone");
        body[field] = value;
        let template: Template = serde_json::from_value(body).expect("readable");
        template.check().expect_err("refused")
    };
    for (field, value) in [
        ("hdr", json!("keep")),
        ("resolution", json!("720p")),
        ("framerate", json!(30)),
        ("quality", json!(6)),
        ("video_bitrate", json!(1000)),
        ("gop_size", json!(50)),
        ("gop_seconds", json!(2)),
        ("logo_path", json!("https://example.com/a.png")),
        ("adaptive_streams", json!([{"vcodec": "h264"}])),
        ("thumbnail", json!({"interval": 5})),
    ] {
        let error = refused("vcodec", field, value);
        assert_eq!(error.field, field);
        assert_eq!(error.problem, "cannot be had with vcodec `copy`; leave it unset, or give a codec");
    }
    for (field, value) in [
        ("audio_bitrate", json!(96)),
        ("audio_sample_rate", json!("48000")),
        ("audio_channels", json!(2)),
        ("loudness", json!("ebu-r128")),
    ] {
        assert_eq!(refused("acodec", field, value).field, field);
    }
    let renditions = json!([{"resolution": "720p"}, {"audio_bitrate": 96}]);
    assert_eq!(refused("acodec", "adaptive_streams", renditions).field, "adaptive_streams[1].audio_bitrate");
}

#[test]
fn predefined_templates_are_right() {
    for template in predefined_templates() {
        template.check().unwrap_or_else(|error| panic!("{}: {error}", template.template_name));
    }
}
