//! Enrolments: which publisher may earn in which program, and from when to when.
//!
//! The times are a set of ranges, because an enrolment may be suspended and approved again: an
//! order counts when it was placed within one of them, however late it is reported.

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::changes::{Change, note};
use super::publisher::PublisherState;
use super::{PartyError, ProgramRef};
use crate::terms::stored_names;
use crate::tracking::link;

/// The state of an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentState {
    /// The publisher asked; nobody has decided yet.
    Applied,
    /// Its orders count.
    Approved,
    /// Its orders do not count until it is approved again.
    Suspended,
    /// Refused, or over.
    Ended,
}

stored_names!(EnrolmentState,
    EnrolmentState::Applied => "applied", EnrolmentState::Approved => "approved",
    EnrolmentState::Suspended => "suspended", EnrolmentState::Ended => "ended");

/// A decision about an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentAction {
    /// Orders count from now on.
    Approve,
    /// Orders do not count from now on, for a while.
    Suspend,
    /// Orders do not count from now on.
    End,
}

stored_names!(EnrolmentAction,
    EnrolmentAction::Approve => "approve", EnrolmentAction::Suspend => "suspend",
    EnrolmentAction::End => "end");

impl EnrolmentState {
    /// Where an action leads from here; the same state when it is there already, nothing when it
    /// cannot go there.
    #[must_use]
    pub fn after(self, action: EnrolmentAction) -> Option<EnrolmentState> {
        match (action, self) {
            (EnrolmentAction::Approve, _) => Some(EnrolmentState::Approved),
            (EnrolmentAction::End, _) => Some(EnrolmentState::Ended),
            (EnrolmentAction::Suspend, EnrolmentState::Approved | EnrolmentState::Suspended) => {
                Some(EnrolmentState::Suspended)
            }
            (EnrolmentAction::Suspend, EnrolmentState::Applied | EnrolmentState::Ended) => None,
        }
    }
}

/// An enrolment, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The program.
    pub program: ProgramRef,
    /// The program's name.
    pub program_name: String,
    /// The brand's name.
    pub brand: String,
    /// The publisher.
    pub publisher: Uuid,
    /// The publisher's name.
    pub publisher_name: String,
    /// Its state.
    pub state: String,
    /// From when orders count, as last approved; nothing for "always".
    pub earns_from: Option<DateTime<Utc>>,
    /// Until when orders count; nothing while it goes on.
    pub earns_until: Option<DateTime<Utc>>,
    /// When it was asked for or added.
    pub created_at: DateTime<Utc>,
}

/// Which enrolments a list shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnrolmentFilter {
    /// Those of the brand with this book.
    pub book: Option<BookId>,
    /// Those of one program.
    pub program: Option<ProgramRef>,
    /// Those of one publisher.
    pub publisher: Option<Uuid>,
    /// Those in one state.
    pub state: Option<EnrolmentState>,
}

/// Enrols publishers in programs, approved, for orders of all times; those enrolled already stay
/// as they are. For bringing in what was agreed elsewhere, such as the history of another system.
pub async fn enrol(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    enrolments: &[(ProgramRef, Uuid)],
) -> Result<u64, PartyError> {
    insert(conn, now, by, enrolments, EnrolmentState::Approved).await
}

/// Asks for enrolments; those enrolled or asked for already stay as they are. Nothing counts before
/// [`decide_enrolment`] approves.
pub async fn apply_to(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    enrolments: &[(ProgramRef, Uuid)],
) -> Result<u64, PartyError> {
    insert(conn, now, by, enrolments, EnrolmentState::Applied).await
}

async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    enrolments: &[(ProgramRef, Uuid)],
    state: EnrolmentState,
) -> Result<u64, PartyError> {
    let books: Vec<i64> = enrolments.iter().map(|(p, _)| p.book.value()).collect();
    let programs: Vec<Uuid> = enrolments.iter().map(|(program, _)| program.id).collect();
    let publishers: Vec<Uuid> = enrolments.iter().map(|(_, publisher)| *publisher).collect();
    let rows = sqlx::query!(
        r#"
        insert into settlement.enrolment as e
            (book_id, program_id, publisher_id, state, earns, created_at, created_by)
        select u.book_id, u.program_id, u.publisher_id, $4,
               case when $4 = 'approved' then '{(,)}' else '{}' end::tstzmultirange, $5, $6
        from unnest($1::bigint[], $2::uuid[], $3::uuid[]) as u (book_id, program_id, publisher_id)
        on conflict (book_id, program_id, publisher_id) do nothing
        returning e.program_id, e.publisher_id, to_jsonb(e) as "after!"
        "#,
        &books,
        &programs,
        &publishers,
        state.as_str(),
        now,
        by.as_str(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let changes: Vec<Change> = rows
        .into_iter()
        .map(|row| Change::created(subject(row.program_id, row.publisher_id), row.after))
        .collect();
    note(conn, now, by, state.as_str(), &changes).await?;
    if state == EnrolmentState::Approved {
        link::mint(conn, now, by, enrolments).await?;
    }
    Ok(u64::try_from(changes.len()).unwrap_or(u64::MAX))
}

/// Decides about an enrolment; asking for what is the case already changes nothing. Only an
/// approved publisher's enrolment in a program that is not closed can be approved.
pub async fn decide_enrolment(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    (program, publisher): (ProgramRef, Uuid),
    action: EnrolmentAction,
    reason: &str,
) -> Result<(), PartyError> {
    let before = sqlx::query!(
        r#"
        select e.state, p.name as program, p.state as program_state, u.name as publisher,
               u.state as publisher_state
        from settlement.enrolment e
        join settlement.program p on p.book_id = e.book_id and p.id = e.program_id
        join settlement.publisher u on u.id = e.publisher_id
        where e.book_id = $1 and e.program_id = $2 and e.publisher_id = $3
        for update of e
        "#,
        program.book.value(),
        program.id,
        publisher,
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or_else(|| PartyError::NotEnrolled {
        publisher: publisher.to_string(),
        program: program.id.to_string(),
    })?;
    if action == EnrolmentAction::Approve {
        let blocked = [
            (
                "publisher",
                &before.publisher,
                &before.publisher_state,
                "approved",
            ),
            ("program", &before.program, &before.program_state, "active"),
        ];
        for (kind, name, state, wanted) in blocked {
            let open = state == wanted || kind == "program" && state != "closed";
            if !open {
                return Err(PartyError::NotReady {
                    what: format!("{kind} {name:?}"),
                    state: state.clone(),
                    wanted,
                });
            }
        }
    }
    let state = EnrolmentState::named(&before.state);
    let next = state.and_then(|state| state.after(action));
    let (Some(state), Some(next)) = (state, next) else {
        return Err(PartyError::Impossible {
            what: format!(
                "enrolment of {:?} in {:?}",
                before.publisher, before.program
            ),
            state: state.map_or("in an unknown state", EnrolmentState::as_str),
            action: action.as_str(),
        });
    };
    if state != next {
        let steps = [(program.book.value(), program.id)];
        set(conn, now, &steps, publisher, next)
            .await?
            .keep(conn, now, by, action.as_str(), reason)
            .await?;
    }
    if next == EnrolmentState::Approved {
        link::mint(conn, now, by, &[(program, publisher)]).await?;
    }
    Ok(())
}

/// Suspends the approved enrolments of a publisher that is suspended, and approves the suspended
/// ones of a publisher that is approved again.
pub(super) async fn follow_publisher(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    publisher: Uuid,
    state: PublisherState,
    reason: &str,
) -> Result<(), PartyError> {
    let (from, to, action) = match state {
        PublisherState::Suspended => ("approved", EnrolmentState::Suspended, "suspend"),
        PublisherState::Approved => ("suspended", EnrolmentState::Approved, "approve"),
        PublisherState::Applied | PublisherState::Rejected => return Ok(()),
    };
    let rows = sqlx::query!(
        r#"
        select book_id, program_id from settlement.enrolment
        where publisher_id = $1 and state = $2
        order by book_id, program_id for update
        "#,
        publisher,
        from,
    )
    .fetch_all(&mut *conn)
    .await?;
    let steps: Vec<(i64, Uuid)> = rows.iter().map(|r| (r.book_id, r.program_id)).collect();
    set(conn, now, &steps, publisher, to)
        .await?
        .keep(conn, now, by, action, reason)
        .await
}

/// Enrolments before and after a step.
struct Stepped(Vec<(String, Value, Value)>);

impl Stepped {
    async fn keep(
        self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        by: &Actor,
        action: &'static str,
        reason: &str,
    ) -> Result<(), PartyError> {
        let changes: Vec<Change> = self
            .0
            .into_iter()
            .map(|(subject, before, after)| Change::step(subject, action, before, after))
            .collect();
        note(conn, now, by, reason, &changes).await?;
        Ok(())
    }
}

/// Sets the state of enrolments that the caller has locked, and whether orders count from now on.
async fn set(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    steps: &[(i64, Uuid)],
    publisher: Uuid,
    state: EnrolmentState,
) -> Result<Stepped, PartyError> {
    let books: Vec<i64> = steps.iter().map(|(book, _)| *book).collect();
    let programs: Vec<Uuid> = steps.iter().map(|(_, program)| *program).collect();
    let rows = sqlx::query!(
        r#"
        with asked as (
            select o.book_id, o.program_id, o.publisher_id, to_jsonb(o) as before
            from unnest($1::bigint[], $2::uuid[]) as u (book_id, program_id)
            join settlement.enrolment o on o.book_id = u.book_id
                 and o.program_id = u.program_id and o.publisher_id = $3
        )
        update settlement.enrolment e
        set state = $4,
            earns = case when $4 = 'approved'
                         then e.earns + tstzmultirange(tstzrange($5, null))
                         else e.earns - tstzmultirange(tstzrange($5, null)) end
        from asked
        where e.book_id = asked.book_id and e.program_id = asked.program_id
          and e.publisher_id = asked.publisher_id
        returning e.program_id, asked.before as "before!", to_jsonb(e) as "after!"
        "#,
        &books,
        &programs,
        publisher,
        state.as_str(),
        now,
    )
    .fetch_all(conn)
    .await?;
    let stepped = rows
        .into_iter()
        .map(|row| (subject(row.program_id, publisher), row.before, row.after));
    Ok(Stepped(stepped.collect()))
}

/// Enrolments in order of program and publisher, those after one.
pub async fn enrolments(
    conn: &mut PgConnection,
    filter: EnrolmentFilter,
    after: Option<(Uuid, Uuid)>,
    limit: i64,
) -> Result<Vec<Enrolment>, PartyError> {
    let rows = sqlx::query!(
        r#"
        select e.book_id, e.program_id, p.name as program_name, b.name as brand, e.publisher_id,
               u.name as publisher_name, e.state, upper(e.earns) as earns_until, e.created_at,
               (select max(lower(r)) from unnest(e.earns) as r) as earns_from
        from settlement.enrolment e
        join settlement.program p on p.book_id = e.book_id and p.id = e.program_id
        join settlement.brand b on b.id = p.brand_id
        join settlement.publisher u on u.id = e.publisher_id
        where ($1::uuid is null or e.program_id = $1) and ($2::uuid is null or e.publisher_id = $2)
          and ($3::text is null or e.state = $3)
          and ($4::uuid is null or (e.program_id, e.publisher_id) > ($4, $5))
          and ($7::bigint is null or e.book_id = $7)
        order by e.program_id, e.publisher_id limit $6
        "#,
        filter.program.map(|program| program.id),
        filter.publisher,
        filter.state.map(EnrolmentState::as_str),
        after.map(|(program, _)| program),
        after.map(|(_, publisher)| publisher),
        limit,
        filter.book.map(BookId::value),
    )
    .fetch_all(conn)
    .await?;
    let enrolments = rows.into_iter().map(|row| Enrolment {
        program: ProgramRef {
            book: BookId::from_value(row.book_id),
            id: row.program_id,
        },
        program_name: row.program_name,
        brand: row.brand,
        publisher: row.publisher_id,
        publisher_name: row.publisher_name,
        state: row.state,
        earns_from: row.earns_from,
        earns_until: row.earns_until,
        created_at: row.created_at,
    });
    Ok(enrolments.collect())
}

/// How its history is found.
fn subject(program: Uuid, publisher: Uuid) -> String {
    format!("enrolment:{program}/{publisher}")
}
