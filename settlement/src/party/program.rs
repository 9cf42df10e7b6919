//! Programs: drafted, reviewed by an administrator, active, paused, closed for good.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::changes::{Change, note};
use super::versions::{add_terms, insert_terms, terms_of};
use super::{NewProgram, PartyError, ProgramRef, brands_by_name};
use crate::terms::{Terms, stored_names};

/// The state of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramState {
    /// Being written.
    Draft,
    /// Waits for an administrator.
    Review,
    /// Publishers may enrol and earn.
    Active,
    /// Its links lead to the fallback; what was clicked before still earns.
    Paused,
    /// Ended for good.
    Closed,
}

stored_names!(ProgramState,
    ProgramState::Draft => "draft", ProgramState::Review => "review",
    ProgramState::Active => "active", ProgramState::Paused => "paused",
    ProgramState::Closed => "closed");

/// A decision about a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramAction {
    /// Give a draft to an administrator.
    Submit,
    /// Open it, or open it again.
    Activate,
    /// Stop it for a while.
    Pause,
    /// End it for good.
    Close,
}

stored_names!(ProgramAction,
    ProgramAction::Submit => "submit", ProgramAction::Activate => "activate",
    ProgramAction::Pause => "pause", ProgramAction::Close => "close");

impl ProgramState {
    /// Where an action leads from here; the same state when it is there already, nothing when it
    /// cannot go there.
    #[must_use]
    pub fn after(self, action: ProgramAction) -> Option<ProgramState> {
        use ProgramState::{Active, Closed, Draft, Paused, Review};
        match (action, self) {
            (ProgramAction::Submit, Draft | Review) => Some(Review),
            (ProgramAction::Activate, Draft | Review | Active | Paused) => Some(Active),
            (ProgramAction::Pause, Active | Paused) => Some(Paused),
            (ProgramAction::Close, _) => Some(Closed),
            (ProgramAction::Submit | ProgramAction::Activate | ProgramAction::Pause, _) => None,
        }
    }
}

/// A program, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its book and id.
    pub reference: ProgramRef,
    /// Its name, unique within the brand.
    pub name: String,
    /// Its brand's name.
    pub brand: String,
    /// Its state.
    pub state: String,
    /// The latest version of its terms.
    pub terms_version: i32,
    /// The currency of its latest terms.
    pub currency: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// Creates active programs that are not there yet, with version 1 of their terms; returns how many
/// were new.
///
/// # Errors
/// [`PartyError::UnknownBrand`] before anything is written.
pub async fn create_programs(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    programs: &[NewProgram],
) -> Result<u64, PartyError> {
    create_programs_as(conn, now, by, programs, ProgramState::Active).await
}

/// Creates programs in a state, as [`create_programs`].
pub async fn create_programs_as(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    programs: &[NewProgram],
    state: ProgramState,
) -> Result<u64, PartyError> {
    let brands = brands_by_name(conn).await?;
    let mut references = HashMap::new();
    let mut brand_ids = Vec::new();
    for program in programs {
        let brand = brands.get(&program.brand);
        let (brand, book) =
            *brand.ok_or_else(|| PartyError::UnknownBrand(program.brand.clone()))?;
        brand_ids.push(brand);
        let id = program.id;
        references.insert(id, ProgramRef { book, id });
    }
    let ids: Vec<Uuid> = programs.iter().map(|program| program.id).collect();
    let books: Vec<i64> = ids.iter().map(|id| references[id].book.value()).collect();
    let names: Vec<String> = programs.iter().map(|p| p.name.clone()).collect();
    let created = sqlx::query!(
        r#"
        insert into settlement.program as p
            (book_id, id, brand_id, name, state, created_at, created_by)
        select u.book_id, u.id, u.brand_id, u.name, $5, $6, $7
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[])
             as u (book_id, id, brand_id, name)
        on conflict (book_id, name) do nothing
        returning p.id, to_jsonb(p) as "after!"
        "#,
        &books,
        &ids,
        &brand_ids,
        &names,
        state.as_str(),
        now,
        by.as_str(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let first: Vec<(ProgramRef, i32, &Terms)> = programs
        .iter()
        .filter(|p| created.iter().any(|row| row.id == p.id))
        .map(|p| (references[&p.id], 1, &p.terms))
        .collect();
    insert_terms(conn, now, by, &first).await?;
    let changes: Vec<Change> = created
        .into_iter()
        .map(|row| Change::created(subject(row.id), row.after))
        .collect();
    note(conn, now, by, "created", &changes).await?;
    Ok(u64::try_from(changes.len()).unwrap_or(u64::MAX))
}

/// Decides about a program; asking for what is the case already changes nothing.
pub async fn decide_program(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    program: ProgramRef,
    action: ProgramAction,
    reason: &str,
) -> Result<Program, PartyError> {
    let before = sqlx::query!(
        r#"
        select p.name, p.state, to_jsonb(p) as "row!" from settlement.program p
        where p.book_id = $1 and p.id = $2 for update
        "#,
        program.book.value(),
        program.id,
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or_else(|| PartyError::UnknownProgram(program.id.to_string()))?;
    let state = ProgramState::named(&before.state);
    let next = state.and_then(|state| state.after(action));
    let (Some(state), Some(next)) = (state, next) else {
        return Err(PartyError::Impossible {
            what: format!("program {:?}", before.name),
            state: state.map_or("in an unknown state", ProgramState::as_str),
            action: action.as_str(),
        });
    };
    if state != next {
        let after = sqlx::query_scalar!(
            r#"
            update settlement.program p set state = $3 where p.book_id = $1 and p.id = $2
            returning to_jsonb(p) as "after!"
            "#,
            program.book.value(),
            program.id,
            next.as_str(),
        )
        .fetch_one(&mut *conn)
        .await?;
        let change = Change::step(subject(program.id), action.as_str(), before.row, after);
        note(conn, now, by, reason, &[change]).await?;
    }
    find_program(conn, &program.id.to_string()).await
}

/// Adds a version to a program's terms, with the reason; what `write` makes of the latest version.
/// Two who add at once add one after the other.
pub async fn change_terms<E>(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    program: ProgramRef,
    reason: &str,
    write: impl FnOnce(&Terms) -> Result<Terms, E> + Send,
) -> Result<Result<(i32, Terms), E>, PartyError> {
    let before = sqlx::query!(
        r#"
        select p.name, p.state from settlement.program p
        where p.book_id = $1 and p.id = $2 for update
        "#,
        program.book.value(),
        program.id,
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or_else(|| PartyError::UnknownProgram(program.id.to_string()))?;
    if before.state == ProgramState::Closed.as_str() {
        return Err(PartyError::NotReady {
            what: format!("program {:?}", before.name),
            state: before.state,
            wanted: "open",
        });
    }
    let versions = terms_of(conn, &[program]).await?;
    let latest = versions.get(&program).and_then(|versions| versions.last());
    let (_, latest) = latest.ok_or_else(|| PartyError::Terms {
        program: program.id,
        problem: "there are none".to_owned(),
    })?;
    let terms = match write(latest) {
        Ok(terms) => terms,
        Err(error) => return Ok(Err(error)),
    };
    let version = add_terms(conn, now, by, program, &terms).await?;
    let rows = sqlx::query!(
        r#"
        select to_jsonb(t) as "row!" from settlement.program_terms t
        where t.book_id = $1 and t.program_id = $2 and t.version >= $3 - 1
        order by t.version
        "#,
        program.book.value(),
        program.id,
        version,
    )
    .fetch_all(&mut *conn)
    .await?;
    if let [before, after] = rows.as_slice() {
        let subject = format!("terms:{}", program.id);
        let change = Change::step(subject, "add", before.row.clone(), after.row.clone());
        note(conn, now, by, reason, &[change]).await?;
    }
    Ok(Ok((version, terms)))
}

/// All versions of a program's terms, the oldest first.
pub async fn terms_versions(
    conn: &mut PgConnection,
    program: ProgramRef,
) -> Result<Vec<(i32, Terms)>, PartyError> {
    let mut versions = terms_of(conn, &[program]).await?;
    Ok(versions.remove(&program).unwrap_or_default())
}

/// A program by its id, its name or its brand's, or as `brand/program`.
///
/// # Errors
/// [`PartyError::UnknownProgram`] when there is none, [`PartyError::AmbiguousProgram`] when the
/// name fits several.
pub async fn find_program(conn: &mut PgConnection, key: &str) -> Result<Program, PartyError> {
    let mut fitting = read(conn, Some(key), (None, None), None, 2).await?;
    match (fitting.pop(), fitting.pop()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(PartyError::UnknownProgram(key.to_owned())),
        (Some(_), Some(_)) => Err(PartyError::AmbiguousProgram(key.to_owned())),
    }
}

/// Programs in order of their ids: all or those of one brand, by its name or id or by its book,
/// those after one.
pub async fn programs(
    conn: &mut PgConnection,
    brand: Option<&str>,
    book: Option<BookId>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Program>, PartyError> {
    read(conn, None, (brand, book), after, limit).await
}

async fn read(
    conn: &mut PgConnection,
    key: Option<&str>,
    (brand, book): (Option<&str>, Option<BookId>),
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Program>, PartyError> {
    let rows = sqlx::query!(
        r#"
        select p.book_id, p.id, p.name, b.name as brand, p.state, p.created_at,
               t.version as terms_version, t.currency
        from settlement.program p
        join settlement.brand b on b.id = p.brand_id
        join lateral (
            select l.version, l.currency from settlement.program_terms l
            where l.book_id = p.book_id and l.program_id = p.id
            order by l.version desc limit 1
        ) t on true
        where ($1::text is null
               or $1 in (p.id::text, p.name, b.name, concat(b.name, '/', p.name)))
          and ($2::text is null or $2 in (b.name, b.id::text))
          and ($3::uuid is null or p.id > $3)
          and ($5::bigint is null or p.book_id = $5)
        order by p.id limit $4
        "#,
        key,
        brand,
        after,
        limit,
        book.map(BookId::value),
    )
    .fetch_all(conn)
    .await?;
    let programs = rows.into_iter().map(|row| Program {
        reference: ProgramRef {
            book: BookId::from_value(row.book_id),
            id: row.id,
        },
        name: row.name,
        brand: row.brand,
        state: row.state,
        terms_version: row.terms_version,
        currency: row.currency,
        created_at: row.created_at,
    });
    Ok(programs.collect())
}

/// How its history is found.
fn subject(program: Uuid) -> String {
    format!("program:{program}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_program_stays_closed_and_a_draft_cannot_be_paused() {
        for action in [
            ProgramAction::Submit,
            ProgramAction::Activate,
            ProgramAction::Pause,
        ] {
            assert_eq!(ProgramState::Closed.after(action), None);
        }
        assert_eq!(ProgramState::Draft.after(ProgramAction::Pause), None);
    }
}
