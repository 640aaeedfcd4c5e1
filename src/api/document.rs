//! The OpenAPI document: generated from the handlers, with what holds for all of them added here.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::{
    IntoResponses, OpenApi as _,
    openapi::{
        OpenApi, PathItem,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    BASE_PATH,
    envelope::{Envelope, Nothing},
    error::{AuthFail, Forbidden, Internal, RateLimited, TooLarge, Unavailable},
    open_transfer::OpenTransfer,
    routes,
};

/// What is in the document beside the routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Borealis",
        description = "Self-hosted video-on-demand transcoding that speaks the AuroraCloud VOD API. Every \
                       answer is the envelope `{code, msg, data, request_id}`; `code` 0 is success. In requests \
                       `\"\"`, `0`, `null` and absence mean the same, \"not set\"; unknown fields are ignored and \
                       named in `data.warnings`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "storage", description = "where outputs go, and who gets the callbacks"),
        (name = "template", description = "how to transcode"),
        (name = "task", description = "one input, transcoded into one output"),
        (name = "callback", description = "what is sent to receivers, and what came of each attempt"),
        (name = "key", description = "who may call, and what"),
        (name = "health", description = "whether the server is alive, can answer calls, and what it can do")
    ),
    components(schemas(Envelope<Nothing>))
)]
struct Base;

/// The document without its routes.
pub(super) fn base() -> OpenApi {
    Base::openapi()
}

/// The document of every call.
pub fn document() -> OpenApi {
    let mut document = routes::documented().into_openapi();
    for (path, item) in &mut document.paths.paths {
        if path.starts_with(BASE_PATH) {
            for (operation, is_write) in operations(item) {
                add_common(operation, is_write);
            }
        }
    }
    let basic = HttpBuilder::new()
        .scheme(HttpAuthScheme::Basic)
        .description(Some("Access key and secret key. The header `auth-type: use-basic` may be sent too."))
        .build();
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert("basic".to_owned(), SecurityScheme::Http(basic).into());
    document
}

/// The operations of a path, and whether each is for keys that may change things.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let PathItem { get, put, post, delete, .. } = item;
    [(get, false), (put, true), (post, true), (delete, true)]
        .into_iter()
        .filter_map(|(operation, is_write)| Some((operation.as_mut()?, is_write)))
}

/// Adds what holds for every call: its authentication, and the errors that any call can have.
fn add_common(operation: &mut Operation, is_write: bool) {
    operation.security = Some(vec![SecurityRequirement::new("basic", Vec::<String>::new())]);
    let mut common = vec![
        AuthFail::responses(),
        RateLimited::responses(),
        Internal::responses(),
        Unavailable::responses(),
    ];
    if is_write {
        common.push(Forbidden::responses());
    }
    if operation.request_body.is_some() {
        common.push(TooLarge::responses());
    }
    operation.responses.responses.extend(common.into_iter().flatten());
}

/// Answers the document.
pub(super) async fn openapi(_transfer: OpenTransfer) -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_json().expect("the document is JSON"));
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}
