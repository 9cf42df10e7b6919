//! What settlement promises, against a real Postgres, as the service role.

mod fixture;
mod posting;
mod smoke;
