//! The same question twice: the second answer comes from the cache.

use super::components::{agree, beside, spread};
use super::data::Data;
use super::report::{Row, time};
use super::service::{Failed, Service, inline};

/// One row for each time it is asked.
pub(super) fn check(service: &Service, data: &Data) -> Result<Vec<Row>, Failed> {
    let images = spread(data)?;
    let first = service.call_cached("svd", [("a", inline(&images))])?;
    let again = service.call_cached("svd", [("a", inline(&images))])?;

    // The squares of the singular values are the eigenvalues of the covariance.
    let variances: Vec<f64> = first.numbers("s")?.iter().map(|s| s * s).collect();
    let total: f64 = variances.iter().sum();
    let shares: Vec<f64> = variances.iter().map(|v| v / total).collect();
    let asked = Row::new(
        "PCA again, by SVD of the digits themselves",
        !first.cache_hit() && agree(&shares, &data.reference.shares),
        beside(&shares, &data.reference.shares),
        &[&first],
    );

    let same = ["u", "s", "vt"]
        .iter()
        .try_fold(true, |same, name| Ok::<_, Failed>(same && first.tensor(name)? == again.tensor(name)?))?;
    let factor = first.micros() as f64 / again.micros().max(1) as f64;
    let answer = match (again.cache_hit(), same) {
        (true, true) => "the same to the bit",
        (true, false) => "another answer",
        (false, _) => "not from the cache",
    };
    let repeated = Row::new(
        "the same call repeated",
        again.cache_hit() && same,
        format!("{answer}, {factor:.0} times as fast ({} before)", time(first.micros())),
        &[&again],
    );
    Ok(vec![asked, repeated])
}
