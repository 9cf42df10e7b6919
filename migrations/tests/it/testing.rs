//! A fresh database for each test.

use std::time::Instant;

use migrations::testing;

#[tokio::test]
async fn a_fresh_database_is_quick() {
    drop(testing::database().await);
    let mut made = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let db = testing::database().await;
        let created = begun.elapsed();
        let mut conn = db.connection().await;
        let one: i32 = sqlx::query_scalar("select 1")
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert_eq!(one, 1);
        let begun = Instant::now();
        drop(db);
        made.push((created, begun.elapsed()));
    }
    made.sort();
    println!(
        "median (created, dropped): {:?}, worst {:?}",
        made[10], made[19]
    );
}
