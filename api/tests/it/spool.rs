//! Clicks survive what happens to the service, and arrive once.

use serde_json::Value;
use uuid::Uuid;

use crate::clicks::{carried, stored, tracked, visit};
use crate::conversions::shop::Shop;
use crate::service::eventually;

async fn clicks(shop: &Shop) -> i64 {
    shop.count("select count(*) from settlement.click where reason is null")
        .await
}

/// How many clicks are asked for between two kills; `COUNTERFOIL_CLICKS` says more.
fn wanted() -> usize {
    let asked = std::env::var("COUNTERFOIL_CLICKS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(4_000)
}

#[tokio::test]
async fn no_click_that_was_answered_is_lost_however_often_the_service_is_killed() {
    let (mut shop, slug) = tracked("pcps_click", &["--clicks-per-address", "100000000"]).await;
    let kills = 10;
    let mut answered: Vec<Uuid> = Vec::new();
    for round in 0..kills {
        let (client, url) = (
            shop.service.client.clone(),
            shop.service.url(&format!("/go/{slug}")),
        );
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let (client, url) = (client.clone(), url.clone());
            asking.spawn(async move {
                let mut mine = Vec::new();
                // Until the service is gone.
                loop {
                    let request = client
                        .get(&url)
                        .header("user-agent", crate::clicks::BROWSER);
                    let Ok(answer) = request.send().await else {
                        return mine;
                    };
                    assert_eq!(answer.status(), 302);
                    mine.push(
                        carried(&answer, "pcps_click")
                            .unwrap()
                            .parse::<Uuid>()
                            .unwrap(),
                    );
                }
            });
        }
        let before = answered.len();
        // At another moment in each round.
        let target = wanted() / kills;
        let millis = 150 + u64::try_from(round * 37 + target / 8).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        shop.service.kill().await;
        for mine in asking.join_all().await {
            answered.extend(mine);
        }
        assert!(answered.len() > before, "round {round}");
        shop.service.restart().await;
    }
    let arrived = async || {
        let mut conn = shop.service.connection().await;
        let query = "select count(*) from settlement.click where id = any($1)";
        let query = sqlx::query_scalar::<_, i64>(query).bind(&answered);
        let there = query.fetch_one(&mut conn).await.unwrap();
        (usize::try_from(there).unwrap() == answered.len()).then_some(())
    };
    eventually("every click that was answered is in Postgres", arrived).await;
    println!(
        "{} clicks answered over {kills} kills, none lost",
        answered.len()
    );
}

#[tokio::test]
async fn a_spool_is_shown_and_drained_without_a_service() {
    let (mut shop, slug) = tracked("pcps_click", &[]).await;
    let listed = async |shop: &Shop| shop.command(&["spool"]).await;
    let used = listed(&shop).await;
    assert_eq!(used["used_by"], shop.service.pid().to_string(), "{used}");
    let drain = shop
        .service
        .command(&["spool", "drain"])
        .output()
        .await
        .unwrap();
    assert_eq!(drain.status.code(), Some(1));
    let complaint = String::from_utf8(drain.stderr).unwrap();
    assert!(complaint.contains("uses the spool"), "{complaint}");
    // What Postgres could not take yet stays: nobody may write to it for a while.
    let mut owner = shop.service.connection().await;
    let mut held = sqlx::Connection::begin(&mut owner).await.unwrap();
    sqlx::query("lock table settlement.click in exclusive mode")
        .execute(&mut *held)
        .await
        .unwrap();
    let answer = visit(&shop, &format!("/go/{slug}")).send().await.unwrap();
    let id: Uuid = carried(&answer, "pcps_click").unwrap().parse().unwrap();
    shop.service.kill().await;
    held.rollback().await.unwrap();
    let left = listed(&shop).await;
    assert_eq!(
        (&left["used_by"], left["waiting"].as_u64() >= Some(1)),
        (&Value::Null, true),
        "{left}"
    );
    let drained = shop.command(&["spool", "drain"]).await;
    assert!(drained["copied"].as_u64() >= Some(1), "{drained}");
    stored(&shop, id).await;
    let count = clicks(&shop).await;
    assert_eq!(shop.command(&["spool", "drain"]).await["copied"], 0);
    assert_eq!(clicks(&shop).await, count);
    assert_eq!(listed(&shop).await["waiting"], 0);
}

#[tokio::test]
async fn a_second_service_is_refused_the_spool_of_the_first() {
    let (shop, _) = tracked("pcps_click", &[]).await;
    let second = shop
        .service
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .output()
        .await
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let complaint = String::from_utf8(second.stderr).unwrap();
    assert!(
        complaint.contains("choose another with --spool"),
        "{complaint}"
    );
}

/// A small disk of its own; needs root.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=256k", "counterfoil-test"])
            .arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut umount = std::process::Command::new("umount");
        drop(umount.arg("--lazy").arg(self.0.path()).status());
    }
}

#[tokio::test]
async fn a_full_disk_is_answered_honestly_and_recovers() {
    for (setting, status) in [("redirect", 302), ("refuse", 503)] {
        let Some(disk) = SmallDisk::mount() else {
            println!("NOT CHECKED: a full disk, which needs root and mount");
            return;
        };
        let folder = disk.0.path().to_str().unwrap().to_owned();
        let arguments = ["--spool", &folder, "--spool-when-full", setting];
        let (shop, slug) = tracked("pcps_click", &arguments).await;
        let path = format!("/go/{slug}");
        let filler = disk.0.path().join("filler");
        let _ = std::fs::write(&filler, vec![0; 1 << 20]);
        let before = clicks(&shop).await;
        let mut answered = 0;
        // What a file has room for still, in its last block, is taken.
        for _ in 0..40 {
            answered = visit(&shop, &path).send().await.unwrap().status().as_u16();
        }
        assert_eq!(answered, status);
        let shown = shop.command(&["spool", "--spool", &folder]).await;
        let lost = shown["lost"].as_u64().unwrap();
        assert_eq!(lost > 0, setting == "redirect", "{shown}");
        std::fs::remove_file(&filler).unwrap();
        let answer = visit(&shop, &path).send().await.unwrap();
        assert_eq!(answer.status(), 302);
        stored(
            &shop,
            carried(&answer, "pcps_click").unwrap().parse().unwrap(),
        )
        .await;
        // Sent on and not counted as lost: kept.
        if setting == "redirect" {
            let kept = i64::try_from(41 - lost).unwrap();
            let arrived = async || (clicks(&shop).await == before + kept).then_some(());
            eventually("all that was not lost arrived", arrived).await;
        }
    }
}
