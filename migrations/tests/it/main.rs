//! The database made ready, tried out on real servers.

mod testing;
