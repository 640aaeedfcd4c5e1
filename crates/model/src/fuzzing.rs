//! Every parser of clients' texts in this crate, as a function that takes any bytes: the targets of `fuzz/`
//! call them, and so do the tests below. A parser may refuse what it is given; it must not panic, and what
//! it accepts must have the properties that other code relies on.

use crate::{Format, Input, InputLocation, OutputPath, Template, remove_unset, storage::tests::storage};

/// A template, with each of its fields.
pub fn template(data: &[u8]) {
    let Ok(json) = serde_json::from_slice(data) else { return };
    let Ok(template) = serde_json::from_value::<Template>(remove_unset(json)) else { return };
    let _ = template.check();
    let answered = serde_json::to_value(&template).expect("a template is JSON");
    let parsed_again: Template = serde_json::from_value(answered).expect("what is answered can be sent");
    assert_eq!(parsed_again, template);
}

/// The text fields of a template, each alone in a minimal template.
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

/// The text of an input.
pub fn input(data: &[u8]) {
    let Ok(input) = String::from_utf8_lossy(data).parse::<Input>() else { return };
    let parsed_again: Input = input.as_str().parse().expect("what was accepted is accepted again");
    assert_eq!(parsed_again, input);
    match input.location() {
        InputLocation::Url(url) => {
            assert!(matches!(url.scheme(), "http" | "https"));
            assert!(!input.redacted().contains(url.query().filter(|query| query.len() > 3).unwrap_or("\0")));
        }
        InputLocation::Object { key, .. } => {
            assert!(!key.split('/').any(|part| matches!(part, "" | "." | "..")))
        }
        InputLocation::Upload(id) => assert_eq!(input.as_str(), format!("upload://{id}")),
    }
}

/// The path of an output.
pub fn output(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for (prefix, format) in [("", Format::Mp4), ("a/b", Format::Hls), ("é", Format::Dash)] {
        let Ok(output) = OutputPath::resolve(&text, &storage(prefix), format) else { continue };
        for key in [output.key().to_owned(), output.key_in_folder(format, "x"), output.folder(format)] {
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
