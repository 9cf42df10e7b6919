//! x

mod access;
mod balance;
mod broken_stores;
mod checkpoint;
mod concurrency;
mod export;
mod kill;
mod model;
mod period;
mod post;
mod support;
mod verify;
