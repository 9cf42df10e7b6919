//! The rows behind rates: rules of their own for part of a program, and tiers given by hand.
//!
//! Both are only ever added. What is to change gets a row that is effective later; what is to end
//! gets one without a rate or tier. A row for a moment that is past decides what is recorded from
//! now on for that moment, never what was recorded.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Kind, RateRule, Selector};
use crate::columns::column;
use crate::commission::FrozenRate;
use crate::party::ProgramRef;

/// A rate rule to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRateRule {
    /// Chosen by the caller.
    pub id: Uuid,
    /// The program it narrows.
    pub program: ProgramRef,
    /// Which of its orders.
    pub selector: Selector,
    /// From when on.
    pub effective_from: DateTime<Utc>,
    /// What they pay; nothing ends the rule that stands.
    pub pays: Option<FrozenRate>,
    /// Why, for whoever asks later.
    pub reason: String,
}

/// A tier to be given by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTier {
    /// Chosen by the caller.
    pub id: Uuid,
    /// The program whose rule has the tier.
    pub program: ProgramRef,
    /// Who gets it.
    pub publisher: Uuid,
    /// From when on.
    pub effective_from: DateTime<Utc>,
    /// The tier by name; nothing gives the publisher back to the tiers by volume.
    pub tier: Option<String>,
}

/// What can be wrong with rate rules.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// A rule for everything.
    #[error(
        "a rate rule names a publisher, product, plan, category or kind of order; the rate of \
             a whole program is a new version of its terms"
    )]
    NotNarrower,
    /// A rate in a currency that the program is not in.
    #[error("a rate in {0} does not fit the program; write it in the program's currency")]
    Currency(ledger::Currency),
    /// A tier that the program's rule does not have.
    #[error("tier {0:?} is not one of the program's; give one that is, or add it to the terms")]
    UnknownTier(String),
    /// Stored rules cannot be read.
    #[error("inconsistency in settlement.rate_rule {rule}: {problem}")]
    Inconsistent {
        /// Which one.
        rule: Uuid,
        /// What cannot be read.
        problem: String,
    },
    /// Terms cannot be read.
    #[error(transparent)]
    Party(#[from] crate::party::PartyError),
    /// Postgres failed.
    #[error("rate rules could not be read or written")]
    Database(#[from] sqlx::Error),
}

/// Adds rate rules.
///
/// # Errors
/// Before anything is written, if one of them fits no program.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub async fn add_rate_rules(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    rules: &[NewRateRule],
) -> Result<(), RuleError> {
    let programs = column(rules, |rule| rule.program);
    let terms = crate::party::terms_of(conn, &programs).await?;
    for rule in rules {
        if rule.selector.is_empty() {
            return Err(RuleError::NotNarrower);
        }
        let currency = rule.pays.and_then(FrozenRate::currency);
        let fits = |currency| {
            let mut versions = terms.get(&rule.program).into_iter().flatten();
            versions.all(|(_, terms)| terms.currency == currency)
        };
        if let Some(other) = currency.filter(|currency| !fits(*currency)) {
            return Err(RuleError::Currency(other));
        }
    }
    let publishers: Vec<Option<Uuid>> = column(rules, |r| r.selector.publisher);
    let products: Vec<Option<String>> = column(rules, |r| r.selector.product.clone());
    let plans: Vec<Option<String>> = column(rules, |r| r.selector.plan.clone());
    let categories: Vec<Option<String>> = column(rules, |r| r.selector.category.clone());
    let kinds: Vec<Option<String>> = column(rules, |r| {
        r.selector.kind.map(|kind| kind.as_str().to_owned())
    });
    let pays: Vec<Option<serde_json::Value>> =
        column(rules, |r| r.pays.map(|pays| serde_json::json!(pays)));
    let query = sqlx::query!(
        r#"
        insert into settlement.rate_rule (book_id, id, program_id, publisher_id, product, plan,
            category, kind, effective_from, pays, reason, created_at, created_by)
        select u.*, $12, $13
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                    $7::text[], $8::text[], $9::timestamptz[], $10::jsonb[], $11::text[]) as u
        "#,
        &column(rules, |r| r.program.book.value()),
        &column(rules, |r| r.id),
        &column(rules, |r| r.program.id),
        &publishers as &[Option<Uuid>],
        &products as &[Option<String>],
        &plans as &[Option<String>],
        &categories as &[Option<String>],
        &kinds as &[Option<String>],
        &column(rules, |r| r.effective_from),
        &pays as &[Option<serde_json::Value>],
        &column(rules, |r| r.reason.clone()),
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}

/// A rate rule as it stands, for lists.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// Only this publisher's orders.
    pub publisher: Option<String>,
    /// Only orders of this product.
    pub product: Option<String>,
    /// Only of this plan.
    pub plan: Option<String>,
    /// Only of this category.
    pub category: Option<String>,
    /// Only first orders, or repeat ones.
    pub kind: Option<String>,
    /// From when on, UTC.
    pub effective_from: DateTime<Utc>,
    /// What they pay, as JSON; nothing ends the rule before it.
    pub pays: Option<serde_json::Value>,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub created_by: String,
}

/// The rate rules of a program, the oldest first.
pub async fn of_program(
    conn: &mut PgConnection,
    program: ProgramRef,
) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as!(
        Listed,
        r#"
        select r.id, p.name as "publisher?", r.product, r.plan, r.category, r.kind,
               r.effective_from, r.pays, r.reason, r.created_by
        from settlement.rate_rule r
        left join settlement.publisher p on p.id = r.publisher_id
        where r.book_id = $1 and r.program_id = $2
        order by r.effective_from, r.created_at, r.id
        "#,
        program.book.value(),
        program.id,
    )
    .fetch_all(conn)
    .await
}

/// Gives tiers by hand.
///
/// # Errors
/// Before anything is written, if a program's latest rule has no such tier.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub async fn assign_tiers(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    tiers: &[NewTier],
) -> Result<(), RuleError> {
    let programs = column(tiers, |tier| tier.program);
    let terms = crate::party::terms_of(conn, &programs).await?;
    for new in tiers {
        let Some(tier) = &new.tier else { continue };
        let latest = terms.get(&new.program).and_then(|versions| versions.last());
        if !latest.is_some_and(|(_, terms)| terms.rule.has_tier(tier)) {
            return Err(RuleError::UnknownTier(tier.clone()));
        }
    }
    let names: Vec<Option<String>> = column(tiers, |t| t.tier.clone());
    let query = sqlx::query!(
        r#"
        insert into settlement.tier_assignment (book_id, id, program_id, publisher_id,
                                                effective_from, tier, created_at, created_by)
        select u.*, $7, $8
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[],
                    $6::text[]) as u
        "#,
        &column(tiers, |t| t.program.book.value()),
        &column(tiers, |t| t.id),
        &column(tiers, |t| t.program.id),
        &column(tiers, |t| t.publisher),
        &column(tiers, |t| t.effective_from),
        &names as &[Option<String>],
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}

/// Rate rules by program: those that name one of these publishers, or none at all.
pub(crate) async fn rate_rules(
    conn: &mut PgConnection,
    programs: &[ProgramRef],
    publishers: &[Uuid],
) -> Result<HashMap<ProgramRef, Vec<RateRule>>, RuleError> {
    let rows = sqlx::query!(
        r#"
        select r.book_id, r.id, r.program_id, r.publisher_id, r.product, r.plan, r.category,
               r.kind, r.effective_from, r.pays, r.created_at
        from unnest($1::bigint[], $2::uuid[]) as asked (book_id, id)
        join settlement.rate_rule r on r.book_id = asked.book_id and r.program_id = asked.id
             and (r.publisher_id is null or r.publisher_id = any ($3))
        "#,
        &column(programs, |program| program.book.value()),
        &column(programs, |program| program.id),
        publishers,
    )
    .fetch_all(conn)
    .await?;
    let mut rules: HashMap<ProgramRef, Vec<RateRule>> = HashMap::new();
    for row in rows {
        let wrong = |problem: &str| RuleError::Inconsistent {
            rule: row.id,
            problem: problem.to_owned(),
        };
        let kind = row
            .kind
            .as_deref()
            .map(|kind| Kind::named(kind).ok_or_else(|| wrong("kind")));
        let pays = row.pays.map(serde_json::from_value).transpose();
        let program = ProgramRef {
            book: BookId::from_value(row.book_id),
            id: row.program_id,
        };
        rules.entry(program).or_default().push(RateRule {
            id: row.id,
            selector: Selector {
                publisher: row.publisher_id,
                product: row.product,
                plan: row.plan,
                category: row.category,
                kind: kind.transpose()?,
            },
            effective_from: row.effective_from,
            created_at: row.created_at,
            pays: pays.map_err(|error| wrong(&error.to_string()))?,
        });
    }
    Ok(rules)
}

/// Tiers given by hand, the latest last.
pub(crate) type Tiers = HashMap<(ProgramRef, Uuid), Vec<(DateTime<Utc>, Option<String>)>>;

/// The tiers given to publishers in programs.
pub(crate) async fn tiers(
    conn: &mut PgConnection,
    asked: &[(ProgramRef, Uuid)],
) -> Result<Tiers, RuleError> {
    let rows = sqlx::query!(
        r#"
        select t.book_id, t.program_id, t.publisher_id, t.effective_from, t.tier
        from unnest($1::bigint[], $2::uuid[], $3::uuid[]) as u (book_id, program_id, publisher_id)
        join settlement.tier_assignment t on t.book_id = u.book_id
             and t.program_id = u.program_id and t.publisher_id = u.publisher_id
        order by t.effective_from, t.created_at, t.id
        "#,
        &column(asked, |(program, _)| program.book.value()),
        &column(asked, |(program, _)| program.id),
        &column(asked, |(_, publisher)| *publisher),
    )
    .fetch_all(conn)
    .await?;
    let mut tiers = Tiers::new();
    for row in rows {
        let program = ProgramRef {
            book: BookId::from_value(row.book_id),
            id: row.program_id,
        };
        let given = tiers.entry((program, row.publisher_id)).or_default();
        given.push((row.effective_from, row.tier));
    }
    Ok(tiers)
}
