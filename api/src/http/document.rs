//! `/openapi.json`, generated from the handlers, and `/docs`, a page that renders it.
//!
//! What all operations have in common is written here once: their ids, the API key, the
//! `Idempotency-Key`, and that every refusal is a problem as of RFC 9457. The page comes out of the
//! binary; nothing is loaded from elsewhere.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, Ref, RefOr, Required};
use utoipa::{OpenApi as _, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::App;
use super::problem::Problem;

/// The document before the routes are added.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Counterfoil",
        description = "Click-attributed conversions as balanced journal entries.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "this service")),
    components(schemas(Problem)),
)]
struct Document;

/// The document before the routes are added.
pub(crate) fn blank() -> OpenApi {
    let mut document = Document::openapi();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("pc_live_…")
        .description(Some("an API key, shown once by `counterfoil keys create`"));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("key", SecurityScheme::Http(key.build()));
    document
}

/// The routes of this area: the document and the page that renders it.
pub(crate) fn routes(mut document: OpenApi) -> Router<App> {
    complete(&mut document);
    let text = document.to_pretty_json().unwrap_or_default();
    let json = HeaderValue::from_static("application/json");
    let answer = move || async move { ([(header::CONTENT_TYPE, json)], text).into_response() };
    let page = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    Router::new()
        .route("/openapi.json", get(answer))
        .merge(page)
}

/// Writes what all operations have in common.
fn complete(document: &mut OpenApi) {
    let problem = || {
        let schema = Ref::from_schema_name(Problem::name());
        let example = serde_json::json!({
            "type": "/problems/unknown-program",
            "title": "unknown program",
            "status": 404,
            "detail": "program \"Sumer\" is unknown",
        });
        ContentBuilder::new()
            .schema(Some(schema))
            .example(Some(example))
            .build()
    };
    let mut tags = Vec::new();
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
            ("head", &mut item.head),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else {
                continue;
            };
            operation.operation_id = Some(operation_id(method, path));
            tags.extend(operation.tags.iter().flatten().cloned());
            let responses = &mut operation.responses.responses;
            let other = ResponseBuilder::new()
                .description("any other refusal")
                .build();
            responses
                .entry("default".to_owned())
                .or_insert(RefOr::T(other));
            for (status, response) in responses.iter_mut() {
                if let RefOr::T(response) = response {
                    describe(status, response, problem());
                }
            }
            let keyed = responses.contains_key("401") && operation.security.is_none();
            if keyed {
                let none: [String; 0] = [];
                operation.security = Some(vec![SecurityRequirement::new("key", none)]);
            }
            if method == "post" && path.starts_with("/v1/") && has_key(operation) {
                name_itself(operation);
            }
        }
    }
    tags.sort_unstable();
    tags.dedup();
    let described = tags.into_iter().map(|tag| {
        utoipa::openapi::tag::TagBuilder::new()
            .description(Some(format!("What concerns {tag}.")))
            .name(tag)
            .build()
    });
    document.tags = Some(described.collect());
}

/// Unique and stable: the method and the path's words.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|sign: char| !sign.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!("{method}_{}", words.join("_"))
}

/// Refusals are problems; every answer says in words what it is.
fn describe(status: &str, response: &mut Response, problem: utoipa::openapi::Content) {
    let refused = status == "default" || status.starts_with(['4', '5']);
    if refused {
        response.content.shift_remove("application/json");
        let kind = "application/problem+json".to_owned();
        response.content.entry(kind).or_insert(RefOr::T(problem));
    }
    if response.description.is_empty() {
        let words = match status {
            "200" => "done, or as it stands",
            "201" => "created",
            "202" => "taken; it will be done",
            "204" => "done",
            "207" => "an outcome for each item",
            "302" => "go on there",
            "400" => "the request makes no sense as it stands",
            "401" => "no API key that works",
            "403" => "this key may not",
            "404" => "there is no such thing",
            "409" => "it is taken, or cannot be done from this state",
            "413" => "too large",
            "415" => "not JSON",
            "422" => "a value cannot be",
            "429" => "too many requests; `Retry-After` says when to try again",
            "503" => "not now; `Retry-After` says when to try again",
            _ => "see the body",
        };
        words.clone_into(&mut response.description);
    }
}

fn has_key(operation: &Operation) -> bool {
    operation
        .security
        .as_ref()
        .is_some_and(|keys| !keys.is_empty())
}

/// The operation takes an `Idempotency-Key`.
fn name_itself(operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(255));
    let described = "done once under this name; sent again, it is answered alike";
    let there = parameters.iter().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.name.eq_ignore_ascii_case("idempotency-key"),
        RefOr::Ref(_) => false,
    });
    if there {
        return;
    }
    let parameter = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(described))
        .schema(Some(text));
    parameters.push(RefOr::T(parameter.build()));
}
