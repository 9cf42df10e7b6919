//! Programs, discrepancies and figures in Postgres.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId, Currency, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Discrepancy, Figures, Program, ReportedError, Strictness};
use crate::columns::column;
use crate::conversion::{ConversionRef, State};
use crate::party::ProgramRef;

/// The namespace of discrepancy ids.
const DISCREPANCIES: Uuid = Uuid::from_u128(0x61b0_9c1e_52f4_5d0a_8b6f_3e27_90cd_a4b1);

/// The program of an id.
pub async fn program(conn: &mut PgConnection, id: Uuid) -> Result<Option<Program>, ReportedError> {
    let row = sqlx::query!(
        r#"
        select p.book_id, t.currency, i.strict_duplicates as "strict_duplicates?",
               i.postback_max_age_days as "postback_max_age_days?"
        from settlement.program p
        join lateral (
            select l.currency from settlement.program_terms l
            where l.book_id = p.book_id and l.program_id = p.id
            order by l.version desc limit 1
        ) t on true
        left join settlement.program_intake i on i.book_id = p.book_id and i.program_id = p.id
        where p.id = $1
        "#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let wrong = |_| ReportedError::Inconsistent {
            table: "settlement.program_terms",
            row: id,
            problem: "currency",
        };
        let book = BookId::from_value(row.book_id);
        Ok(Program {
            reference: ProgramRef { book, id },
            currency: row.currency.parse::<Currency>().map_err(wrong)?,
            strictness: Strictness {
                duplicates: row.strict_duplicates.unwrap_or_default(),
                max_age_days: row.postback_max_age_days,
            },
        })
    })
    .transpose()
}

/// The program of a brand that has exactly one.
pub async fn only_program(
    conn: &mut PgConnection,
    book: BookId,
) -> Result<Option<Uuid>, ReportedError> {
    let ids = sqlx::query_scalar!(
        "select id from settlement.program where book_id = $1 limit 2",
        book.value(),
    )
    .fetch_all(conn)
    .await?;
    Ok(match ids.as_slice() {
        [only] => Some(*only),
        _ => None,
    })
}

/// Says how strict a program is from now on.
pub async fn set_strictness(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    program: ProgramRef,
    strictness: Strictness,
) -> Result<(), ReportedError> {
    let query = sqlx::query!(
        r#"
        insert into settlement.program_intake (book_id, program_id, strict_duplicates,
                                               postback_max_age_days, changed_at, changed_by)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (book_id, program_id) do update
        set strict_duplicates = excluded.strict_duplicates,
            postback_max_age_days = excluded.postback_max_age_days,
            changed_at = excluded.changed_at, changed_by = excluded.changed_by
        "#,
        program.book.value(),
        program.id,
        strictness.duplicates,
        strictness.max_age_days,
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}

/// Keeps discrepancies; one that was kept before is left as it is. Returns how many were new.
pub async fn notice(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    discrepancies: &[Discrepancy],
) -> Result<u64, ReportedError> {
    if discrepancies.is_empty() {
        return Ok(0);
    }
    let id = |d: &Discrepancy| {
        let parts = [
            &d.program.id.to_string(),
            &d.order_ref,
            d.kind.as_str(),
            &d.reported,
        ];
        Uuid::new_v5(&DISCREPANCIES, parts.join("\u{1f}").as_bytes())
    };
    let query = sqlx::query!(
        r#"
        insert into settlement.discrepancy (book_id, id, program_id, order_ref, kind, reported,
                                            stands, noticed_at, noticed_by)
        select u.*, $8, $9
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                    $7::text[]) as u
        on conflict (book_id, id) do nothing
        "#,
        &column(discrepancies, |d| d.program.book.value()),
        &column(discrepancies, id),
        &column(discrepancies, |d| d.program.id),
        &column(discrepancies, |d| d.order_ref.clone()),
        &column(discrepancies, |d| d.kind.as_str().to_owned()),
        &column(discrepancies, |d| d.reported.clone()),
        &column(discrepancies, |d| d.stands.clone()),
        now,
        by.as_str(),
    );
    Ok(query.execute(conn).await?.rows_affected())
}

/// What conversions earn now.
pub async fn figures(
    conn: &mut PgConnection,
    conversions: &[ConversionRef],
) -> Result<HashMap<ConversionRef, Figures>, ReportedError> {
    if conversions.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"
        select c.book_id, c.id, c.state, c.held_from, c.publisher_id, c.currency, c.gross,
               c.fee_brand + c.fee_publisher as "fee!", c.publisher_due, c.occurred_at
        from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
        join settlement.conversion c on c.book_id = u.book_id and c.id = u.id
        "#,
        &column(conversions, |c| c.book.value()),
        &column(conversions, |c| c.id),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let wrong = |problem| ReportedError::Inconsistent {
                table: "settlement.conversion",
                row: row.id,
                problem,
            };
            let currency: Currency = row.currency.parse().map_err(|_| wrong("currency"))?;
            let money = |minor| Money::try_from_minor(minor, currency).map_err(|_| wrong("amount"));
            let figures = Figures {
                state: State::named(&row.state, row.held_from.as_deref())
                    .ok_or_else(|| wrong("state"))?,
                publisher: row.publisher_id,
                commission: money(row.gross)?,
                network_fee: money(row.fee)?,
                publisher_payout: money(row.publisher_due)?,
                occurred_at: row.occurred_at,
            };
            let book = BookId::from_value(row.book_id);
            Ok((ConversionRef { book, id: row.id }, figures))
        })
        .collect()
}
