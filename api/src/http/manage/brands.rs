//! Brands.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use settlement::party::{self, NewParty, PartyError};
use utoipa::ToSchema;

use super::super::auth::Principal;
use super::super::listing::{Page, PageQuery, Paging};
use super::super::once::{Posted, Started};
use super::super::{App, Problem, input};
use super::{may_manage, not_yours, sight};
use crate::chance;
use crate::wire::BrandView;

/// A brand to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBrand {
    /// Its name, unique.
    #[schema(example = "Acme", min_length = 1, max_length = 200)]
    name: String,
}

/// List the brands: all of them for the network, its own for a brand.
#[utoipa::path(
    get, path = "/v1/brands", tag = "brands", security(("key" = [])), params(PageQuery),
    responses(
        (status = 200, body = Page<BrandView>), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    paging: Paging,
) -> Result<Response, Problem> {
    let sight = sight(&principal)?;
    if sight.publisher.is_some() {
        return Err(not_yours());
    }
    let mut conn = app.conn().await?;
    let rows = party::brands(&mut conn, sight.book, paging.after()?, paging.rows()).await?;
    paging.reply(rows, |brand: &BrandView| brand.id)
}

/// Create a brand with its book.
#[utoipa::path(
    post, path = "/v1/brands", tag = "brands", security(("key" = [])), request_body = NewBrand,
    responses(
        (status = 201, body = BrandView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem),
    ),
)]
pub(crate) async fn add(
    State(app): State<App>,
    principal: Principal,
    Posted { value: asked, once }: Posted<NewBrand>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let brand = NewParty {
        id: chance::id(),
        name: input::storable(&asked.name)?.to_owned(),
    };
    let (now, by) = (chance::now(), principal.actor("brands"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let brands = [brand];
    let created = party::create_brands(&mut transaction, now, &by, &brands).await?;
    if created == 0 {
        let [brand] = brands;
        let (kind, name) = ("brand", brand.name);
        return Err(PartyError::NameTaken { kind, name }.into());
    }
    let created = party::find_brand(&mut transaction, &brands[0].name).await?;
    let view = BrandView::from(created);
    let created = StatusCode::CREATED;
    once.finish(transaction, &principal, created, &view).await
}
