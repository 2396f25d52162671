//! A question without an answer: a pixel that is blank in every image makes the covariance singular.

use super::components::covariance;
use super::data::Data;
use super::report::Row;
use super::service::{Failed, Service, inline};
use offload_api::ErrorCode;
use std::time::Instant;

/// One row: the error says what is wrong and where.
pub(super) fn check(service: &Service, data: &Data) -> Result<Vec<Row>, Failed> {
    let covariance = covariance(service, data)?;
    let what = "inverse of the digits' covariance, which has none";
    let started = Instant::now();
    let error = match service.call("inverse", [("a", inline(covariance.tensor("result")?))]) {
        Ok(inverse) => return Ok(vec![Row::new(what, false, "an inverse that cannot be", &[&inverse])]),
        Err(error) => error,
    };
    let micros = started.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
    let reason = error.details["reason"].as_str().unwrap_or("none");
    let pivot = error.details["pivot"].as_u64();
    let right = error.error == ErrorCode::Unprocessable && reason == "singular" && pivot == Some(0);
    let mut answer = error.to_string();
    if right {
        answer += &format!(" (pixel 0 is blank in all {} images)", data.digits.rows);
    }
    Ok(vec![Row::refused(what, right, answer, micros, &error)])
}
