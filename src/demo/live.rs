//! The service as its users meet it: over HTTP, with data that stays and work that is not waited for.

use super::data::Data;
use super::report::{Row, time};
use indicatif::{ProgressBar, ProgressStyle};
use offload_client::{ClientError, GpuClient};
use offload_server::config::Layers;
use offload_server::embedded::Embedded;
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Images that are known; the rest are asked about.
const KNOWN: usize = 1198;
const NEIGHBOURS: usize = 5;
/// The classes of the digits.
const CLASSES: usize = 10;
/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Whatever is left is in the system's folder for temporary things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Two rows: classification by nearest neighbours in a dataset, and a task that is followed to its end.
///
/// # Errors
/// What kept the service from starting or answering.
pub(super) fn check(data: &Data) -> Result<Vec<Row>, String> {
    let folder = Folder(std::env::temp_dir().join(format!("heliosdb-demo-{}", std::process::id())));
    let mut layers = Layers::default();
    let path = folder.0.join("data");
    for (key, value) in [("store.data_dir", path.to_string_lossy().as_ref()), ("log.level", "error")] {
        layers.text(key, value, "the demo").map_err(|e| e.to_string())?;
    }
    let config = layers.build().map_err(|e| e.to_string())?;
    let service = Embedded::start(config, offload_ops::registry()).map_err(|e| e.to_string())?;
    let client = GpuClient::builder(&format!("http://{}", service.address()))
        .api_key(service.key())
        .timeout(PATIENCE)
        .build()
        .map_err(|e| e.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime
        .block_on(async { Ok(vec![digits(&client, data).await?, task(&client, data).await?]) })
        .map_err(|e: ClientError| e.to_string())
}

/// Labels of the images after the first, by the nearest of the first, which are sent once.
async fn digits(client: &GpuClient, data: &Data) -> Result<Row, ClientError> {
    let images = data.digits.rows();
    let (known, asked) = images.split_at(KNOWN.min(images.len()));
    let columns = json!({"pixels": known, "label": &data.labels[..known.len()]});
    let stored = client.put_dataset("digits", &columns).await?;
    let started = Instant::now();
    let inputs = json!({"query": asked, "corpus": {"dataset": "digits", "column": "pixels"},
                        "k": NEIGHBOURS, "metric": "l2"});
    let answer = client.run_json("vector", "knn", &inputs).await?;
    let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let matches = answer.result["matches"].as_array().or(answer.result.as_array());
    let right = matches.map_or(0, |all| {
        let labels = all.iter().map(|m| vote(m, &data.labels));
        labels.zip(&data.labels[known.len()..]).filter(|(got, want)| got.as_ref() == Some(*want)).count()
    });
    let wanted = data.reference.right_digits;
    let percent = |n: usize| 100.0 * n as f64 / asked.len().max(1) as f64;
    Ok(Row::told(
        format!("{} digits by their {NEIGHBOURS} nearest in a dataset of {}", asked.len(), stored["rows"]),
        right == wanted,
        format!("{:.1} % right, scikit-learn {:.1} %", percent(right), percent(wanted)),
        took,
        format!("{}: over HTTP, the corpus resident at version {}", answer.device, stored["version"]),
    ))
}

/// The label that most of the matches have; of equals the smallest.
fn vote(matches: &Json, labels: &[usize]) -> Option<usize> {
    let mut votes = [0usize; CLASSES];
    for m in matches.as_array()? {
        let index = usize::try_from(m["idx"].as_u64()?).ok()?;
        *votes.get_mut(*labels.get(index)?)? += 1;
    }
    votes.iter().enumerate().max_by_key(|(label, n)| (**n, std::cmp::Reverse(*label))).map(|(label, _)| label)
}

/// The singular values of all images, as a task whose progress is followed over server-sent events.
async fn task(client: &GpuClient, data: &Data) -> Result<Row, ClientError> {
    let started = Instant::now();
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("  {bar:40} {percent:>3} %  {msg}") {
        bar.set_style(style);
    }
    let id = client.submit("matrix", "svd", &json!({"a": data.digits.rows()}), "the demo's task").await?;
    let mut steps = 0;
    let done = client
        .follow(&id, PATIENCE, |step| {
            steps += 1;
            bar.set_position((step.progress * 1000.0) as u64);
            bar.set_message(step.status.clone());
        })
        .await?;
    bar.finish_and_clear();
    let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let link = done.result_url.as_deref();
    let result = match link {
        Some(link) => client.get(link).await?["result"].clone(),
        None => done.result.clone(),
    };
    let values: Vec<f64> = result["s"].as_array().into_iter().flatten().filter_map(Json::as_f64).collect();
    // The squares of the singular values add up to the squares of the entries.
    let (got, want) = (values.iter().map(|s| s * s).sum::<f64>(), data.digits.sum_of_squares());
    let same = (got / want - 1.0).abs() < 1e-10;
    Ok(Row::told(
        "SVD of the digits as a task, followed by SSE",
        done.status == "completed" && same,
        format!("{} after {steps} steps told; Σσ² = {got:.0}, of the pixels {want:.0}", done.status),
        took,
        format!("{} and its events over HTTP in {}", &id[..id.len().min(12)], time(took)),
    ))
}
