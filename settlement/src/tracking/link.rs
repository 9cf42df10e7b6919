//! Links: the words in addresses, and the program and publisher behind each.
//!
//! A word means one thing whatever path it stands behind, so `/go/{slug}`, `/ref/{code}`,
//! `/r/{key}` and `?ref=` all ask the same table. When an enrolment is approved, a slug is minted
//! that follows from the publisher's name and the enrolment, so doing it again changes nothing.

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::judge::Standing;
use crate::columns::column;
use crate::party::ProgramRef;

/// What kind of word it is; for people, all are looked up alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Minted: `/go/{slug}`.
    Slug,
    /// The publisher's own: `/ref/{code}`.
    Code,
    /// A key: `/r/{key}`.
    Key,
    /// A product of the store's: `POST /api/track/click`.
    Product,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 4] = [Kind::Slug, Kind::Code, Kind::Key, Kind::Product];

    /// From its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Slug => "slug",
            Kind::Code => "code",
            Kind::Key => "key",
            Kind::Product => "product",
        }
    }
}

/// A link to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// The word: letters, digits, `.`, `_`, `~` and `-`, at most 64.
    pub slug: String,
    /// What kind of word it is.
    pub kind: Kind,
    /// Where it leads.
    pub program: ProgramRef,
    /// Who is credited.
    pub publisher: Uuid,
    /// A page of the program's hosts; `None`: the program's own destination.
    pub dest_url: Option<String>,
    /// `utm_campaign`.
    pub campaign: Option<String>,
}

/// A link as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The word.
    pub slug: String,
    /// Where it leads.
    pub program: ProgramRef,
    /// Who is credited.
    pub publisher: Uuid,
    /// A page of the program's hosts.
    pub dest_url: Option<String>,
    /// `utm_campaign`.
    pub campaign: Option<String>,
    /// Whether its clicks can count.
    pub standing: Standing,
}

/// Makes links; a word that is taken stays with whom it belongs to. Returns the words made.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub async fn create(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    links: &[NewLink],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        insert into settlement.link (slug, kind, book_id, program_id, publisher_id, dest_url,
                                     campaign, created_at, created_by)
        select u.*, $8, $9
        from unnest($1::text[], $2::text[], $3::bigint[], $4::uuid[], $5::uuid[], $6::text[],
                    $7::text[]) as u
        on conflict (slug) do nothing
        returning slug
        "#,
        &column(links, |l| l.slug.clone()),
        &column(links, |l| l.kind.as_str().to_owned()),
        &column(links, |l| l.program.book.value()),
        &column(links, |l| l.program.id),
        &column(links, |l| l.publisher),
        &column(links, |l| l.dest_url.clone()) as &[Option<String>],
        &column(links, |l| l.campaign.clone()) as &[Option<String>],
        now,
        by.as_str(),
    )
    .fetch_all(conn)
    .await
}

/// Ends links; returns how many were not over yet.
pub async fn end(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    slugs: &[String],
) -> Result<u64, sqlx::Error> {
    let ended = sqlx::query!(
        r#"
        update settlement.link set ended_at = $2, ended_by = $3
        where slug = any($1) and ended_at is null
        "#,
        slugs,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected())
}

/// Mints a slug for each enrolment; one that has a slug keeps it.
pub async fn mint(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    enrolments: &[(ProgramRef, Uuid)],
) -> Result<Vec<String>, sqlx::Error> {
    let ids = column(enrolments, |(_, publisher)| *publisher);
    let rows = sqlx::query!(
        "select id, name from settlement.publisher where id = any($1)",
        &ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    let name = |id: Uuid| {
        rows.iter()
            .find(|row| row.id == id)
            .map(|row| row.name.as_str())
    };
    let links: Vec<NewLink> = enrolments
        .iter()
        .filter_map(|(program, publisher)| {
            Some(NewLink {
                slug: slug(name(*publisher)?, *program, *publisher),
                kind: Kind::Slug,
                program: *program,
                publisher: *publisher,
                dest_url: None,
                campaign: None,
            })
        })
        .collect();
    create(conn, now, by, &links).await
}

/// The slug of an enrolment: the publisher's name as far as an address can hold it, and eight
/// characters that follow from both ids.
#[must_use]
pub fn slug(publisher_name: &str, program: ProgramRef, publisher: Uuid) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz2345678";
    let mut slug = String::new();
    for letter in publisher_name.chars().map(|c| c.to_ascii_lowercase()) {
        match letter {
            _ if slug.len() >= 24 => break,
            'a'..='z' | '0'..='9' => slug.push(letter),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    if !slug.is_empty() && !slug.ends_with('-') {
        slug.push('-');
    }
    let mut hash = Sha256::new();
    hash.update(program.book.value().to_be_bytes());
    hash.update(program.id.as_bytes());
    hash.update(publisher.as_bytes());
    let letters = hash.finalize();
    slug.extend(
        letters
            .iter()
            .take(8)
            .map(|b| char::from(LETTERS[usize::from(b & 31)])),
    );
    slug
}

/// Every link with what decides whether it counts: what a redirect keeps in memory. A publisher's
/// own code leads to the program it was enrolled in first, of those that take clicks.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<Link>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with word as (
            select slug, book_id, program_id, publisher_id, dest_url, campaign,
                   ended_at is not null as ended
            from settlement.link
            union all
            select u.code, e.book_id, e.program_id, u.id, null, null, false
            from settlement.publisher u
            join lateral (
                select e.book_id, e.program_id
                from settlement.enrolment e
                join settlement.program p on p.book_id = e.book_id and p.id = e.program_id
                where e.publisher_id = u.id
                order by (p.state = 'active') desc, (e.state = 'approved') desc, e.created_at,
                         e.program_id
                limit 1
            ) e on true
            where not exists (select from settlement.link l where l.slug = u.code)
        )
        select w.slug as "slug!", w.book_id as "book_id!", w.program_id as "program_id!",
               w.publisher_id as "publisher_id!", w.dest_url, w.campaign, w.ended as "ended!",
               p.state = 'active' as "program_active!",
               u.state = 'approved' and coalesce(e.state, '') = 'approved' as "publisher_active!"
        from word w
        join settlement.program p on p.book_id = w.book_id and p.id = w.program_id
        join settlement.publisher u on u.id = w.publisher_id
        left join settlement.enrolment e
               on e.book_id = w.book_id and e.program_id = w.program_id
              and e.publisher_id = w.publisher_id
        "#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Link {
            slug: row.slug,
            program: ProgramRef {
                book: BookId::from_value(row.book_id),
                id: row.program_id,
            },
            publisher: row.publisher_id,
            dest_url: row.dest_url,
            campaign: row.campaign,
            standing: match (row.program_active, row.publisher_active, row.ended) {
                (false, ..) => Standing::ProgramInactive,
                (true, false, _) => Standing::PublisherInactive,
                (true, true, true) => Standing::ProductInactive,
                (true, true, false) => Standing::Active,
            },
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_follows_from_the_enrolment_and_fits_into_an_address() {
        let program = ProgramRef {
            book: BookId::from_value(1),
            id: Uuid::from_u128(2),
        };
        let of = |name: &str| slug(name, program, Uuid::from_u128(3));
        assert_eq!(of("My Blog!"), of("My Blog!"));
        assert!(of("My Blog!").starts_with("my-blog-"), "{}", of("My Blog!"));
        assert_ne!(
            of("My Blog!"),
            slug("My Blog!", program, Uuid::from_u128(4))
        );
        for name in ["", "  ", "日本", "a\u{301}é", &"long ".repeat(40)] {
            let slug = of(name);
            assert!(slug.len() <= 33 && slug.len() >= 8, "{slug}");
            assert!(
                slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
                "{slug}"
            );
            assert!(!slug.starts_with('-'), "{slug}");
        }
    }
}
