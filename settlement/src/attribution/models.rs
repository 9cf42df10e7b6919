//! Pure: how the credit of an order is shared among its touches.
//!
//! A model sees the moments of the touches, oldest first, and gives one whole number to each: its
//! weight. Shares are weights over their sum, so they are exact whatever their number, and amounts
//! are split by [`ledger::money::allocate`], so that the parts are the whole.
//!
//! What it never does: look at who clicked where, at a clock, or at a float.
//!
//! # Adding a model
//!
//! Add a variant to [`Model`] and the arms the compiler asks for; the properties in this file's
//! tests then hold it to sums, order and scale.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How the touches of an order share its credit. Written as text: `last_click`, `first_click`,
/// `linear`, `position:40/20/40`, `time_decay:168h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Model {
    /// All to the last touch.
    #[default]
    LastClick,
    /// All to the first touch.
    FirstClick,
    /// The same to each.
    Linear,
    /// So many percent to the first and to the last touch, the rest in equal parts between them.
    Position(Ends),
    /// A touch counts half as much as one that is this many hours younger.
    TimeDecay {
        /// The half-life in hours.
        half_life: NonZeroU32,
    },
}

/// The percent that the first and the last touch get; together at most 100, each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    first: u8,
    last: u8,
}

impl Ends {
    /// Forty to the first, forty to the last, twenty for all between.
    pub const USUAL: Ends = Ends {
        first: 40,
        last: 40,
    };

    /// These percents, if there can be such.
    #[must_use]
    pub fn new(first: u8, last: u8) -> Option<Ends> {
        (first > 0 && last > 0 && u32::from(first) + u32::from(last) <= 100)
            .then_some(Ends { first, last })
    }

    fn between(self) -> u8 {
        100 - self.first - self.last
    }
}

/// A text that names no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no attribution model is written {0:?}; write last_click, first_click, linear, position, \
     position:40/20/40, time_decay or time_decay:7d"
)]
pub struct UnknownModel(String);

/// The weight of the youngest touch under time decay: older ones keep 32 binary places.
const YOUNGEST: u64 = 1 << 32;

/// The half-life where none is said: seven days.
const USUAL_HALF_LIFE: NonZeroU32 = NonZeroU32::new(7 * 24).expect("seven days are not none");

impl Model {
    /// Every model with its usual settings.
    pub const ALL: [Model; 5] = [
        Model::LastClick,
        Model::FirstClick,
        Model::Linear,
        Model::Position(Ends::USUAL),
        Model::TimeDecay {
            half_life: USUAL_HALF_LIFE,
        },
    ];

    /// Its name without its settings, as stored beside each decision.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Model::LastClick => "last_click",
            Model::FirstClick => "first_click",
            Model::Linear => "linear",
            Model::Position(_) => "position",
            Model::TimeDecay { .. } => "time_decay",
        }
    }

    /// One weight for each touch, given when they happened, oldest first. The sum is above zero
    /// unless there are no touches.
    #[must_use]
    pub fn weights(self, touches: &[DateTime<Utc>]) -> Vec<u64> {
        let count = touches.len();
        let only = |chosen: usize| (0..count).map(|at| u64::from(at == chosen)).collect();
        match self {
            Model::LastClick => only(count.saturating_sub(1)),
            Model::FirstClick => only(0),
            Model::Linear => vec![1; count],
            Model::Position(ends) => by_position(ends, count),
            Model::TimeDecay { half_life } => decayed(touches, half_life),
        }
    }
}

fn by_position(ends: Ends, count: usize) -> Vec<u64> {
    // With two touches nobody stands between: the ends share all. With more, everything is taken
    // times the number of those between, so that each of them gets a whole number.
    let between = u64::try_from(count.saturating_sub(2)).unwrap_or(u64::MAX);
    let times = between.max(1);
    (0..count)
        .map(|at| match at {
            0 => u64::from(ends.first).saturating_mul(times),
            last if last + 1 == count => u64::from(ends.last).saturating_mul(times),
            _ => u64::from(ends.between()),
        })
        .collect()
}

fn decayed(touches: &[DateTime<Utc>], half_life: NonZeroU32) -> Vec<u64> {
    let Some(youngest) = touches.last() else {
        return Vec::new();
    };
    let half_life = u64::from(half_life.get()) * 3_600_000_000;
    let age = |touch: &DateTime<Utc>| {
        let micros = youngest.timestamp_micros() - touch.timestamp_micros();
        u64::try_from(micros).unwrap_or(0)
    };
    let weight = |touch| half_to_the(age(touch), half_life);
    touches.iter().map(weight).collect()
}

/// `YOUNGEST` times one half to the power of `age / half_life`, rounded down, in whole numbers
/// only: halved for each half-life, then by the binary digits of what is left of the last one.
fn half_to_the(age: u64, half_life: u64) -> u64 {
    let Ok(halvings) = u32::try_from(age / half_life) else {
        return 0;
    };
    let mut left = u128::from(age % half_life);
    let mut factor: u128 = ONE;
    for root in ROOTS {
        left *= 2;
        if left >= u128::from(half_life) {
            left -= u128::from(half_life);
            factor = (factor * root) >> PLACES;
        }
    }
    let weight = (u128::from(YOUNGEST) * factor) >> PLACES;
    u64::try_from(weight.checked_shr(halvings).unwrap_or(0)).unwrap_or(0)
}

/// Binary places of the factors below.
const PLACES: u32 = 62;
const ONE: u128 = 1 << PLACES;

/// One half to the power of 1/2, 1/4, 1/8 and so on: each the square root of the one before.
const ROOTS: [u128; 40] = {
    let mut roots = [0; 40];
    let mut root = ONE / 2;
    let mut at = 0;
    while at < roots.len() {
        root = (root << PLACES).isqrt();
        roots[at] = root;
        at += 1;
    }
    roots
};

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Model::Position(ends) => {
                let (first, between, last) = (ends.first, ends.between(), ends.last);
                write!(f, "position:{first}/{between}/{last}")
            }
            Model::TimeDecay { half_life } => write!(f, "time_decay:{half_life}h"),
            Model::LastClick | Model::FirstClick | Model::Linear => f.write_str(self.name()),
        }
    }
}

impl FromStr for Model {
    type Err = UnknownModel;

    fn from_str(text: &str) -> Result<Model, UnknownModel> {
        let (name, setting) = text.split_once(':').unzip();
        let name = name.unwrap_or(text);
        let usual = Model::ALL.into_iter().find(|model| model.name() == name);
        let model = match (usual, setting) {
            (usual, None) => usual,
            (Some(Model::Position(_)), Some(ends)) => position(ends),
            (Some(Model::TimeDecay { .. }), Some(half_life)) => time_decay(half_life),
            _ => None,
        };
        model.ok_or_else(|| UnknownModel(text.to_owned()))
    }
}

/// `40/20/40`
fn position(text: &str) -> Option<Model> {
    let parts: Vec<u8> = text
        .split('/')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let &[first, between, last] = parts.as_slice() else {
        return None;
    };
    let ends = Ends::new(first, last)?;
    (ends.between() == between).then_some(Model::Position(ends))
}

/// `36h` or `7d`
fn time_decay(text: &str) -> Option<Model> {
    let hours = if let Some(hours) = text.strip_suffix('h') {
        hours.parse().ok()?
    } else {
        let days: u32 = text.strip_suffix('d')?.parse().ok()?;
        days.checked_mul(24)?
    };
    // A century is long enough, and short enough for every sum.
    let half_life = NonZeroU32::new(hours).filter(|hours| hours.get() <= 876_600)?;
    Some(Model::TimeDecay { half_life })
}

impl TryFrom<String> for Model {
    type Error = UnknownModel;

    fn try_from(text: String) -> Result<Model, UnknownModel> {
        text.parse()
    }
}

impl From<Model> for String {
    fn from(model: Model) -> String {
        model.to_string()
    }
}

#[cfg(test)]
mod tests;
