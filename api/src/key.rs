//! The key that signs checkpoints.
//!
//! It comes from `COUNTERFOIL_SIGNING_KEY`, or lies in the data folder as `checkpoint.key`, made
//! on first use and readable by its owner alone; `checkpoint.pub` beside it is for everybody. It
//! is never printed, never sent, never in the database: who holds the database must not be able
//! to sign.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, ensure};
use ledger::checkpoint::{SigningKey, public_key, signing_key};

use crate::{chance, file};

/// The environment variable that holds the key where files are not wanted.
const VARIABLE: &str = "COUNTERFOIL_SIGNING_KEY";

/// The signing key of a data folder, made when there is none.
pub(crate) fn of(data: &Path) -> anyhow::Result<SigningKey> {
    match std::env::var(VARIABLE) {
        Ok(secret) if !secret.is_empty() => {
            signing_key(&secret).with_context(|| format!("{VARIABLE} cannot be used"))
        }
        _ => kept_in(data),
    }
}

/// The key in a folder, with its public half beside it.
fn kept_in(data: &Path) -> anyhow::Result<SigningKey> {
    let path = data.join("checkpoint.key");
    if !path.exists() {
        make(data, &path)?;
    }
    let key = read(&path)?;
    let public = data.join("checkpoint.pub");
    let line = format!("{}\n", public_key(&key));
    if fs::read_to_string(&public).is_ok_and(|there| there == line) {
        return Ok(key);
    }
    file::write(&public, line.as_bytes())?;
    let readable = fs::set_permissions(&public, Permissions::from_mode(0o644));
    readable.with_context(|| format!("{} cannot be made readable", public.display()))?;
    Ok(key)
}

fn read(path: &Path) -> anyhow::Result<SigningKey> {
    let unreadable = || format!("the signing key {} cannot be read", path.display());
    let mode = fs::metadata(path)
        .with_context(unreadable)?
        .permissions()
        .mode();
    ensure!(
        mode.trailing_zeros() >= 6,
        "the signing key {0} can be read by others: run `chmod 600 {0}`, and replace it if \
         somebody may have read it",
        path.display()
    );
    let secret = fs::read_to_string(path).with_context(unreadable)?;
    signing_key(&secret).with_context(unreadable)
}

/// Makes a key under another name and links it in place: of two processes that come at once, both
/// use the first one's.
fn make(data: &Path, path: &Path) -> anyhow::Result<()> {
    let failed = || format!("the signing key {} cannot be made", path.display());
    fs::create_dir_all(data).with_context(failed)?;
    let temporary = data.join(format!("checkpoint.key.{}", std::process::id()));
    let made = written(&temporary).and_then(|()| match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => Ok(linked?),
    });
    drop(fs::remove_file(&temporary));
    made.with_context(failed)
}

fn written(path: &Path) -> anyhow::Result<()> {
    let mut file: File = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{}", hex::encode(chance::bytes()?))?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = kept_in(folder.path()).unwrap();
        assert_eq!(kept_in(folder.path()).unwrap().to_bytes(), first.to_bytes());
        let path = folder.path().join("checkpoint.key");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let public = fs::read_to_string(folder.path().join("checkpoint.pub")).unwrap();
        assert_eq!(public.trim(), public_key(&first).to_string());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);

        let other = tempfile::tempdir().unwrap();
        assert_ne!(kept_in(other.path()).unwrap().to_bytes(), first.to_bytes());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        kept_in(folder.path()).unwrap();
        let path = folder.path().join("checkpoint.key");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(
            kept_in(folder.path())
                .unwrap_err()
                .to_string()
                .contains("chmod 600")
        );
    }
}
