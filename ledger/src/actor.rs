//! Pure: who did it.
//!
//! An actor is written on every entry and every state change (`job:close_month`,
//! `http:postback`, `cli:import@ada`), so an auditor's first question is answered by a column.

use std::fmt;

/// Who recorded something: the surface, the action and, where there is one, the person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Actor(String);

impl Actor {
    /// An actor by name; control characters become spaces, so that it fits on one line anywhere.
    pub fn new(name: impl Into<String>) -> Actor {
        let name: String = name.into();
        Actor(name.replace(char::is_control, " "))
    }

    /// The name as stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
