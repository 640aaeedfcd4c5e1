//! The signatures of OSS, OBS and COS, written after the vendors' documents and tested with the examples in
//! them.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac as _};
use model::StorageType;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha1::{Digest as _, Sha1};
use wiremock::Request;

use super::{ACCESS_KEY, SECRET_KEY};

/// The query parameters that OSS and OBS sign, as far as they are used here.
const SIGNED_PARAMETERS: &[&str] =
    &["acl", "continuation-token", "delete", "partNumber", "uploadId", "uploads"];

/// What is percent-encoded: all but unreserved characters (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whether a request is signed with the one access key; else what is wrong.
pub(super) fn check(kind: StorageType, request: &Request, bucket: &str) -> Result<(), String> {
    match kind {
        StorageType::Cos => check_cos(request),
        kind => check_header_or_query(kind, request, bucket),
    }
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn hmac_sha1(key: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// OSS
/// (<https://www.alibabacloud.com/help/en/oss/developer-reference/include-signatures-in-the-authorization-header>)
/// and OBS (<https://support.huaweicloud.com/intl/en-us/api-obs/obs_04_0010.html>), which differ in a
/// prefix and in how the object is written.
fn check_header_or_query(kind: StorageType, request: &Request, bucket: &str) -> Result<(), String> {
    let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
    let (scheme, prefix, id) = match kind {
        StorageType::Oss => ("OSS ", "x-oss-", "OSSAccessKeyId"),
        _ => ("OBS ", "x-obs-", "AccessKeyId"),
    };
    let (access_key, signature, date) = match query.get("Signature") {
        Some(signature) => (query.get(id).cloned(), signature.clone(), query["Expires"].clone()),
        None => {
            let given = header(request, "authorization").strip_prefix(scheme).unwrap_or_default();
            let (access_key, signature) = given.split_once(':').unwrap_or_default();
            (Some(access_key.to_owned()), signature.to_owned(), header(request, "date").to_owned())
        }
    };
    if access_key.as_deref() != Some(ACCESS_KEY) || date.is_empty() {
        return Err("there is no signature with a known access key".to_owned());
    }
    let object = match kind {
        StorageType::Oss => percent_decode_str(request.url.path()).decode_utf8_lossy().into_owned(),
        _ => request.url.path().to_owned(),
    };
    let text = text_to_sign(request, prefix, &date, &format!("/{bucket}{object}"), &query);
    if signature == BASE64_STANDARD.encode(hmac_sha1(SECRET_KEY, &text)) {
        Ok(())
    } else {
        Err(format!("the text to sign is {text:?}"))
    }
}

fn text_to_sign(
    request: &Request,
    prefix: &str,
    date: &str,
    object: &str,
    query: &BTreeMap<String, String>,
) -> String {
    let headers: BTreeMap<_, _> = request
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with(prefix))
        .map(|name| (name.as_str(), header(request, name.as_str())))
        .collect();
    let headers: String =
        headers.into_iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let signed: Vec<_> = query
        .iter()
        .filter(|(name, _)| SIGNED_PARAMETERS.contains(&name.as_str()))
        .map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") })
        .collect();
    let signed = if signed.is_empty() { String::new() } else { format!("?{}", signed.join("&")) };
    let [md5, content_type] = ["content-md5", "content-type"].map(|name| header(request, name));
    format!("{}\n{md5}\n{content_type}\n{date}\n{headers}{object}{signed}", request.method)
}

/// COS (<https://www.tencentcloud.com/document/product/436/7778>): what is signed is listed in the
/// signature itself.
fn check_cos(request: &Request) -> Result<(), String> {
    let given = match header(request, "authorization") {
        "" => request.url.query().unwrap_or_default(),
        given => given,
    };
    let given: BTreeMap<_, _> = given.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let part = |name: &str| given.get(name).copied().unwrap_or_default();
    if part("q-sign-algorithm") != "sha1" || part("q-ak") != ACCESS_KEY {
        return Err("there is no signature with a known access key".to_owned());
    }
    let encoded = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let query: BTreeMap<_, _> = request
        .url
        .query_pairs()
        .map(|(name, value)| (encoded(&name).to_lowercase(), encoded(&value)))
        .collect();
    let listed = |list: &str, value: &dyn Fn(&str) -> String| {
        let list = list.split(';').filter(|name| !name.is_empty());
        list.map(|name| format!("{name}={}", value(name))).collect::<Vec<_>>().join("&")
    };
    let path = percent_decode_str(request.url.path()).decode_utf8_lossy();
    let signed_query = listed(part("q-url-param-list"), &|name| query.get(name).cloned().unwrap_or_default());
    let signed_headers = listed(part("q-header-list"), &|name| encoded(header(request, name)));
    let text =
        format!("{}\n{path}\n{signed_query}\n{signed_headers}\n", request.method.as_str().to_lowercase());
    let to_sign = format!("sha1\n{}\n{}\n", part("q-sign-time"), hex::encode(Sha1::digest(text.as_bytes())));
    let key = hex::encode(hmac_sha1(SECRET_KEY, part("q-key-time")));
    if part("q-signature") == hex::encode(hmac_sha1(&key, &to_sign)) {
        Ok(())
    } else {
        Err(format!("the text to sign is {text:?}"))
    }
}

/// The example of OSS's document.
#[test]
fn the_example_of_oss_is_signed_as_printed() {
    let text = "PUT\nODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=\ntext/html\nThu, 17 Nov 2005 18:49:58 GMT\n\
                x-oss-magic:abracadabra\nx-oss-meta-author:foo@bar.com\n/oss-example/nelson";
    let signature = BASE64_STANDARD.encode(hmac_sha1("OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV", text));
    assert_eq!(signature, "26NBxoKdsyly4EDv6inkoDft/yA=");
}
