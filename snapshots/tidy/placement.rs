//! Every table says where it lies when a network is spread over machines, and keeps to it. Asked
//! of a migrated database, because only the catalogue knows what the migrations came to.
//!
//! `distributed by book_id` has its book first in every key, so that no constraint spans books
//! (for `ledger.book` itself that is its id); `reference` is copied to every machine; `local`
//! stays on one. A comment on the table opens with one of the three.

use crate::tree::{Fault, assert_found, assert_tidy};
use migrations::testing;
use sqlx::{Connection, PgConnection};

const FAULTS: &str = r"
    with placed as (
        select c.oid, n.nspname || '.' || c.relname as name,
               substring(obj_description(c.oid, 'pg_class')
                         from '^(distributed by book_id|reference|local)\M') as placement,
               case when n.nspname = 'ledger' and c.relname = 'book' then 'id' else 'book_id' end
                   as key
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and not c.relispartition
          and n.nspname in ('ledger', 'settlement', 'jobs')
    ), keys as (
        select t.name, x.relname as index, t.key, a.attname as first
        from placed t
        join pg_catalog.pg_index i on i.indrelid = t.oid
        join pg_catalog.pg_class x on x.oid = i.indexrelid
        left join pg_catalog.pg_attribute a
               on a.attrelid = t.oid and a.attnum = i.indkey[0] and a.attnum > 0
        where t.placement = 'distributed by book_id'
          and (i.indisunique or i.indisexclusion)
    ), links as (
        select t.name, c.conname, t.placement as here, o.placement as there,
               a.attname = t.key and b.attname = o.key as by_book
        from placed t
        join pg_catalog.pg_constraint c on c.conrelid = t.oid and c.contype = 'f'
        join placed o on o.oid = c.confrelid
        join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = c.conkey[1]
        join pg_catalog.pg_attribute b on b.attrelid = o.oid and b.attnum = c.confkey[1]
    ), faults (fault) as (
        select name || ': its comment does not open with its placement'
        from placed where placement is null
        union all
        select name || ': ' || index || ' does not start with ' || key
        from keys where first is distinct from key
        union all
        select name || ': ' || conname || ' does not start with the book'
        from links
        where here = 'distributed by book_id' and there = here and not by_book
        union all
        select name || ': ' || conname || ' leads from ' || here || ' to ' || there
        from links
        where here <> there and there <> 'reference'
        union all
        select n.nspname || '.' || c.relname || ': lies in no crate''s schema'
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p')
          and n.nspname not in ('ledger', 'settlement', 'jobs', 'migrations')
          and n.nspname not in ('pg_catalog', 'information_schema')
          and n.nspname not like 'pg_toast%' and n.nspname not like 'pg_temp%'
    )
    select fault from faults order by fault
";

async fn faults(conn: &mut PgConnection) -> Vec<Fault> {
    let found: Vec<String> = sqlx::query_scalar(FAULTS)
        .fetch_all(conn)
        .await
        .expect("the catalogue answers");
    found.into_iter().map(Fault).collect()
}

/// One table per way to break the rule, and two that keep it.
const PLANTED: &str = r"
    create table settlement.a_silent (book_id bigint, constraint a_pk primary key (book_id));
    create table settlement.b_vague (id bigint);
    comment on table settlement.b_vague is 'references to things, locally';
    create table settlement.c_good (book_id bigint, id bigint,
        constraint c_pk primary key (book_id, id),
        constraint c_book foreign key (book_id) references ledger.book (id));
    comment on table settlement.c_good is 'distributed by book_id: good';
    create table settlement.d_backwards (book_id bigint, id bigint,
        constraint d_pk primary key (id, book_id));
    comment on table settlement.d_backwards is 'distributed by book_id: key the wrong way round';
    create table settlement.e_index (book_id bigint, id bigint);
    create unique index e_once on settlement.e_index (lower(id::text), book_id);
    comment on table settlement.e_index is 'distributed by book_id: a unique index over books';
    create table settlement.f_link (book_id bigint, id bigint,
        constraint f_crosses foreign key (id, book_id) references settlement.c_good (id, book_id));
    comment on table settlement.f_link is 'distributed by book_id: points across books';
    create table settlement.g_reference (book_id bigint, id bigint,
        constraint g_down foreign key (book_id, id) references settlement.c_good (book_id, id));
    comment on table settlement.g_reference is 'reference: points at a table spread by book';
    create table public.h_stray (id bigint);
";

#[tokio::test]
async fn every_table_declares_its_placement_and_keeps_to_it() {
    let database = testing::database().await;
    let mut conn = database.connection().await;
    assert_tidy(&faults(&mut conn).await);
}

#[tokio::test]
async fn a_table_that_spans_books_is_found() {
    let database = testing::database().await;
    let mut conn = database.connection().await;
    let mut tx = conn.begin().await.expect("a transaction");
    for statement in PLANTED
        .split_inclusive(';')
        .filter(|text| !text.trim().is_empty())
    {
        sqlx::query(statement)
            .execute(&mut *tx)
            .await
            .expect("the planted tables are SQL");
    }
    assert_found(
        &faults(&mut tx).await,
        &[
            "public.h_stray: lies in no crate's schema",
            "settlement.a_silent: its comment",
            "settlement.b_vague: its comment",
            "settlement.d_backwards: d_pk does not start with book_id",
            "settlement.e_index: e_once does not start with book_id",
            "settlement.f_link: f_crosses does not start with the book",
            "settlement.g_reference: g_down leads from reference to distributed by book_id",
        ],
    );
    tx.rollback().await.expect("the planted tables go away");
}
