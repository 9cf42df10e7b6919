//! Everything that happens by itself or leaves the building: the calendar, the queue, mail, PDF,
//! payout rails.
//!
//! There is nothing here yet but its place in the chain: it may use `settlement` and what stands to
//! the left of it, and `api` may use it. The first job brings the queue with it.
//!
//! What it will never do: serve an HTTP route, or hold a rule about money.
