//! The orders and refunds of the demo, read whole and in order of time.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context;

use crate::cli::import::{Report, columns, orders, refunds};

/// What is replayed.
pub(super) struct Source {
    pub(super) orders: Vec<orders::Row>,
    pub(super) refunds: Vec<refunds::Row>,
}

/// The given files, or the embedded ones.
pub(super) fn read(orders: Option<&Path>, refunds: Option<&Path>) -> anyhow::Result<Source> {
    let mut source = Source {
        orders: Vec::new(),
        refunds: Vec::new(),
    };
    match orders {
        None => {
            source.add_orders(
                include_bytes!("../../../demo/orders.csv").as_slice(),
                "orders",
            )?;
            source.add_refunds(
                include_bytes!("../../../demo/refunds.csv").as_slice(),
                "refunds",
            )?;
            let unmatched = include_bytes!("../../../demo/unmatched_refunds.csv").as_slice();
            source.add_refunds(unmatched, "unmatched refunds")?;
        }
        Some(path) => source.add_orders(open(path)?, &path.display().to_string())?,
    }
    if let Some(path) = refunds {
        source.add_refunds(open(path)?, &path.display().to_string())?;
    }
    source.orders.sort_by_key(|row| row.occurred_at);
    source.refunds.sort_by_key(|row| row.occurred_at);
    anyhow::ensure!(!source.orders.is_empty(), "there is no order to replay");
    Ok(source)
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("{} cannot be read", path.display()))
}

impl Source {
    fn add_orders(&mut self, file: impl Read, name: &str) -> anyhow::Result<()> {
        let (header, records) = records(file, name)?;
        let columns = orders::Columns::find(&header).with_context(|| name.to_owned())?;
        let mut report = Report::new("orders");
        self.orders
            .extend(columns.rows(&records, None, &mut report));
        report.all_well(name)
    }

    fn add_refunds(&mut self, file: impl Read, name: &str) -> anyhow::Result<()> {
        let (header, records) = records(file, name)?;
        let columns = refunds::Columns::find(&header).with_context(|| name.to_owned())?;
        let mut report = Report::new("refunds");
        self.refunds
            .extend(columns.rows(&records, None, &mut report));
        report.all_well(name)
    }
}

type Records = (csv::StringRecord, Vec<(u64, csv::StringRecord)>);

fn records(file: impl Read, name: &str) -> anyhow::Result<Records> {
    let mut reader = columns::reader(file);
    let header = reader.headers().with_context(|| name.to_owned())?.clone();
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| name.to_owned())?;
        records.push((record.position().map_or(0, csv::Position::line), record));
    }
    Ok((header, records))
}
