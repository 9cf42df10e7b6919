//! Who may do what: asked of Postgres' catalogue, and really tried.

use migrations::testing::database;
use sqlx::PgConnection;

use crate::support::{at, by, day, open_one, post_new, run};

const OWNER: &str = "counterfoil_owner";
const SERVICE: &str = "counterfoil_service";
const AUDITOR: &str = "counterfoil_auditor";
const APPEND_ONLY: [&str; 5] = [
    "entry",
    "line",
    "checkpoint",
    "checkpoint_book",
    "period_balance",
];

async fn texts(conn: &mut PgConnection, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query)
        .fetch_all(conn)
        .await
        .expect("texts")
}

/// Every table and view of the ledger.
async fn tables(conn: &mut PgConnection) -> Vec<String> {
    let tables = texts(
        conn,
        "select c.relname::text from pg_class c
         where c.relnamespace = 'ledger'::regnamespace
           and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
         order by 1",
    );
    let tables = tables.await;
    assert!(tables.len() >= 12, "{tables:?}");
    tables
}

/// Postgres says that this role may not.
async fn assert_denied(conn: &mut PgConnection, sql: &str) {
    let error = run(conn, sql).await.expect_err(sql);
    let code = error
        .as_database_error()
        .and_then(|e| e.code().map(std::borrow::Cow::into_owned));
    assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
}

#[tokio::test]
async fn the_service_and_the_auditor_write_no_table_of_the_ledger() {
    let db = database().await;
    let mut owner = db.connection().await;
    for (role, mut conn) in [(SERVICE, db.service().await), (AUDITOR, db.auditor().await)] {
        for table in tables(&mut owner).await {
            let granted: Vec<String> = sqlx::query_scalar(
                "select p from unnest(array['insert', 'update', 'delete', 'truncate', 'references',
                                            'trigger']) p
                 where has_table_privilege($1, 'ledger.' || $2, p)
                    or (p in ('insert', 'update', 'references')
                        and has_any_column_privilege($1, 'ledger.' || $2, p))",
            )
            .bind(role)
            .bind(&table)
            .fetch_all(&mut owner)
            .await
            .unwrap();
            assert_eq!(granted, Vec::<String>::new(), "{role} on {table}");
            run(&mut conn, &format!("select * from ledger.{table} limit 1"))
                .await
                .expect(&table);
            for sql in [
                format!("insert into ledger.{table} default values"),
                format!("delete from ledger.{table}"),
                format!("truncate ledger.{table}"),
                format!("drop table ledger.{table}"),
                format!("create trigger t before insert on ledger.{table} execute function f()"),
            ] {
                let error = run(&mut conn, &sql).await.expect_err(&sql);
                let told = error.to_string();
                // Views say first that they are none of a table's kind.
                let denied = told.contains("permission denied")
                    || told.contains("must be owner")
                    || told.contains("is not a table")
                    || told.contains("cannot insert into view")
                    || told.contains("cannot delete from view");
                assert!(denied, "{role}: {sql}: {told}");
            }
        }
        for sql in [
            "update ledger.book set next_number = 1",
            "update ledger.entry set description = ''",
            "update ledger.account_day set debits = 1",
            "create table ledger.mine (x int)",
            "create function ledger.mine() returns int language sql return 1",
            "alter table ledger.entry disable trigger all",
            "set session_replication_role = replica",
        ] {
            assert_denied(&mut conn, sql).await;
        }
        // The tests themselves work in the role by `set role`: the catalogue knows about others.
        let member: bool = sqlx::query_scalar("select pg_has_role($1, $2, 'member')")
            .bind(role)
            .bind(OWNER)
            .fetch_one(&mut owner)
            .await
            .unwrap();
        assert!(!member, "{role} is a member of {OWNER}");
    }
}

#[tokio::test]
async fn nobody_works_as_the_owner_and_no_role_is_above_the_rules() {
    let db = database().await;
    let mut conn = db.connection().await;
    let loose = texts(
        &mut conn,
        "select rolname::text from pg_roles
         where rolname like 'counterfoil\\_%' escape '\\'
           and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication
                or (rolname = 'counterfoil_owner' and rolcanlogin))",
    );
    assert_eq!(loose.await, Vec::<String>::new());
    let strange = texts(
        &mut conn,
        "select c.relname::text from pg_class c
         where c.relnamespace = 'ledger'::regnamespace
           and c.relowner <> 'counterfoil_owner'::regrole
         union all
         select p.proname::text from pg_proc p
         where p.pronamespace = 'ledger'::regnamespace
           and p.proowner <> 'counterfoil_owner'::regrole",
    );
    assert_eq!(
        strange.await,
        Vec::<String>::new(),
        "all of it is the owner's"
    );
}

#[tokio::test]
async fn what_is_written_stays_even_for_a_superuser() {
    let db = database().await;
    let mut conn = db.connection().await;
    let chart = open_one(&mut conn, "acme").await;
    post_new(&mut conn, &[chart.sale(1, day("2026-01-05"), 5)]).await;
    let month = "2026-01".parse().unwrap();
    ledger::period::close(&mut conn, at(5), &by(), month)
        .await
        .unwrap();
    for mode in ["origin", "replica"] {
        run(&mut conn, &format!("set session_replication_role = {mode}"))
            .await
            .unwrap();
        for table in APPEND_ONLY {
            let column = if table == "checkpoint" {
                "id"
            } else {
                "book_id"
            };
            for sql in [
                format!("update ledger.{table} set {column} = {column}"),
                format!("update ledger.{table} set {column} = {column} where false"),
                format!("delete from ledger.{table} where false"),
                format!("delete from ledger.{table}"),
                format!("truncate ledger.{table}"),
            ] {
                assert_denied(&mut conn, &sql).await;
            }
        }
        assert_denied(&mut conn, "delete from ledger.period_close").await;
        assert_denied(&mut conn, "truncate ledger.period_close").await;
        assert_denied(&mut conn, "update ledger.period_close set entries = 0").await;
        assert_denied(
            &mut conn,
            "update ledger.period_close set trial_balance_hash = '', reopened_at = now(),
                    reopened_by = 'me', reopened_because = 'so'",
        )
        .await;
        run(&mut conn, "set role counterfoil_owner").await.unwrap();
        assert_denied(&mut conn, "update ledger.entry set description = ''").await;
        assert_denied(&mut conn, "truncate ledger.entry, ledger.line").await;
        run(&mut conn, "reset role").await.unwrap();
    }
    let error = run(&mut conn, "delete from ledger.entry")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("append-only: DELETE refused; correct by posting a reversal"),
        "{error}"
    );
}

#[tokio::test]
async fn functions_are_pinned_and_nobody_elses() {
    let db = database().await;
    let mut conn = db.connection().await;
    // Written as an expression, a function is bound when it is made. The other two are called for
    // each entry and pinned by ledger.post around them.
    let loose = texts(
        &mut conn,
        "select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace = 'ledger'::regnamespace and p.prosqlbody is null and p.prokind <> 'a'
           and not exists (select from unnest(p.proconfig) c where c like 'search_path=%')
           and (p.prosecdef or p.proname not in ('legs_balance', 'chain_step'))",
    );
    assert_eq!(
        loose.await,
        Vec::<String>::new(),
        "without a pinned search_path"
    );
    let public = texts(
        &mut conn,
        "select p.oid::regprocedure::text
         from pg_proc p, lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         where p.pronamespace = 'ledger'::regnamespace and a.grantee = 0",
    );
    assert_eq!(public.await, Vec::<String>::new(), "executable by public");
    let definers = texts(
        &mut conn,
        "select p.proname::text from pg_proc p
         where p.pronamespace = 'ledger'::regnamespace and p.prosecdef order by 1",
    );
    let doors = [
        "close_period",
        "open_accounts",
        "open_books",
        "post",
        "record_checkpoint",
        "reopen_period",
    ];
    assert_eq!(definers.await, doors, "each way to write is known");
    let auditors = texts(
        &mut conn,
        "select p.proname::text from pg_proc p
         where p.pronamespace = 'ledger'::regnamespace
           and (p.prosecdef or p.provolatile = 'v')
           and has_function_privilege('counterfoil_auditor', p.oid, 'execute')",
    );
    assert_eq!(
        auditors.await,
        Vec::<String>::new(),
        "an auditor calls nothing that writes"
    );
}

#[tokio::test]
async fn a_planted_operator_does_not_fool_the_door() {
    let db = database().await;
    let mut conn = db.connection().await;
    let chart = open_one(&mut conn, "acme").await;
    // Somebody puts an `=` that is always true in front of everybody's search path.
    run(
        &mut conn,
        "create schema evil; grant usage on schema evil to public;
         create function evil.yes(bigint, bigint) returns boolean language sql return true;
         create operator evil.= (leftarg = bigint, rightarg = bigint, function = evil.yes);
         grant execute on all functions in schema evil to public;",
    )
    .await
    .unwrap();
    let mut service = db.service().await;
    run(&mut service, "set search_path = evil, pg_catalog")
        .await
        .unwrap();
    let error = run(
        &mut service,
        &format!(
            "select * from ledger.post(now(), 'x', array[{book}], array[gen_random_uuid()],
                 array['k'], array[false], array['USD'], array['2026-01-05'::date], array[''],
                 array[''], array[null::uuid], array[null::uuid], array[2],
                 (select array_agg(a order by a) from unnest(array[{a}, {b}]) a),
                 array[5, -4]::bigint[])",
            book = chart.book,
            a = chart.cash.id(),
            b = chart.payable.id()
        ),
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("entry_balances"), "{error}");
}
