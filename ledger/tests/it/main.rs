//! x

mod verify;
