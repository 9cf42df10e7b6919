//! `cargo bench -p api`: runs `counterfoil bench ledger` as built for measuring, and prints its
//! table.
//!
//! There is one implementation, in `src/cli/bench`. `BENCH_LEDGER="--full" cargo bench -p api`
//! hands options on.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let options = std::env::var("BENCH_LEDGER").unwrap_or_default();
    let ended = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
        .arg("--data")
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .args(["bench", "ledger"])
        .args(options.split_whitespace())
        .status();
    match ended {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("counterfoil bench ledger: {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("counterfoil cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}
