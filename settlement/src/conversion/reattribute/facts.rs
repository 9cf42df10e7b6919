//! Conversions with the raw facts of their orders, decided again page by page; and writing what
//! supersedes a decision.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Scope;
use crate::attribution::candidates::{Asked, decisions};
use crate::attribution::decision::{Credit, Decision};
use crate::attribution::{AttributionTerms, Model};
use crate::columns::column;
use crate::conversion::stored::Stored;
use crate::conversion::{ConversionError, ConversionRef};
use crate::party::{self, ProgramRef};

/// Which conversions, and by what they are decided.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows {
    /// Those in force, by what is known now.
    Again(Scope),
    /// All of them, by what was known when they were decided last, and by what was asked then.
    AsThen(Option<ProgramRef>),
}

/// A conversion decided again.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub conversion: ConversionRef,
    pub decision: Decision,
    publisher: Option<Uuid>,
    click: Option<Uuid>,
    shared: Vec<Credit>,
}

impl Decided {
    /// Whether what stands is just what was decided now.
    pub(super) fn stands(&self) -> bool {
        let leading = self.decision.leading();
        self.decision.shared() == self.shared
            && leading.map(|credit| credit.publisher) == self.publisher
            && leading.and_then(|credit| credit.click) == self.click
    }
}

/// Where the page after this one begins.
pub(super) fn next(page: &[Decided], limit: i64) -> Option<ConversionRef> {
    let full = i64::try_from(page.len()).is_ok_and(|count| count >= limit);
    page.last().filter(|_| full).map(|last| last.conversion)
}

/// Decides the next conversions in order of book and id.
pub(super) async fn page(
    conn: &mut PgConnection,
    which: Rows,
    after: Option<ConversionRef>,
    limit: i64,
) -> Result<Vec<Decided>, ConversionError> {
    let rows = read(conn, which, after, limit).await?;
    let mut programs = column(&rows, Row::program);
    programs.sort_unstable();
    programs.dedup();
    let terms = party::terms_of(conn, &programs).await?;
    let mut promised: HashMap<Promise, (AttributionTerms, i32)> = HashMap::new();
    for row in &rows {
        let versions = terms.get(&row.program()).map_or(&[][..], Vec::as_slice);
        let found = versions
            .iter()
            .find(|(version, _)| *version == row.terms_version);
        let (_, terms) = found.ok_or_else(|| row.wrong("terms_version"))?;
        let promise = row.promise(which)?;
        promised.entry(promise).or_insert_with(|| {
            let (_, _, model, lookback) = promise;
            let attribution = AttributionTerms {
                model: model.unwrap_or(terms.attribution.model),
                ..terms.attribution.clone()
            };
            (attribution, lookback.unwrap_or(terms.lookback_days))
        });
    }
    let mut asked = Vec::with_capacity(rows.len());
    for row in &rows {
        let (terms, lookback_days) = &promised[&row.promise(which)?];
        asked.push(Asked {
            program: row.program(),
            occurred_at: row.occurred_at,
            lookback_days: *lookback_days,
            terms,
            click: row.named,
            visitor: row.visitor.as_deref(),
            publisher: row.declared,
            user: row.user_hash.as_deref(),
            coupon: row.coupon.as_deref(),
            known_by: match which {
                Rows::Again(_) => None,
                Rows::AsThen(_) => Some(row.decided_at),
            },
        });
    }
    let decided = decisions(conn, &asked).await?;
    rows.iter()
        .zip(decided)
        .map(|(row, decision)| row.decided(decision))
        .collect()
}

/// A version of a program's terms, and what is asked instead of what they say.
type Promise = (ProgramRef, i32, Option<Model>, Option<i32>);

async fn read(
    conn: &mut PgConnection,
    which: Rows,
    after: Option<ConversionRef>,
    limit: i64,
) -> Result<Vec<Row>, ConversionError> {
    let (program, in_force) = match which {
        Rows::Again(scope) => (scope.program, true),
        Rows::AsThen(program) => (program, false),
    };
    let rows = sqlx::query_as!(
        Row,
        r#"
        select c.book_id, c.id, c.program_id, c.terms_version, c.occurred_at, c.publisher_id,
               c.click_id, e.click_id as named, e.visitor, e.publisher_id as declared,
               e.user_hash, e.coupon, a.asked_model, a.asked_lookback, a.decided_at,
               (select jsonb_agg(jsonb_build_array(k.publisher_id, k.click_id, k.weight)
                                 order by k.position)
                from settlement.credit k
                where k.book_id = c.book_id and k.conversion_id = c.id
                  and k.version = c.credit_version) as shared
        from settlement.conversion c
        join settlement.event e on e.book_id = c.book_id and e.id = c.event_id
        join settlement.attribution a on a.book_id = c.book_id and a.conversion_id = c.id
             and a.version = c.attributed_version
        where (c.book_id, c.id) > ($1, $2)
          and (not $3 or c.state not in ('rejected', 'reversed'))
          and ($4::bigint is null or (c.book_id = $4 and c.program_id = $5))
        order by c.book_id, c.id
        limit $6
        "#,
        after.map_or(i64::MIN, |after| after.book.value()),
        after.map_or(Uuid::nil(), |after| after.id),
        in_force,
        program.map(|program| program.book.value()),
        program.map(|program| program.id),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

struct Row {
    book_id: i64,
    id: Uuid,
    program_id: Uuid,
    terms_version: i32,
    occurred_at: DateTime<Utc>,
    publisher_id: Option<Uuid>,
    click_id: Option<Uuid>,
    named: Option<Uuid>,
    visitor: Option<String>,
    declared: Option<Uuid>,
    user_hash: Option<Vec<u8>>,
    coupon: Option<String>,
    asked_model: Option<String>,
    asked_lookback: Option<i32>,
    decided_at: DateTime<Utc>,
    shared: Option<serde_json::Value>,
}

impl Row {
    fn program(&self) -> ProgramRef {
        ProgramRef {
            book: BookId::from_value(self.book_id),
            id: self.program_id,
        }
    }

    fn wrong(&self, problem: &str) -> ConversionError {
        ConversionError::Inconsistent {
            conversion: self.id,
            problem: problem.to_owned(),
        }
    }

    fn promise(&self, which: Rows) -> Result<Promise, ConversionError> {
        let (model, lookback) = match which {
            Rows::Again(scope) => (scope.model, scope.lookback_days),
            Rows::AsThen(_) => {
                let model = self.asked_model.as_deref().map(str::parse).transpose();
                (
                    model.map_err(|_| self.wrong("asked_model"))?,
                    self.asked_lookback,
                )
            }
        };
        Ok((self.program(), self.terms_version, model, lookback))
    }

    fn decided(&self, decision: Decision) -> Result<Decided, ConversionError> {
        let shared = self
            .shared
            .clone()
            .map_or(Ok(Vec::new()), serde_json::from_value);
        let shared: Vec<(Uuid, Option<Uuid>, u64)> = shared.map_err(|_| self.wrong("credit"))?;
        let credit = |(publisher, click, weight)| Credit {
            publisher,
            click,
            weight,
        };
        Ok(Decided {
            conversion: ConversionRef {
                book: BookId::from_value(self.book_id),
                id: self.id,
            },
            decision,
            publisher: self.publisher_id,
            click: self.click_id,
            shared: shared.into_iter().map(credit).collect(),
        })
    }
}

/// Adds versions of attributions.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub(super) async fn supersede(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    scope: Scope,
    rows: &[(&Stored, &Decision)],
) -> Result<(), ConversionError> {
    let publishers: Vec<Option<Uuid>> = column(rows, |(stored, _)| stored.publisher);
    let clicks: Vec<Option<Uuid>> = column(rows, |(stored, _)| stored.click);
    let query = sqlx::query!(
        r#"
        insert into settlement.attribution (book_id, conversion_id, version, model, click_id,
                                            publisher_id, considered, asked_model,
                                            asked_lookback, decided_at, decided_by)
        select u.*, $8, $9, $10, $11
        from unnest($1::bigint[], $2::uuid[], $3::int[], $4::text[], $5::uuid[], $6::uuid[],
                    $7::jsonb[]) as u
        "#,
        &column(rows, |(stored, _)| stored.reference.book.value()),
        &column(rows, |(stored, _)| stored.reference.id),
        &column(rows, |(stored, _)| stored.version),
        &column(rows, |(_, decision)| decision.rule.to_owned()),
        &clicks as &[Option<Uuid>],
        &publishers as &[Option<Uuid>],
        &column(rows, |(_, decision)| serde_json::json!(decision.kept())),
        scope.model.map(|model| model.to_string()),
        scope.lookback_days,
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}
