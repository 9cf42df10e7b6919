//! The binary `counterfoil`: parse, dispatch, exit.
//!
//! It holds no rule about money; what it prints comes from the crates to the left.

// First: its macros take the place of the standard ones in all modules below.
#[macro_use]
mod stdout;

mod chance;
mod cli;
mod database;
mod file;
mod http;
mod intake;
mod key;
mod output;
mod service;
mod spool;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::parse();
    let json = cli.global.json;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(cli::run(cli)),
        Err(error) => Err(error.into()),
    };
    stdout::finish(match outcome {
        Ok(code) => code,
        Err(error) => output::fail(&error, json),
    })
}
