//! Publishers: they apply themselves or are added, and are approved before they earn.

use chrono::{DateTime, Utc};
use ledger::Actor;
use sqlx::PgConnection;
use uuid::Uuid;

use super::changes::{Change, note};
use super::enrolment::follow_publisher;
use super::{NewParty, PartyError, PublisherCode, plain};
use crate::terms::stored_names;

/// The state of a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublisherState {
    /// Asked to take part; nobody has decided yet.
    Applied,
    /// Takes part.
    Approved,
    /// Took part, and earns nothing until it is approved again.
    Suspended,
    /// Was refused; may be approved later.
    Rejected,
}

stored_names!(PublisherState,
    PublisherState::Applied => "applied", PublisherState::Approved => "approved",
    PublisherState::Suspended => "suspended", PublisherState::Rejected => "rejected");

/// A decision about a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublisherAction {
    /// Let it take part, for the first time or again.
    Approve,
    /// Stop it; its enrolments are suspended with it.
    Suspend,
    /// Refuse its application.
    Reject,
}

stored_names!(PublisherAction,
    PublisherAction::Approve => "approve", PublisherAction::Suspend => "suspend",
    PublisherAction::Reject => "reject");

impl PublisherState {
    /// Where an action leads from here; the same state when it is there already, nothing when it
    /// cannot go there.
    #[must_use]
    pub fn after(self, action: PublisherAction) -> Option<PublisherState> {
        use PublisherState::{Applied, Approved, Rejected, Suspended};
        match (action, self) {
            (PublisherAction::Approve, _) => Some(Approved),
            (PublisherAction::Suspend, Approved | Suspended) => Some(Suspended),
            (PublisherAction::Reject, Applied | Rejected) => Some(Rejected),
            (PublisherAction::Suspend | PublisherAction::Reject, _) => None,
        }
    }
}

/// A publisher's own application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Chosen by the caller.
    pub id: Uuid,
    /// Its name, unique.
    pub name: String,
    /// The public code it wishes; one that follows from the id if it names none.
    pub code: Option<PublisherCode>,
    /// Where to write to it.
    pub contact_mail: String,
    /// Where it publishes: an http or https address.
    pub website: String,
}

/// A publisher, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its public code.
    pub code: String,
    /// Its state.
    pub state: String,
    /// Where to write to it.
    pub contact_mail: Option<String>,
    /// Where it publishes.
    pub website: Option<String>,
    /// When it applied or was added.
    pub created_at: DateTime<Utc>,
}

/// Creates publishers that are not there yet, approved; returns how many were new.
pub async fn create_publishers(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    publishers: &[NewParty],
) -> Result<u64, PartyError> {
    let ids: Vec<Uuid> = publishers.iter().map(|publisher| publisher.id).collect();
    let names: Vec<String> = publishers.iter().map(|p| p.name.clone()).collect();
    let codes: Vec<String> = ids
        .iter()
        .map(|id| PublisherCode::of(*id).to_string())
        .collect();
    let created = sqlx::query!(
        r#"
        insert into settlement.publisher as p (id, name, code, state, created_at, created_by)
        select u.id, u.name, u.code, 'approved', $4, $5
        from unnest($1::uuid[], $2::text[], $3::text[]) as u (id, name, code)
        on conflict (name) do nothing
        returning p.id, to_jsonb(p) as "after!"
        "#,
        &ids,
        &names,
        &codes,
        now,
        by.as_str(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let changes: Vec<Change> = created
        .into_iter()
        .map(|row| Change::created(subject(row.id), row.after))
        .collect();
    note(conn, now, by, "created", &changes).await?;
    Ok(u64::try_from(changes.len()).unwrap_or(u64::MAX))
}

/// Takes an application: a publisher in state applied, which earns nothing yet.
///
/// # Errors
/// [`PartyError::NameTaken`], [`PartyError::CodeTaken`], and [`PartyError::NotPlain`] for a name,
/// mail address or website that cannot be.
pub async fn apply(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    application: &Application,
) -> Result<Publisher, PartyError> {
    application.check()?;
    let code = application.code.clone();
    let code = code.unwrap_or_else(|| PublisherCode::of(application.id));
    let taken = sqlx::query!(
        r#"select name = $1 as "by_name!" from settlement.publisher where name = $1 or code = $2
           order by 1 desc limit 1"#,
        application.name,
        code.as_str(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(taken) = taken {
        return Err(application.taken(taken.by_name, &code));
    }
    let after = sqlx::query_scalar!(
        r#"
        insert into settlement.publisher as p
            (id, name, code, state, contact_mail, website, created_at, created_by)
        values ($1, $2, $3, 'applied', $4, $5, $6, $7)
        on conflict do nothing
        returning to_jsonb(p) as "after!"
        "#,
        application.id,
        application.name,
        code.as_str(),
        application.contact_mail,
        application.website,
        now,
        by.as_str(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    // Somebody was quicker with the same name or code.
    let after = after.ok_or_else(|| application.taken(true, &code))?;
    let change = Change::created(subject(application.id), after);
    note(conn, now, by, "applied", &[change]).await?;
    find_publisher(conn, &application.id.to_string()).await
}

/// Decides about a publisher; asking for what is the case already changes nothing. Its enrolments
/// are suspended with it, and approved again with it.
pub async fn decide_publisher(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    publisher: Uuid,
    action: PublisherAction,
    reason: &str,
) -> Result<Publisher, PartyError> {
    let before = sqlx::query!(
        r#"
        select p.name, p.state, to_jsonb(p) as "row!" from settlement.publisher p
        where p.id = $1 for update
        "#,
        publisher,
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or_else(|| PartyError::UnknownPublisher(publisher.to_string()))?;
    let state = PublisherState::named(&before.state);
    let next = state.and_then(|state| state.after(action));
    let (Some(state), Some(next)) = (state, next) else {
        return Err(PartyError::Impossible {
            what: format!("publisher {:?}", before.name),
            state: state.map_or("in an unknown state", PublisherState::as_str),
            action: action.as_str(),
        });
    };
    if state != next {
        let after = sqlx::query_scalar!(
            r#"
            update settlement.publisher p set state = $2 where p.id = $1
            returning to_jsonb(p) as "after!"
            "#,
            publisher,
            next.as_str(),
        )
        .fetch_one(&mut *conn)
        .await?;
        let change = Change::step(subject(publisher), action.as_str(), before.row, after);
        note(conn, now, by, reason, &[change]).await?;
        follow_publisher(conn, now, by, publisher, next, reason).await?;
    }
    find_publisher(conn, &publisher.to_string()).await
}

/// A publisher by its id, code or name.
///
/// # Errors
/// [`PartyError::UnknownPublisher`] when there is none.
pub async fn find_publisher(conn: &mut PgConnection, key: &str) -> Result<Publisher, PartyError> {
    sqlx::query_as!(
        Publisher,
        r#"
        select id, name, code, state, contact_mail, website, created_at
        from settlement.publisher
        where id::text = lower($1) or code = $1 or name = $1
        order by (id::text = lower($1)) desc, (code = $1) desc limit 1
        "#,
        key,
    )
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| PartyError::UnknownPublisher(key.to_owned()))
}

/// Publishers in order of their ids: all or those in one state, those after one.
pub async fn publishers(
    conn: &mut PgConnection,
    state: Option<PublisherState>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Publisher>, PartyError> {
    let publishers = sqlx::query_as!(
        Publisher,
        r#"
        select id, name, code, state, contact_mail, website, created_at
        from settlement.publisher
        where ($1::text is null or state = $1) and ($2::uuid is null or id > $2)
        order by id limit $3
        "#,
        state.map(PublisherState::as_str),
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(publishers)
}

impl Application {
    fn check(&self) -> Result<(), PartyError> {
        plain("name", &self.name)?;
        plain("contact mail", &self.contact_mail)?;
        plain("website", &self.website)?;
        let wrong = |what, text: &str, wanted| PartyError::NotPlain {
            what,
            text: text.to_owned(),
            wanted,
        };
        let (local, domain) = self.contact_mail.rsplit_once('@').unwrap_or_default();
        if local.is_empty() || !domain.contains('.') || self.contact_mail.contains(' ') {
            let wanted = "a mail address such as zoe@example.org";
            return Err(wrong("contact mail", &self.contact_mail, wanted));
        }
        let website = url::Url::parse(&self.website).ok();
        let website = website.filter(|url| matches!(url.scheme(), "http" | "https"));
        if website.is_none_or(|url| url.host_str().is_none()) {
            let wanted = "an address such as https://example.org";
            return Err(wrong("website", &self.website, wanted));
        }
        Ok(())
    }

    fn taken(&self, by_name: bool, code: &PublisherCode) -> PartyError {
        if by_name {
            PartyError::NameTaken {
                kind: "publisher",
                name: self.name.clone(),
            }
        } else {
            PartyError::CodeTaken(code.to_string())
        }
    }
}

/// How its history is found.
fn subject(publisher: Uuid) -> String {
    format!("publisher:{publisher}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_that_takes_part_is_suspended_not_rejected() {
        let approved = PublisherState::Approved;
        assert_eq!(approved.after(PublisherAction::Reject), None);
        let suspended = approved.after(PublisherAction::Suspend);
        assert_eq!(suspended, Some(PublisherState::Suspended));
        assert_eq!(
            PublisherState::Applied.after(PublisherAction::Suspend),
            None
        );
    }
}
