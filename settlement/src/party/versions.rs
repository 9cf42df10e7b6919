//! Terms of programs, version by version: added, never edited.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId, Rate};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{PartyError, ProgramRef};
use crate::columns::column;
use crate::fees::{FeeError, FeeModel, Fees};
use crate::terms::{Presentation, RecognitionPoint, Terms, Unattributed};
use crate::terms::{rounding_name, rounding_named};

/// Adds a version to a program's terms; orders from `terms.effective_from` on are decided by it.
pub async fn add_terms(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    program: ProgramRef,
    terms: &Terms,
) -> Result<i32, PartyError> {
    let latest = sqlx::query_scalar!(
        r#"
        select coalesce(max(version), 0) as "latest!"
        from settlement.program_terms where book_id = $1 and program_id = $2
        "#,
        program.book.value(),
        program.id,
    )
    .fetch_one(&mut *conn)
    .await?;
    insert_terms(conn, now, by, &[(program, latest + 1, terms)]).await?;
    Ok(latest + 1)
}

/// Rules in another currency than the terms would make a batch of orders fail later.
fn check(versions: &[(ProgramRef, i32, &Terms)]) -> Result<(), PartyError> {
    let flaw = |(program, _, terms): &(ProgramRef, i32, &Terms)| {
        let problem = terms.rules.flaw(terms.currency)?;
        let program = program.id;
        Some(PartyError::Rules { program, problem })
    };
    versions.iter().find_map(flaw).map_or(Ok(()), Err)
}

/// Writes versions of terms.
pub(super) async fn insert_terms(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    versions: &[(ProgramRef, i32, &Terms)],
) -> Result<(), PartyError> {
    check(versions)?;
    let each = |f: &dyn Fn(&Terms) -> String| -> Vec<String> {
        versions.iter().map(|(_, _, terms)| f(terms)).collect()
    };
    let books = column(versions, |(program, _, _)| program.book.value());
    let programs = column(versions, |(program, _, _)| program.id);
    let numbers = column(versions, |(_, version, _)| *version);
    let from = column(versions, |(_, _, terms)| terms.effective_from);
    let rules = column(versions, |(_, _, t)| serde_json::json!(t.rule));
    let more = column(versions, |(_, _, t)| serde_json::json!(t.rules));
    let fees: Vec<Fees> = column(versions, |(_, _, terms)| terms.fee_model.fees());
    let brand_rates: Vec<_> = fees.iter().map(|f| f.brand_rate.as_fraction()).collect();
    let publisher_rates: Vec<_> = fees
        .iter()
        .map(|f| f.publisher_rate.as_fraction())
        .collect();
    let lookbacks: Vec<i32> = versions
        .iter()
        .map(|(_, _, terms)| terms.lookback_days)
        .collect();
    let attributions: Vec<_> = versions
        .iter()
        .map(|(_, _, t)| serde_json::json!(t.attribution))
        .collect();
    let query = sqlx::query!(
        r#"
        insert into settlement.program_terms
            (book_id, program_id, version, effective_from, currency, rule, fee_model,
             fee_brand_rate, fee_publisher_rate, rounding, recognition_point, presentation,
             unattributed, lookback_days, attribution, rules, created_at, created_by)
        select u.*, $17, $18
        from unnest($1::bigint[], $2::uuid[], $3::int[], $4::timestamptz[], $5::text[],
                    $6::jsonb[], $7::text[], $8::numeric[], $9::numeric[], $10::text[],
                    $11::text[], $12::text[], $13::text[], $14::int[], $15::jsonb[],
                    $16::jsonb[]) as u
        "#,
        &books,
        &programs,
        &numbers,
        &from,
        &each(&|t| t.currency.code().to_owned()),
        &rules,
        &each(&|t| t.fee_model.name().to_owned()),
        &brand_rates,
        &publisher_rates,
        &each(&|t| rounding_name(t.rounding).to_owned()),
        &each(&|t| t.recognition_point.as_str().to_owned()),
        &each(&|t| t.presentation.as_str().to_owned()),
        &each(&|t| t.unattributed.as_str().to_owned()),
        &lookbacks,
        &attributions,
        &more,
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}

/// All terms of some programs, by program, oldest version first.
pub(crate) async fn terms_of(
    conn: &mut PgConnection,
    programs: &[ProgramRef],
) -> Result<HashMap<ProgramRef, Vec<(i32, Terms)>>, PartyError> {
    let books: Vec<i64> = programs
        .iter()
        .map(|program| program.book.value())
        .collect();
    let ids: Vec<Uuid> = programs.iter().map(|program| program.id).collect();
    let rows = sqlx::query_as!(
        TermsRow,
        r#"
        select t.book_id, t.program_id, t.version, t.effective_from, t.currency, t.rule,
               t.fee_model, t.fee_brand_rate, t.fee_publisher_rate, t.rounding,
               t.recognition_point, t.presentation, t.unattributed, t.lookback_days,
               t.attribution, t.rules
        from unnest($1::bigint[], $2::uuid[]) as asked (book_id, id)
        join settlement.program_terms t on t.book_id = asked.book_id and t.program_id = asked.id
        order by t.book_id, t.program_id, t.version
        "#,
        &books,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let mut terms: HashMap<ProgramRef, Vec<(i32, Terms)>> = HashMap::new();
    for row in rows {
        let program = ProgramRef {
            book: BookId::from_value(row.book_id),
            id: row.program_id,
        };
        let version = row.version;
        let read = row.read().map_err(|problem| PartyError::Terms {
            program: program.id,
            problem,
        })?;
        terms.entry(program).or_default().push((version, read));
    }
    Ok(terms)
}

struct TermsRow {
    book_id: i64,
    program_id: Uuid,
    version: i32,
    effective_from: DateTime<Utc>,
    currency: String,
    rule: serde_json::Value,
    fee_model: String,
    fee_brand_rate: rust_decimal::Decimal,
    fee_publisher_rate: rust_decimal::Decimal,
    rounding: String,
    recognition_point: String,
    presentation: String,
    unattributed: String,
    lookback_days: i32,
    attribution: serde_json::Value,
    rules: serde_json::Value,
}

impl TermsRow {
    fn read(self) -> Result<Terms, String> {
        let fees = Fees {
            brand_rate: Rate::fraction(self.fee_brand_rate).map_err(|e| e.to_string())?,
            publisher_rate: Rate::fraction(self.fee_publisher_rate).map_err(|e| e.to_string())?,
        };
        let unknown = |column: &str, value: &str| format!("{column} {value:?} is unknown");
        Ok(Terms {
            effective_from: self.effective_from,
            currency: self
                .currency
                .parse()
                .map_err(|e| format!("currency: {e}"))?,
            rule: serde_json::from_value(self.rule).map_err(|e| format!("rule: {e}"))?,
            fee_model: FeeModel::from_stored(&self.fee_model, fees)
                .map_err(|e: FeeError| e.to_string())?,
            rounding: rounding_named(&self.rounding)
                .ok_or_else(|| unknown("rounding", &self.rounding))?,
            recognition_point: RecognitionPoint::named(&self.recognition_point)
                .ok_or_else(|| unknown("recognition_point", &self.recognition_point))?,
            presentation: Presentation::named(&self.presentation)
                .ok_or_else(|| unknown("presentation", &self.presentation))?,
            unattributed: Unattributed::named(&self.unattributed)
                .ok_or_else(|| unknown("unattributed", &self.unattributed))?,
            lookback_days: self.lookback_days,
            attribution: serde_json::from_value(self.attribution)
                .map_err(|e| format!("attribution: {e}"))?,
            rules: serde_json::from_value(self.rules).map_err(|e| format!("rules: {e}"))?,
        })
    }
}
