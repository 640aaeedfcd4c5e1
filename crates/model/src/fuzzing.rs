//! Whatever reads texts that clients wrote, as functions that take any bytes: the targets of `fuzz/`
//! call them, and so do the tests below. They may refuse; they must not panic, and what they accept
//! holds what it promises.

use crate::{Format, Input, InputPlace, OutputPath, Template, storage::tests::storage, without_unset};

/// A template, with each of its fields.
pub fn template(data: &[u8]) {
    let Ok(json) = serde_json::from_slice(data) else { return };
    let Ok(template) = serde_json::from_value::<Template>(without_unset(json)) else { return };
    let _ = template.check();
    let written = serde_json::to_value(&template).expect("a template is JSON");
    let again: Template = serde_json::from_value(written).expect("what is answered can be sent");
    assert_eq!(again, template);
}

/// The text fields of a template, each as the only one beside what is needed.
pub fn fields(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for field in ["resolution", "framerate", "logo_size", "logo_offset", "audio_sample_rate", "template_name"]
    {
        let mut json =
            serde_json::json!({"template_name": "t", "format": "hls", "logo_path": "https://h/l.png"});
        json[field] = text.as_ref().into();
        template(json.to_string().as_bytes());
    }
}

/// The address of an input.
pub fn input(data: &[u8]) {
    let Ok(input) = String::from_utf8_lossy(data).parse::<Input>() else { return };
    let again: Input = input.as_str().parse().expect("what was accepted is accepted again");
    assert_eq!(again, input);
    match input.place() {
        InputPlace::Web(url) => {
            assert!(matches!(url.scheme(), "http" | "https"));
            assert!(!input.redacted().contains(url.query().filter(|query| query.len() > 3).unwrap_or("\0")));
        }
        InputPlace::Object { key, .. } => {
            assert!(!key.split('/').any(|part| matches!(part, "" | "." | "..")))
        }
        InputPlace::Upload(id) => assert_eq!(input.as_str(), format!("upload://{id}")),
    }
}

/// The path of an output.
pub fn output(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for (prefix, format) in [("", Format::Mp4), ("a/b", Format::Hls), ("é", Format::Dash)] {
        let Ok(output) = OutputPath::resolve(&text, &storage(prefix), format) else { continue };
        for key in [output.key().to_owned(), output.beside(format, "x"), output.folder(format)] {
            assert!(key.starts_with(prefix) && !key.chars().any(char::is_control), "{key:?}");
            assert!(!key.split('/').any(|part| matches!(part, "" | "." | "..")), "{key:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_is_too_odd(
            text in "([0-9]{0,12}[x:/.p%-]){0,3}[0-9]{0,12}|([a-z0-9]{1,5}://)?(\\.{0,2}/|[a-zé%?#\u{0}\u{ad} ]{0,5}){0,6}|.{0,40}",
        ) {
            super::fields(text.as_bytes());
            super::input(text.as_bytes());
            super::output(text.as_bytes());
            super::template(text.as_bytes());
        }
    }
}
