//! Standard output whose reader may go away: `counterfoil balance | head` is no mistake.
//!
//! The standard `println!` and `eprintln!` panic when they cannot write. Those here take their
//! place in the whole crate: a reader that has gone away is ignored (the work is done all the
//! same), and any other failure, a full disk say, becomes the exit code ([`finish`]).

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

/// The first failure to write.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

macro_rules! println {
    () => { $crate::stdout::line(::std::format_args!("")) };
    ($($part:tt)*) => { $crate::stdout::line(::std::format_args!($($part)*)) };
}

macro_rules! eprintln {
    ($($part:tt)*) => { $crate::stdout::notice(::std::format_args!($($part)*)) };
}

/// Writes a line.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    if !is_closed() {
        note(writeln!(io::stdout().lock(), "{text}"));
    }
}

/// Writes a line to standard error, which has nobody to complain to.
pub(crate) fn notice(text: fmt::Arguments<'_>) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Keeps what went wrong with writing to standard output.
pub(crate) fn note(written: io::Result<()>) {
    if let Err(error) = written {
        drop(FAILURE.set(error));
    }
}

/// The failure to write behind what the CSV writer says.
pub(crate) fn of_csv(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Whether nobody reads any more: long output may stop.
pub(crate) fn is_closed() -> bool {
    FAILURE.get().is_some()
}

/// The exit code of a command, after everything has been written.
pub(crate) fn finish(code: ExitCode) -> ExitCode {
    note(io::stdout().lock().flush());
    match FAILURE.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("error: standard output could not be written\n  because: {error}");
            ExitCode::FAILURE
        }
        _ => code,
    }
}
