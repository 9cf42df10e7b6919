//! `counterfoil checkpoint`: signs how far every book has come, for somebody outside to keep.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ledger::checkpoint::{self, Checkpoint};
use serde_json::Value;
use uuid::Uuid;

use super::{Global, scope};
use crate::output::{self, BadArgument};
use crate::{chance, file, key};

/// Sign how far every book has come, and write it to a file. Keep the file outside this database:
/// `counterfoil verify --against FILE` then finds whatever was rewritten.
///
/// The key is `COUNTERFOIL_SIGNING_KEY` (64 hexadecimal digits), or `checkpoint.key` in the data
/// folder, made on first use; `checkpoint.pub` beside it is the public key to hand out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to write it; `-` is standard output. Default: checkpoints/ in the data folder.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Why it is taken.
    #[arg(long, value_name = "TEXT", default_value = "asked for", value_parser = scope::reason)]
    reason: String,
    /// Take none, show a stored one again; the latest when no id is given.
    #[arg(long, value_name = "ID", num_args = 0..=1, conflicts_with = "reason")]
    #[arg(default_missing_value = "latest", value_parser = which)]
    show: Option<Which>,
}

/// A stored checkpoint.
#[derive(Debug, Clone, Copy)]
enum Which {
    Latest,
    Of(Uuid),
}

fn which(text: &str) -> Result<Which, String> {
    match text.parse() {
        Ok(id) => Ok(Which::Of(id)),
        Err(_) if text == "latest" => Ok(Which::Latest),
        Err(_) => Err(format!(
            "'{text}' is no id of a checkpoint; give a UUID, or none"
        )),
    }
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let checkpoint = match args.show {
        Some(which) => stored(global, which).await?,
        None => taken(global, &args.reason).await?,
    };
    let path = match &args.out {
        Some(path) if path.as_os_str() == "-" => {
            println!("{}", checkpoint.to_json()?.trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        Some(path) => {
            file::write(path, checkpoint.to_json()?.as_bytes())?;
            path.clone()
        }
        None => keep(&global.data, &checkpoint)?,
    };
    if global.json {
        output::json(&as_json(&path, &checkpoint)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let entries: i64 = checkpoint.books.iter().map(|book| book.number).sum();
    println!("checkpoint  {}", checkpoint.id);
    let taken_at = checkpoint.taken_at.format("%Y-%m-%d %H:%M UTC");
    println!("taken       {taken_at} by {}", checkpoint.taken_by);
    println!("reason      {}", checkpoint.reason);
    println!(
        "covers      {entries} entries in {} books",
        checkpoint.books.len()
    );
    println!("root        {}", checkpoint.root);
    println!("public key  {}", checkpoint.public_key);
    println!("file        {}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// The checkpoint as it stands in its file, and where that is.
pub(crate) fn as_json(path: &Path, checkpoint: &Checkpoint) -> anyhow::Result<Value> {
    let mut json = serde_json::to_value(checkpoint)?;
    json["file"] = serde_json::to_value(path)?;
    Ok(json)
}

/// Writes a checkpoint into the data folder and says where.
pub(crate) fn keep(data: &Path, checkpoint: &Checkpoint) -> anyhow::Result<PathBuf> {
    let folder = file::folder(data, "checkpoints")?;
    let taken = checkpoint.taken_at.format("%Y%m%dT%H%M%SZ");
    let id = checkpoint.id.simple().to_string();
    let path = folder.join(format!("{taken}-{}.json", &id[..8]));
    file::write(&path, checkpoint.to_json()?.as_bytes())?;
    Ok(path)
}

async fn taken(global: &Global, reason: &str) -> anyhow::Result<Checkpoint> {
    let key = key::of(&global.data)?;
    let by = Global::actor("checkpoint");
    let now = chance::now();
    global
        .commit(async |conn| Ok(checkpoint::take(conn, now, &by, reason, &key).await?))
        .await
}

async fn stored(global: &Global, which: Which) -> anyhow::Result<Checkpoint> {
    let found = global.read(async |conn| {
        Ok(match which {
            Which::Of(id) => checkpoint::find(conn, id).await?,
            Which::Latest => checkpoint::latest(conn).await?,
        })
    });
    found.await?.ok_or_else(|| {
        let sentence = match which {
            Which::Of(id) => format!("there is no checkpoint {id}"),
            Which::Latest => {
                "no checkpoint was taken yet; `counterfoil checkpoint` takes one".to_owned()
            }
        };
        BadArgument(sentence).into()
    })
}
