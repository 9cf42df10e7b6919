//! The migrations themselves.

use migrations::{MigrateError, latest, migrate, pending, testing};

#[tokio::test]
async fn migrating_twice_applies_nothing_the_second_time() {
    let db = testing::database().await;
    let mut conn = db.connection().await;
    assert_eq!(pending(&mut conn).await.unwrap(), 0);
    let again = migrate(&mut conn).await.unwrap();
    assert_eq!((again.applied, again.version), (0, latest()));
}

#[tokio::test]
async fn an_empty_database_gets_every_migration() {
    let db = testing::database().await;
    let mut conn = db.connection().await;
    let empty = format!("{}_empty", db.name());
    let sql = format!("create database {empty} template template0");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut conn)
        .await
        .unwrap();
    let mut inside = sqlx::ConnectOptions::connect(&db.options().database(&empty))
        .await
        .unwrap();
    let expected = migrations::MIGRATOR.iter().count();
    let before = pending(&mut inside).await.unwrap();
    let migrated = migrate(&mut inside).await.unwrap();
    drop(inside);
    let sql = format!("drop database {empty} with (force)");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut conn)
        .await
        .unwrap();
    assert_eq!((before, migrated.applied), (expected, expected));
}

#[tokio::test]
async fn a_schema_from_a_newer_program_is_refused() {
    let db = testing::database().await;
    let mut conn = db.connection().await;
    let future = latest() + 1;
    sqlx::query(
        "insert into migrations.applied (version, description, success, checksum, execution_time)
         values ($1, 'from the future', true, '', 0)",
    )
    .bind(future)
    .execute(&mut conn)
    .await
    .unwrap();
    let refused = migrate(&mut conn).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Newer { .. }));
    let sentence = refused.to_string();
    assert!(
        sentence.contains(&format!("at version {future}")),
        "{sentence}"
    );
    assert!(sentence.contains("use the newer counterfoil"), "{sentence}");
    assert!(matches!(
        pending(&mut conn).await,
        Err(MigrateError::Newer { .. })
    ));
}

#[tokio::test]
async fn a_changed_migration_is_refused_and_leaves_no_lock() {
    let db = testing::database().await;
    let mut conn = db.connection().await;
    let sql = "update migrations.applied set checksum = 'x' where version = $1";
    sqlx::query(sql)
        .bind(latest())
        .execute(&mut conn)
        .await
        .unwrap();
    let refused = migrate(&mut conn).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Changed(_)), "{refused}");
    let held =
        "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
    let locks: i64 = sqlx::query_scalar(held).fetch_one(&mut conn).await.unwrap();
    assert_eq!(locks, 0);
}

#[tokio::test]
async fn the_public_schema_stays_empty() {
    let db = testing::database().await;
    let mut conn = db.connection().await;
    let found: i64 = sqlx::query_scalar(
        "select count(*) from pg_class where relnamespace = 'public'::regnamespace",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!(found, 0);
}
