//! What settlement promises, against a real Postgres, as the service role.

mod facts;
mod fixture;
mod guards;
mod posting;
mod smoke;
mod together;
