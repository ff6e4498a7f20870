//! One value per round. The middle one is what is told; the outer ones tell how far to believe it.

use crate::report::Figure;

#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) const fn empty() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn figure(&self, unit: &'static str) -> Figure {
        let low = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Figure { value: middle(self.0.clone()), unit, low, high }
    }

    /// Ours divided by the peer's, round by round: what slows both down for a moment cancels out.
    pub(crate) fn ratio(&self, peer: &Self) -> f64 {
        middle(self.0.iter().zip(&peer.0).map(|(ours, peers)| ours / peers).collect())
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The median; not a number when there is none.
pub(crate) fn middle(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this part of the values lies.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
pub(crate) fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found_and_a_ratio_is_taken_round_by_round() {
        assert_eq!(middle(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(middle(Vec::new()).is_nan());
        assert_eq!(quantile((1..=100).map(f64::from).collect(), 0.99), 99.0);
        // The machine was busy in the second round, for both.
        let (ours, peers): (Series, Series) =
            ([1.0, 9.0, 1.1].into_iter().collect(), [2.0, 18.0, 2.2].into_iter().collect());
        assert_eq!(ours.ratio(&peers), 0.5);
        assert_eq!(ours.figure("µs").high, 9.0);
    }
}
