//! `cargo bench -p api --bench redirect`: what leading a visitor on costs, beside nginx's
//! `return 302` in the same minute, each asked by 64 connections that wait for nothing.
//!
//! The service works in a private cluster in a folder of its own below `target/`; every click lies
//! on the disk before its answer is sent, and is copied to Postgres meanwhile. Processor time is
//! that of the server's process alone, from `/proc`, so this is for Linux. Without nginx the
//! reference is NOT MEASURED, and it says so.

mod server;
mod visitors;

use std::time::Duration;

use anyhow::Context;

use self::server::{Home, Nginx, Server};
use self::visitors::Asked;

/// How often each is asked, in turn.
const ROUNDS: usize = 3;
/// How long each time.
const SECONDS: u64 = 5;
/// Visitors at once.
const CONNECTIONS: usize = 64;
/// At most so many hundredths of nginx's processor time.
const RATIO: u128 = 300;
/// At most so long for 99 of 100.
const LATEST: Duration = Duration::from_millis(10);

/// What one server was asked over all rounds, and what it spent.
#[derive(Default)]
struct Spent {
    asked: Asked,
    /// Processor time, in nanoseconds.
    cpu: u128,
}

impl Spent {
    async fn round(&mut self, server: &Server, path: &str) -> anyhow::Result<()> {
        let before = server.cpu()?;
        let asked = visitors::ask(server.address(), path, CONNECTIONS, SECONDS).await?;
        // What is done after the last answer belongs to it too: clicks on their way to Postgres.
        server.rest().await?;
        self.cpu += server.cpu()?.saturating_sub(before).as_nanos();
        self.asked.add(asked);
        Ok(())
    }

    fn each(&self) -> anyhow::Result<u128> {
        let answers = u128::try_from(self.asked.answers())?;
        self.cpu.checked_div(answers).context("nobody was answered")
    }

    fn tell(&mut self, name: &str) -> anyhow::Result<()> {
        let rate = self.asked.answers() / (ROUNDS * usize::try_from(SECONDS)?);
        let [half, most, nearly_all] = [50, 99, 100].map(|percent| self.asked.latency(percent));
        println!(
            "{name:<12} {:>6} ns of processor time a request, {rate} requests/s; half within \
             {half:?}, 99 of 100 within {most:?}, all within {nearly_all:?}",
            self.each()?
        );
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let home = Home::make().await?;
    let measured = measure(&home).await;
    home.leave().await?;
    measured
}

async fn measure(home: &Home) -> anyhow::Result<()> {
    let slug = home.shop().await?;
    let path = format!("/go/{slug}");
    let service = home.serve().await?;
    let nginx = Nginx::start(home).await?;
    let mut own = Spent::default();
    let mut reference = Spent::default();
    // Nobody is measured while caches are cold.
    visitors::ask(service.address(), &path, CONNECTIONS, 1).await?;
    service.rest().await?;
    for _ in 0..ROUNDS {
        if let Some(nginx) = &nginx {
            reference.round(nginx, &path).await?;
        }
        own.round(&service, &path).await?;
    }
    let astray = home.astray().await?;
    anyhow::ensure!(
        astray == 0,
        "{astray} clicks that were answered did not arrive"
    );
    own.tell("counterfoil")?;
    if nginx.is_some() {
        reference.tell("nginx")?;
        let hundredths = own.each()? * 100 / reference.each()?;
        let (whole, part) = (hundredths / 100, hundredths % 100);
        let met = if hundredths <= RATIO { "met" } else { "MISSED" };
        println!("processor time: {whole}.{part:02} times nginx's; at most 3 wanted: {met}");
    } else {
        println!("processor time beside nginx: NOT MEASURED, nginx is not installed");
    }
    let latest = own.asked.latency(99);
    let met = if latest < LATEST { "met" } else { "MISSED" };
    println!("99 of 100 within {latest:?}, every click on the disk; under 10 ms wanted: {met}");
    Ok(())
}
