//! An oracle in memory: ten thousand random operations, and Postgres answers as it does.
//!
//! The oracle knows the rules from `DESIGN`, not from the SQL: it is written as the simplest thing
//! that could be right. When the two differ, the seed is printed; run it alone with
//! `MODEL_SEED=<seed> cargo test -p ledger --test it model`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use ledger::balance::{AsOf, Filter, Grouping, accounts, trial_balance};
use ledger::period::{self, PeriodError};
use ledger::{
    Account, AccountId, AccountKind, BookId, Currency, Direction, EntryId, JournalEntry, Period,
    Posted, Receipt, Refusal, account, book, journal,
};
use migrations::testing::database;
use sqlx::PgConnection;

use crate::support::{Chart, assert_sound, at, by, day, key};

const SEEDS: [u64; 5] = [1, 2, 3, 5, 8];
const OPERATIONS: usize = 2_000;

/// Chance that comes out the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

struct Written {
    entry: JournalEntry,
    receipt: Receipt,
}

/// What the ledger should be: entries in the order of posting, accounts, closed months.
#[derive(Default)]
struct Oracle {
    books: BTreeMap<BookId, String>,
    accounts: BTreeMap<(BookId, AccountId), (Account, bool)>,
    journal: Vec<Written>,
    closed: Vec<Period>,
    versions: BTreeMap<Period, i32>,
    first_closed: Option<Period>,
}

impl Oracle {
    fn find(&self, book: BookId, id: EntryId) -> Option<&Written> {
        self.journal
            .iter()
            .find(|written| written.entry.book() == book && written.entry.id() == id)
    }

    fn in_force(&self, entry: &JournalEntry) -> bool {
        let reversals = self.journal.iter().filter(|written| {
            written.entry.book() == entry.book() && written.entry.reverses() == Some(entry.id())
        });
        reversals
            .into_iter()
            .all(|reversal| !self.in_force(&reversal.entry))
    }

    /// Debits and credits of an account, up to a day.
    fn sums(&self, account: (BookId, AccountId), to: NaiveDate) -> (i64, i64) {
        let mut sums = (0, 0);
        let counted = self.journal.iter().map(|written| &written.entry);
        for entry in counted.filter(|e| e.book() == account.0 && e.effective() <= to) {
            for leg in entry.legs().iter().filter(|leg| leg.account == account.1) {
                sums.0 += leg.minor.max(0);
                sums.1 -= leg.minor.min(0);
            }
        }
        sums
    }

    fn post(&mut self, entry: &JournalEntry, now: i64) -> Posted {
        if let Some(answer) = self.refuse(entry) {
            return answer;
        }
        let earlier = self
            .journal
            .iter()
            .filter(|written| written.entry.book() == entry.book());
        let receipt = Receipt {
            id: entry.id(),
            book: entry.book(),
            number: i64::try_from(earlier.count()).unwrap() + 1,
            recorded_at: at(now),
        };
        let (entry, kept) = (entry.clone(), receipt.clone());
        self.journal.push(Written {
            entry,
            receipt: kept,
        });
        Posted::New(receipt)
    }

    fn refuse(&self, entry: &JournalEntry) -> Option<Posted> {
        let book = entry.book();
        if !self.books.contains_key(&book) {
            return Some(Posted::Refused(Refusal::UnknownBook(book)));
        }
        if let Some(first) = self.find(book, entry.id()) {
            let receipt = first.receipt.clone();
            let same = first.entry == *entry;
            return Some(if same {
                Posted::Replayed(receipt)
            } else {
                Posted::Conflict(receipt)
            });
        }
        if let Some(last) = self
            .closed
            .last()
            .filter(|last| entry.effective() <= last.last_day())
        {
            let period = Period::containing(entry.effective());
            return Some(Posted::Refused(Refusal::PeriodClosed {
                period,
                next_open: last.next(),
            }));
        }
        let legs = entry.legs();
        if legs
            .iter()
            .any(|leg| !self.accounts.contains_key(&(book, leg.account)))
        {
            return Some(Posted::Refused(Refusal::UnknownAccount(book)));
        }
        if let Some(id) = entry.reverses() {
            let Some(reversed) = self.find(book, id) else {
                return Some(Posted::Refused(Refusal::ReversesUnknown(id)));
            };
            let mirror = reversed.entry.reversal(&key(0), entry.effective(), "");
            if mirror.legs() != entry.legs() {
                return Some(Posted::Refused(Refusal::NotAMirror(id)));
            }
            if !self.in_force(&reversed.entry) {
                return Some(Posted::Refused(Refusal::AlreadyReversed(id)));
            }
        }
        for leg in legs {
            let (account, floored) = &self.accounts[&(book, leg.account)];
            let (debits, credits) = self.sums((book, leg.account), NaiveDate::MAX);
            let side = if account.kind().normal_balance() == Direction::Debit {
                1
            } else {
                -1
            };
            let held = side * (debits - credits);
            if *floored && side * leg.minor < 0 && held + side * leg.minor < 0 {
                let held = format!("{} holds {}", account.code(), crate::support::money(held));
                return Some(Posted::Refused(Refusal::Floor { held }));
            }
        }
        None
    }

    fn close(&mut self, period: Period) -> Option<i32> {
        let next = match (self.closed.last(), self.first_closed) {
            (Some(last), _) => last.next(),
            (None, Some(first)) if first < period => first,
            (None, _) => period,
        };
        if period != next {
            return None;
        }
        self.closed.push(period);
        self.first_closed = Some(self.first_closed.map_or(period, |first| first.min(period)));
        let version = self.versions.entry(period).or_default();
        *version += 1;
        Some(*version)
    }
}

/// Both sides of the comparison, and the chance that drives them.
struct Run {
    seed: u64,
    dice: Dice,
    oracle: Oracle,
    conn: PgConnection,
    operations: usize,
    posted: usize,
}

const NAMES: [&str; 5] = ["acme", "zoe", "house", "bob", "never"];

impl Run {
    fn chart(&mut self) -> Chart {
        // "never" is never opened; the others are, sooner or later.
        let sides = if self.dice.roll(40) == 0 { 5 } else { 4 };
        Chart::of(NAMES[self.dice.roll(sides)])
    }

    async fn open(&mut self) {
        let chart = Chart::of(NAMES[self.dice.roll(4)]);
        let name = NAMES[..4]
            .iter()
            .find(|name| BookId::of_name(name) == chart.book)
            .unwrap();
        book::open(&mut self.conn, at(0), &by(), &[name])
            .await
            .unwrap();
        self.oracle.books.insert(chart.book, (*name).to_owned());
        let own = chart.payable.clone().of("publisher", self.dice.roll(6));
        let mut opened: Vec<(Account, bool)> = chart
            .accounts()
            .into_iter()
            .map(|a| {
                let f = a.code() == "2010";
                (a, f)
            })
            .collect();
        opened.push((own, false));
        let accounts: Vec<Account> = opened.iter().map(|(account, _)| account.clone()).collect();
        account::open(&mut self.conn, at(0), &by(), &accounts)
            .await
            .unwrap();
        for (account, floored) in opened {
            self.oracle
                .accounts
                .insert((account.book(), account.id()), (account, floored));
        }
    }

    fn day(&mut self) -> NaiveDate {
        let start = self
            .oracle
            .closed
            .last()
            .map_or(day("2026-01-01"), |last| last.last_day());
        // Mostly open days, some closed ones, some far ahead.
        start + Days::new(1) + Days::new(u64::try_from(self.dice.roll(60)).unwrap())
            - Days::new(u64::try_from(if self.dice.roll(12) == 0 { 40 } else { 0 }).unwrap())
    }

    fn entry(&mut self) -> JournalEntry {
        let chart = self.chart();
        let on = self.day();
        let journal = &self.oracle.journal;
        if !journal.is_empty() && self.dice.roll(4) == 0 {
            let newest = journal.len().min(60);
            let old = journal[journal.len() - 1 - self.dice.roll(newest)]
                .entry
                .clone();
            return match self.dice.roll(5) {
                0 => old,
                1 => chart_entry_like(&old, on),
                // Few names for reversals, so that some of them are replays.
                _ => old.reversal(&key(format!("r{}", self.dice.roll(400))), on, "back"),
            };
        }
        let own = chart.payable.clone().of("publisher", self.dice.roll(6));
        let minor = i64::try_from(1 + self.dice.roll(90)).unwrap();
        let Chart {
            cash,
            payable,
            available,
            fees,
            expected,
            promised,
            ..
        } = &chart;
        let pairs = [
            (cash, payable),
            (payable, available),
            (available, cash),
            (available, payable),
            (cash, &own),
            (&own, fees),
            (expected, promised),
        ];
        let id = if self.dice.roll(30) == 0 {
            self.dice.roll(50)
        } else {
            1_000 + self.dice.roll(1 << 40)
        };
        chart.entry(id, on, *self.dice.pick(&pairs), minor)
    }

    async fn batch(&mut self) {
        let size = match self.dice.roll(10) {
            0..=3 => 1,
            4..=8 => 2 + self.dice.roll(6),
            _ => 10 + self.dice.roll(30),
        };
        let mut batch: Vec<JournalEntry> = Vec::with_capacity(size);
        for _ in 0..size {
            let twin = !batch.is_empty() && self.dice.roll(15) == 0;
            let entry = match () {
                () if twin => self.dice.pick(&batch).clone(),
                () if !batch.is_empty() && self.dice.roll(12) == 0 => {
                    let on = self.day();
                    self.dice.pick(&batch).reversal(
                        &key(format!("r{}", self.dice.0)),
                        on,
                        "at once",
                    )
                }
                () => self.entry(),
            };
            batch.push(entry);
        }
        let now = i64::try_from(self.operations).unwrap();
        let told = journal::post(&mut self.conn, at(now), &by(), &batch)
            .await
            .unwrap();
        for (i, (entry, told)) in batch.iter().zip(&told).enumerate() {
            let expected = self.oracle.post(entry, now);
            assert_eq!(
                *told,
                expected,
                "seed {}: entry {i} of {}: {entry:?}",
                self.seed,
                batch.len()
            );
        }
        self.operations += batch.len();
        self.posted += told
            .iter()
            .filter(|told| matches!(told, Posted::New(_)))
            .count();
    }

    async fn close(&mut self) {
        let next = self
            .oracle
            .closed
            .last()
            .map_or("2026-01".parse().unwrap(), |last| last.next());
        let asked = match self.dice.roll(6) {
            0 => next.next(),
            1 => Period::containing(next.first_day() - Days::new(1)),
            _ => next,
        };
        let told = period::close(&mut self.conn, at(0), &by(), asked).await;
        match (told, self.oracle.close(asked)) {
            (Ok(close), Some(version)) => {
                assert_eq!(close.version, version, "seed {}", self.seed);
                let entries = i64::try_from(self.oracle.journal.len()).unwrap();
                assert_eq!(close.entries, entries, "seed {}", self.seed);
            }
            (Err(PeriodError::ClosedAlready(..) | PeriodError::OutOfOrder(..)), None) => {}
            (told, expected) => panic!("seed {}: {asked}: {told:?}, not {expected:?}", self.seed),
        }
    }

    async fn reopen(&mut self) {
        let latest = self.oracle.closed.last().copied();
        let wrong = self.dice.roll(4) == 0;
        let asked = match latest {
            Some(latest) if !wrong => latest,
            Some(latest) => latest.next(),
            None => "2026-01".parse().unwrap(),
        };
        let told = period::reopen(&mut self.conn, at(0), &by(), asked, "model").await;
        let expected = latest == Some(asked);
        assert_eq!(
            told.is_ok(),
            expected,
            "seed {}: {asked}: {told:?}",
            self.seed
        );
        if expected {
            self.oracle.closed.pop();
        }
    }

    /// Every balance and the trial balance, up to a day.
    async fn compare(&mut self) {
        let to = self.day();
        for (as_of, to) in [(AsOf::default(), NaiveDate::MAX), (AsOf::day(to), to)] {
            let told = accounts(&mut self.conn, &Filter::default(), as_of)
                .await
                .unwrap();
            assert_eq!(told.len(), self.oracle.accounts.len(), "seed {}", self.seed);
            let mut rows: BTreeMap<(String, String), (AccountKind, i64, i64)> = BTreeMap::new();
            for told in told {
                let sums = (told.sums.debits.minor(), told.sums.credits.minor());
                assert_eq!(
                    sums,
                    self.oracle.sums(told.id, to),
                    "seed {}: {told:?} {to}",
                    self.seed
                );
                if !told.memo && sums != (0, 0) {
                    let row = rows
                        .entry((told.book, told.code))
                        .or_insert((told.kind, 0, 0));
                    *row = (told.kind, row.1 + sums.0, row.2 + sums.1);
                }
            }
            let told = trial_balance(&mut self.conn, None, Grouping::PerBook, as_of)
                .await
                .unwrap();
            let told: BTreeMap<(String, String), (AccountKind, i64, i64)> = told
                .into_iter()
                .map(|row| {
                    assert_eq!(row.sums.debits.currency(), Currency::USD);
                    let sums = (row.kind, row.sums.debits.minor(), row.sums.credits.minor());
                    ((row.book.unwrap(), row.code), sums)
                })
                .collect();
            assert_eq!(told, rows, "seed {}: {to}", self.seed);
        }
    }
}

/// The same fact as an entry there is, said of another day.
fn chart_entry_like(old: &JournalEntry, on: NaiveDate) -> JournalEntry {
    let chart = [0, 1, 2, 3]
        .map(|i| Chart::of(NAMES[i]))
        .into_iter()
        .find(|c| c.book == old.book());
    let chart = chart.expect("an open book");
    let id = old.description().strip_prefix("entry ").unwrap_or("other");
    chart.entry(
        id,
        on,
        (&chart.cash, &chart.payable),
        old.legs()[0].minor.abs(),
    )
}

async fn run(seed: u64) -> (usize, usize) {
    let db = database().await;
    let conn = db.service().await;
    let mut run = Run {
        seed,
        dice: Dice(seed),
        oracle: Oracle::default(),
        conn,
        operations: 0,
        posted: 0,
    };
    let mut compared = 0;
    while run.operations < OPERATIONS {
        run.operations += 1;
        match run.dice.roll(40) {
            0..=2 => run.open().await,
            3 | 4 => run.close().await,
            5 => run.reopen().await,
            _ => run.batch().await,
        }
        if run.operations / 250 > compared {
            compared = run.operations / 250;
            run.compare().await;
        }
    }
    run.compare().await;
    assert_sound(&mut db.connection().await).await;
    (run.operations, run.posted)
}

#[tokio::test]
async fn the_model_and_postgres_agree_on_ten_thousand_operations() {
    let asked = std::env::var("MODEL_SEED")
        .ok()
        .map(|seed| vec![seed.parse().expect("a number")]);
    let all = asked.is_none();
    let (mut operations, mut posted) = (0, 0);
    for seed in asked.unwrap_or(SEEDS.to_vec()) {
        let done = run(seed).await;
        (operations, posted) = (operations + done.0, posted + done.1);
    }
    assert!(
        !all || (operations >= 10_000 && posted > 4_000),
        "{operations} operations, {posted} posted"
    );
}
