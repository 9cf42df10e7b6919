//! x

mod export;
mod broken_stores;
mod checkpoint;
mod verify;
mod access;
mod concurrency;
mod period;
mod post;
mod support;
mod balance;
mod kill;
mod model;
