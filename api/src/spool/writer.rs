//! The one thread that writes: it takes whatever queued while its last write ran, writes it in one
//! piece, makes it last with one sync, and answers everybody in it.

use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::segment::Appender;
use super::{Shared, files};

/// How many clicks are written in one piece at most.
const AT_ONCE: usize = 4_096;

/// A click that waits for the disk.
pub(super) struct Waiting {
    pub(super) click: Uuid,
    pub(super) frame: Vec<u8>,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// Whether a click lies on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Kept,
    NoRoom,
}

/// Writes until nobody can hand in clicks any more.
pub(super) fn write(mut queue: mpsc::Receiver<Waiting>, mut appender: Appender, shared: &Shared) {
    let mut batch = Vec::new();
    let mut frames = Vec::new();
    while queue.blocking_recv_many(&mut batch, AT_ONCE) > 0 {
        frames.clear();
        for waiting in &batch {
            frames.extend_from_slice(&waiting.frame);
        }
        let answer = match appender.append(&frames) {
            Ok(end) => {
                shared.written.send_replace(end);
                shared.complained.store(false, Ordering::Relaxed);
                Answer::Kept
            }
            Err(error) => {
                if !shared.complained.swap(true, Ordering::Relaxed) {
                    let folder = shared.folder.display();
                    tracing::error!(%error, "clicks cannot be kept in {folder}; make room there");
                }
                shared.forget(batch.iter().map(|waiting| waiting.click));
                Answer::NoRoom
            }
        };
        for waiting in batch.drain(..) {
            // Whoever asked may have gone away; the click counts all the same.
            waiting.reply.send(answer).ok();
        }
    }
    drop(files::mark_lost(
        &shared.folder,
        shared.lost.load(Ordering::Relaxed),
    ));
}
