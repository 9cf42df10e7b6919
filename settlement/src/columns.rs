//! Pure: a slice of things as the columns that `unnest` takes, one array each.

/// One column: what `of` says of each item.
pub(crate) fn column<T, U>(items: &[T], of: impl Fn(&T) -> U) -> Vec<U> {
    items.iter().map(of).collect()
}
