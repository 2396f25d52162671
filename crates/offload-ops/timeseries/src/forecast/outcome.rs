//! What a model says of the values to come.

/// The values to come, each with its standard deviation.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// The middle of what is to be expected; a logarithm where `log` is set.
    pub(super) values: Vec<f64>,
    /// Standard deviations of the errors, for each step.
    pub(super) deviations: Vec<f64>,
    /// Whether both are of logarithms.
    pub(super) log: bool,
    /// What is added to the values themselves, over and over; nothing where it is empty.
    pub(super) season: Vec<f64>,
    /// The model in words.
    pub(super) model: String,
}

impl Outcome {
    /// Values, and the ends of the interval that reaches so many deviations to both sides.
    pub(super) fn interval(&self, deviations: f64) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        let back = move |i: usize, v: f64| {
            let season = if self.season.is_empty() { 0.0 } else { self.season[i % self.season.len()] };
            season + if self.log { v.exp() } else { v }
        };
        self.values
            .iter()
            .zip(&self.deviations)
            .enumerate()
            .map(move |(i, (v, d))| (back(i, *v), back(i, v - deviations * d), back(i, v + deviations * d)))
    }

    /// The same with a season, which repeats.
    pub(super) fn with_season(mut self, season: &[f64]) -> Outcome {
        self.season = season.to_vec();
        self.model = format!("{} after a season of {} by stl", self.model, season.len());
        self
    }
}
