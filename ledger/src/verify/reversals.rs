//! One entry per fact, and reversals: each mirrors an entry that was in force when it was made.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::VerifyError;
use super::accounts::Books;
use super::copy::{Fields, Rows, bigints, fields, int8, uuid};
use super::findings::Findings;

const TABLE: &str = "ledger.entry";
const COLUMNS: usize = 9;

/// The id of an entry is a function of its fact, so a fact posted twice has the same id twice.
pub(super) async fn once(
    conn: &mut PgConnection,
    books: &Books,
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let rows = sqlx::query!(
        r#"
        select book_id as "book!", id as "id!", array_agg(number order by number) as "numbers!"
        from ledger.entry
        where book_id is not null and id is not null and number is not null
        group by book_id, id
        having count(*) > 1
        order by 1, 2
        limit 1000
        "#
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let name = books.name(row.book);
        if let [first, again @ ..] = row.numbers.as_slice() {
            for &number in again {
                let problem = format!("the same fact was posted before, as entry {first}");
                findings.entry(TABLE, &name, (number, Some(row.id)), problem);
            }
        }
    }
    Ok(())
}

/// Reads the reversals of all books in number order, each with the entry that it takes back.
pub(super) async fn reversals(
    conn: &mut PgConnection,
    books: &Books,
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let mut rows = Rows::of(
        conn,
        "copy (select distinct on (r.book_id, r.number)
                      r.book_id, r.number, r.id, r.reverses, r.accounts, r.amounts,
                      t.number, t.accounts, t.amounts
               from ledger.entry r
               left join ledger.entry t on t.book_id = r.book_id and t.id = r.reverses
               where r.reverses is not null
               order by r.book_id, r.number, t.number) to stdout (format binary)",
    )
    .await?;
    let mut force = Force::default();
    let mut current = None;
    while let Some(bytes) = rows.next().await? {
        let row = fields::<COLUMNS>(&bytes)?;
        let (Some(book), Some(number)) = (int8(row[0]), int8(row[1])) else {
            continue;
        };
        if current != Some(book) {
            current = Some(book);
            force = Force::default();
        }
        let (Some(id), Some(target)) = (uuid(row[2]), uuid(row[3])) else {
            continue;
        };
        let earlier = int8(row[6]);
        let problem = if earlier.is_none() {
            format!("it reverses {target}, which is not in this book")
        } else if earlier >= Some(number) {
            format!("it reverses {target}, which was recorded after it")
        } else if !mirrors(&row) {
            format!("it reverses {target} but does not mirror its legs")
        } else if force.reverse(id, target) {
            continue;
        } else {
            format!("it reverses {target}, which was reversed already")
        };
        findings.entry(TABLE, &books.name(book), (number, Some(id)), problem);
    }
    Ok(())
}

/// The same accounts, each amount on the other side.
fn mirrors(row: &Fields<'_, COLUMNS>) -> bool {
    let read = |field| {
        let mut values = Vec::new();
        bigints(field, &mut values).map(|()| values)
    };
    let (Some(amounts), Some(reversed)) = (read(row[5]), read(row[8])) else {
        return false;
    };
    row[4] == row[7]
        && amounts.len() == reversed.len()
        && amounts
            .iter()
            .zip(&reversed)
            .all(|(&a, &b)| i128::from(a) == -i128::from(b))
}

/// Which entries of a book are in force, as far as reversals say: any other is.
#[derive(Default)]
struct Force {
    /// Entries that reverse or were reversed, and what they reverse.
    entries: HashMap<Uuid, Standing>,
}

#[derive(Default)]
struct Standing {
    /// How many reversals of it are in force; it is in force itself while there is none.
    against: u32,
    reverses: Option<Uuid>,
}

impl Force {
    /// Records a reversal; false when its target was not in force.
    fn reverse(&mut self, id: Uuid, target: Uuid) -> bool {
        if self.entries.entry(target).or_default().against > 0 || id == target {
            return false;
        }
        if self.entries.contains_key(&id) {
            return true; // its id is there twice, which `once` finds; followed, it could be a ring
        }
        let reverses = Some(target);
        self.entries.insert(
            id,
            Standing {
                against: 0,
                reverses,
            },
        );
        // One more against its target; as that ceases to be in force, one less against its own …
        let (mut next, mut more) = (reverses, true);
        while let Some(standing) = next.and_then(|id| self.entries.get_mut(&id)) {
            let was_in_force = standing.against == 0;
            standing.against = if more {
                standing.against.saturating_add(1)
            } else {
                standing.against.saturating_sub(1)
            };
            let is_in_force = standing.against == 0;
            if was_in_force == is_in_force {
                break;
            }
            (next, more) = (standing.reverses, is_in_force);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_reversed_once_unless_its_reversal_is_reversed() {
        let id = Uuid::from_u128;
        let (sale, reversal, reinstated, again) = (id(1), id(2), id(3), id(4));
        let mut force = Force::default();
        assert!(force.reverse(reversal, sale));
        assert!(!force.reverse(again, sale), "it is reversed");
        assert!(force.reverse(reinstated, reversal));
        assert!(!force.reverse(again, reversal));
        assert!(force.reverse(again, sale), "it is in force again");
        assert!(!force.reverse(id(5), reversal), "it is still reversed");
        assert!(
            force.reverse(id(5), reinstated),
            "so that the first reversal counts again"
        );
        assert!(!force.reverse(id(6), sale));
        assert!(!force.reverse(id(7), id(7)), "not itself");
    }

    #[test]
    fn ids_that_are_there_twice_make_no_ring() {
        let id = Uuid::from_u128;
        let mut force = Force::default();
        assert!(force.reverse(id(2), id(1)));
        assert!(force.reverse(id(1), id(2)));
        assert!(force.reverse(id(3), id(2)));
    }
}
