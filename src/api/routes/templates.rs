//! Templates: how to transcode. A tenant can change its own; the predefined ones, which every tenant sees,
//! cannot be changed, and no other template can have their names.

use std::sync::Arc;

use axum::extract::State;
use model::{ErrorCode, Template, TemplateName, TenantId};
use serde::{Deserialize, Serialize};
use store::StoredTemplate;
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        auth::{Caller, Editor},
        envelope::{Answer, Envelope, Nothing, Reply},
        error::{ApiError, BadParam, Conflict, NotFound},
        extract::{Body, NoQuery, Query},
        ids::parse_id_or_not_found,
        memory::LargeAnswer,
    },
    app::App,
};

/// A template, as it is answered. Fields that are not set are absent.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedTemplate {
    #[serde(flatten)]
    template: Template,
    /// When it was added, in Unix seconds; 0 for predefined ones.
    created_at: i64,
    /// Whether it is predefined: it cannot be changed or deleted.
    built_in: bool,
}

/// Every template.
#[derive(Serialize, ToSchema)]
pub(super) struct TemplateList {
    /// How many.
    num: usize,
    /// The newest first, then the predefined ones.
    list: Vec<ListedTemplate>,
}

/// The template that a call names.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ByTemplate {
    /// The template's name.
    template_name: String,
}

/// Adds a template.
#[utoipa::path(
    post, path = "/add_template", tag = "template",
    params(("Idempotency-Key" = Option<String>, Header, description = "makes the call once, however often it is sent")),
    request_body = Template,
    responses((status = 200, description = "added", body = Envelope<Answer<Nothing>>), BadParam, Conflict)
)]
pub(super) async fn add_template(
    State(app): State<Arc<App>>,
    editor: Editor,
    Body(template, warnings): Body<Template>,
) -> Reply<Nothing> {
    template.check()?;
    if predefined(&template.template_name).is_some() {
        let name = &template.template_name;
        let detail = format!("`{name}` is the name of a predefined template; give another");
        return Err(ApiError::new(ErrorCode::Conflict, detail));
    }
    let answer = Answer::nothing(warnings);
    let store = editor.store_keeping(&app, &answer)?;
    store.add_template(&editor.tenant, &template, app.clock.now()).await?;
    Ok(answer)
}

/// Replaces the whole of a template. Tasks keep the one that they were created with.
#[utoipa::path(
    put, path = "/update_template", tag = "template",
    request_body = Template,
    responses((status = 200, description = "replaced", body = Envelope<Answer<Nothing>>), BadParam, NotFound)
)]
pub(super) async fn update_template(
    State(app): State<Arc<App>>,
    editor: Editor,
    Body(template, warnings): Body<Template>,
) -> Reply<Nothing> {
    template.check()?;
    refuse_predefined(&template.template_name)?;
    app.store.update_template(&editor.tenant, &template).await?;
    Ok(Answer::nothing(warnings))
}

/// Shows a template.
#[utoipa::path(
    get, path = "/query_template", tag = "template",
    params(ByTemplate),
    responses(
        (status = 200, description = "the template", body = Envelope<Answer<ListedTemplate>>), BadParam, NotFound
    )
)]
pub(super) async fn query_template(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(request, warnings): Query<ByTemplate>,
) -> Reply<ListedTemplate> {
    let name = parse_id_or_not_found("template", &request.template_name)?;
    Ok(Answer::new(resolve(&app, &caller.tenant, &name).await?, warnings))
}

/// Lists the templates, predefined ones included.
#[utoipa::path(
    get, path = "/list_template", tag = "template",
    responses((status = 200, description = "every template", body = Envelope<Answer<TemplateList>>))
)]
pub(super) async fn list_template(
    State(app): State<Arc<App>>,
    caller: Caller,
    _turn: LargeAnswer,
    Query(NoQuery {}, warnings): Query<NoQuery>,
) -> Reply<TemplateList> {
    let own = app.store.templates(&caller.tenant).await?.into_iter().map(ListedTemplate::own);
    let list: Vec<_> =
        own.chain(model::predefined_templates().into_iter().map(ListedTemplate::built_in)).collect();
    Ok(Answer::new(TemplateList { num: list.len(), list }, warnings))
}

/// Deletes a template. Tasks keep their copy of it.
#[utoipa::path(
    delete, path = "/del_template", tag = "template",
    params(ByTemplate),
    responses((status = 200, description = "deleted", body = Envelope<Answer<Nothing>>), BadParam, NotFound)
)]
pub(super) async fn del_template(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<ByTemplate>,
) -> Reply<Nothing> {
    let name = parse_id_or_not_found("template", &request.template_name)?;
    refuse_predefined(&name)?;
    app.store.delete_template(&editor.tenant, &name).await?;
    Ok(Answer::nothing(warnings))
}

/// The template of this name, predefined or the tenant's own.
///
/// # Errors
/// 1004 when there is none.
pub(super) async fn resolve(
    app: &App,
    tenant: &TenantId,
    name: &TemplateName,
) -> Result<ListedTemplate, ApiError> {
    match predefined(name) {
        Some(template) => Ok(ListedTemplate::built_in(template)),
        None => Ok(ListedTemplate::own(app.store.template(tenant, name).await?)),
    }
}

fn predefined(name: &TemplateName) -> Option<Template> {
    model::predefined_templates().into_iter().find(|template| template.template_name == *name)
}

fn refuse_predefined(name: &TemplateName) -> Result<(), ApiError> {
    match predefined(name) {
        Some(_) => Err(ApiError::new(
            ErrorCode::Forbidden,
            format!("`{name}` is a predefined template, which cannot be changed or deleted"),
        )),
        None => Ok(()),
    }
}

impl ListedTemplate {
    fn own(stored: StoredTemplate) -> Self {
        Self { template: stored.template, created_at: stored.created.as_secs(), built_in: false }
    }

    fn built_in(template: Template) -> Self {
        Self { template, created_at: 0, built_in: true }
    }

    /// The template itself.
    pub(super) fn into_template(self) -> Template {
        self.template
    }
}
