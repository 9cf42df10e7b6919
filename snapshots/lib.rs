//! The product specified by example: every snapshot lies in this folder, beside the house rules.
