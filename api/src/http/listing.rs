//! Lists: pages with an opaque cursor in JSON, whole in CSV.
//!
//! A cursor is the key of the last row shown, so a page goes on where the one before ended, however
//! many rows came in between.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::input::Asked;
use super::problem::Problem;
use crate::wire::{self, Listed};

/// How many rows a page has unless another number is asked for.
const PAGE: u16 = 50;
/// How many rows a page has at most.
const LONGEST: u16 = 500;
/// How many rows a CSV file has at most; `X-Next-Cursor` then says where the next one goes on.
const CSV_ROWS: u16 = 50_000;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The rows.
    pub(crate) items: Vec<T>,
    /// Sent as `cursor`, gives the next page; nothing on the last.
    pub(crate) next_cursor: Option<String>,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// JSON, page by page.
    Json,
    /// A CSV file with a heading.
    Csv,
}

/// Which page of a list, in which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many rows: 1 to 500, 50 unless said otherwise.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u16>,
    /// `json` or `csv`; `Accept: text/csv` asks for CSV as well.
    format: Option<Format>,
}

/// Which page was asked for.
#[derive(Debug)]
pub(crate) struct Paging {
    cursor: Option<String>,
    limit: u16,
    format: Format,
}

impl FromRequestParts<App> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Paging, Problem> {
        let Asked(query) = Asked::<PageQuery>::from_request_parts(parts, app).await?;
        let accept = parts.headers.get(header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok()).unwrap_or("");
        let accepted = if accept.starts_with("text/csv") {
            Format::Csv
        } else {
            Format::Json
        };
        let format = query.format.unwrap_or(accepted);
        let (usual, most) = match format {
            Format::Json => (PAGE, LONGEST),
            Format::Csv => (CSV_ROWS, CSV_ROWS),
        };
        let limit = query.limit.unwrap_or(usual);
        if !(1..=most).contains(&limit) {
            let detail = format!("limit is {limit}; use 1 to {most}");
            return Err(Problem::unprocessable("limit-out-of-range", detail));
        }
        Ok(Paging {
            cursor: query.cursor,
            limit,
            format,
        })
    }
}

impl Paging {
    /// The key of the last row shown, if this is not the first page.
    pub(crate) fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        let key = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        key.map(Some).ok_or_else(|| {
            Problem::unprocessable(
                "cursor-unknown",
                "this cursor is not one of this list's; send next_cursor as it was answered",
            )
        })
    }

    /// How many rows to read: one more than the page has, to see whether there is another page.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The page of these rows, in the form asked for.
    pub(crate) fn reply<R, T, K>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&T) -> K,
    ) -> Result<Response, Problem>
    where
        T: Listed + From<R>,
        K: Serialize,
    {
        let more = rows.len() > usize::from(self.limit);
        rows.truncate(usize::from(self.limit));
        let items: Vec<T> = rows.into_iter().map(T::from).collect();
        let last = items.last().filter(|_| more).map(key);
        let cursor = last.map(|key| serde_json::to_vec(&key)).transpose();
        let cursor = cursor.map_err(anyhow::Error::from)?;
        let page = Page {
            items,
            next_cursor: cursor.map(|key| URL_SAFE_NO_PAD.encode(key)),
        };
        match self.format {
            Format::Json => Ok(Json(page).into_response()),
            Format::Csv => {
                let mut response = as_csv(&page.items)?;
                let next = page.next_cursor.map(HeaderValue::try_from);
                let next = next.transpose().map_err(anyhow::Error::from)?;
                if let Some(next) = next {
                    response.headers_mut().insert("x-next-cursor", next);
                }
                Ok(response)
            }
        }
    }
}

/// Rows as a CSV file.
pub(crate) fn as_csv<T: Listed>(rows: &[T]) -> Result<Response, Problem> {
    let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    let name = HeaderValue::from_static("attachment");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, wire::csv(rows)?).into_response())
}
