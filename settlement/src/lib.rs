//! The life of a commission: click, order, attribution, commission, conversion, and the posting
//! manual.

pub mod commission;
pub mod fees;
