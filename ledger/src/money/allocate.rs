//! [`allocate`]: splits money so that nothing is left over and nothing is invented.

use super::{Money, MoneyError};

/// Splits `total` in proportion to `weights`, by largest remainder: every part is rounded down, and
/// the units that are left go, one each, to the parts that lost most; of equals, to the first.
///
/// - The parts sum to exactly `total`, and each is within one unit of its exact share.
/// - A larger weight never gets less; a zero weight gets zero.
/// - The parts of a debt mirror the parts of a claim.
///
/// One thing it cannot promise: that each part shrinks when the *total* does. With three parts or
/// more, a smaller total can enlarge one of them. So what is refunded later is not split anew:
/// allocate the *difference*, by the parts as they stand. Each part then only shrinks, none falls
/// below zero, and a refund of everything leaves nothing.
pub fn allocate(total: Money, weights: &[u64]) -> Result<Vec<Money>, MoneyError> {
    let sum: u128 = weights.iter().copied().map(u128::from).sum();
    if sum == 0 {
        return Err(MoneyError::NoWeight(total));
    }
    let units = u128::from(total.minor().unsigned_abs());
    let exact = |weight: &u64| units * u128::from(*weight);
    let mut parts: Vec<u128> = weights.iter().map(|weight| exact(weight) / sum).collect();

    let mut left = units - parts.iter().sum::<u128>();
    let mut losers: Vec<usize> = (0..weights.len()).collect();
    // A stable sort, so that the lowest index comes first among equals.
    losers.sort_by_key(|&index| std::cmp::Reverse(exact(&weights[index]) % sum));
    for index in losers {
        if left == 0 {
            break;
        }
        parts[index] += 1;
        left -= 1;
    }

    let signed = |part: u128| {
        let money = Money::within_range(part.cast_signed(), total.currency());
        if total.is_negative() {
            money.negated()
        } else {
            money
        }
    };
    Ok(parts.into_iter().map(signed).collect())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::money::Currency;
    use crate::testing::money;

    fn weights() -> impl Strategy<Value = Vec<u64>> {
        let weight =
            prop_oneof![1 => Just(0), 4 => 1..10_u64, 2 => 1..1_000_000_u64, 1 => any::<u64>()];
        vec(weight, 1..12).prop_filter("some weight", |all| all.iter().any(|weight| *weight > 0))
    }

    fn minors(total: i64, weights: &[u64]) -> Vec<i64> {
        let total = Money::try_from_minor(total, Currency::USD).unwrap();
        allocate(total, weights)
            .unwrap()
            .into_iter()
            .map(Money::minor)
            .collect()
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole(total in money(), weights in weights()) {
            let parts = allocate(total, &weights).unwrap();
            prop_assert_eq!(parts.len(), weights.len());
            prop_assert_eq!(Money::sum(total.currency(), parts), Ok(total));
        }

        #[test]
        fn each_part_is_within_one_unit_of_its_exact_share(total in money(), weights in weights()) {
            let sum: u128 = weights.iter().copied().map(u128::from).sum();
            for (part, weight) in allocate(total, &weights).unwrap().into_iter().zip(weights) {
                let exact = u128::from(total.minor().unsigned_abs()) * u128::from(weight);
                let floor = exact / sum;
                let part = u128::from(part.minor().unsigned_abs());
                prop_assert!(part == floor || (part == floor + 1 && exact % sum > 0));
            }
        }

        #[test]
        fn a_larger_weight_never_gets_less(total in 0..i64::MAX, weights in weights()) {
            let parts = minors(total, &weights);
            for (i, a) in weights.iter().enumerate() {
                for (j, b) in weights.iter().enumerate() {
                    // Equal weights differ by at most one unit, and the first one has it.
                    prop_assert!(!(a > b || (a == b && i < j)) || parts[i] >= parts[j]);
                    prop_assert!(a != b || parts[i].abs_diff(parts[j]) <= 1);
                }
            }
        }

        #[test]
        fn the_parts_of_a_debt_mirror_those_of_a_claim(total in money(), weights in weights()) {
            let mirror = allocate(total.negated(), &weights).unwrap();
            let mirrored: Vec<Money> = mirror.into_iter().map(Money::negated).collect();
            prop_assert_eq!(allocate(total, &weights).unwrap(), mirrored);
        }

        #[test]
        fn a_difference_split_by_the_parts_only_shrinks_them(
            total in 1..1_000_000_i64, weights in weights(), refunds in vec(1..100_000_i64, 1..20),
        ) {
            let mut parts = minors(total, &weights);
            for refund in refunds.into_iter().chain([total]) {
                let standing: Vec<u64> = parts.iter().map(|part| part.unsigned_abs()).collect();
                let refund = refund.min(parts.iter().sum());
                if refund == 0 {
                    break;
                }
                for (part, less) in parts.iter_mut().zip(minors(refund, &standing)) {
                    prop_assert!(less >= 0 && less <= *part);
                    *part -= less;
                }
            }
            prop_assert!(parts.iter().all(|part| *part == 0));
        }
    }

    #[test]
    fn of_equals_the_first_gets_the_unit_that_is_left() {
        assert_eq!(minors(800, &[1, 1, 1]), [267, 267, 266]);
        assert_eq!(minors(-800, &[1, 1, 1]), [-267, -267, -266]);
        assert_eq!(minors(1, &[0, 1, 1]), [0, 1, 0]);
        assert_eq!(minors(1000, &[40, 20, 40]), [400, 200, 400]);
        assert_eq!(minors(0, &[3, 1]), [0, 0]);
    }

    /// Why a refund allocates the difference.
    #[test]
    fn a_smaller_total_can_enlarge_a_part() {
        let weights = [6, 6, 2];
        assert_eq!(
            (minors(11, &weights), minors(10, &weights)),
            (vec![5, 5, 1], vec![4, 4, 2])
        );
    }

    #[test]
    fn without_weight_there_is_nothing_to_split_by() {
        let total = Money::zero(Currency::JPY);
        assert_eq!(allocate(total, &[]), Err(MoneyError::NoWeight(total)));
        assert_eq!(allocate(total, &[0, 0]), Err(MoneyError::NoWeight(total)));
    }
}
