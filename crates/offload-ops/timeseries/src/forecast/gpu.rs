//! Recurrent networks on a device: for each series and each place that it is forecast from a group learns one and goes on. What
//! is done to a series before and after is the CPU's work.

use super::cpu::{Done, Errors, Off, Origins, no_model, record};
use super::learned::{Prepare, Prepared, prepare};
use super::outcome::Outcome;
use super::which::{Which, useful};
use super::{FITTED, Inputs};
use crate::lstm::{
    self, Ahead, BACK, CHANCE, COUNT, GATES, HIDDEN, LAGS, LOOK_EVERY, PATHS, PATIENCE, ROWS, Settings,
    WINDOW,
};
use crate::series::{Extents, checked, values};
use offload_api::{Record, Tensor};
use offload_core::device::{Buffer, DeviceError, Gpu, Groups, KernelText};
use offload_core::{DeviceNeed, Failure};
use rayon::prelude::*;

/// Networks that learn at once, and steps on that these make together, which bounds the memory they take.
const AT_ONCE: usize = 512;
const AHEAD_AT_ONCE: usize = 1 << 21;
/// Steps of a launch, between which a job may be cancelled.
const STEPS: usize = 5;
/// Steps on of a launch.
const STEPS_AHEAD: usize = 256;
/// Words of a task, and of how it is.
const TASK: usize = 6;
const STATE: usize = 2;
/// Numbers of a step that are kept for the way back, and those that a round goes on with.
const MOMENT: usize = ROWS * (GATES + 2 * HIDDEN);
const WALK: usize = ROWS * (HIDDEN + HIDDEN + 4 + LAGS + 2);
const ROUNDS: usize = PATHS / ROWS;

offload_core::kernels! {
    /// Networks, each learned by a group.
    static NETWORKS = "series_lstm" {
        text: include_str!("kernel.gpu.c"),
        block: 256,
        elements: [],
        defines: [("HIDDEN", "32u"), ("LAGS", "8u"), ("ROWS", "32u"), ("WINDOW", "32u"), ("ROUNDS", "4u"), ("BACK", "2048u"), ("CHANCE", "1.5f")],
    }
    /// Steps of learning.
    fn lstm_learn(
        from: u32,
        to: u32,
        seed: u64,
        lengths: [f32],
        tasks: [u32],
        values: [f32],
        start: [f32],
        parameters: [f32],
        turns: [f32],
        firsts: [f32],
        seconds: [f32],
        gradients: [f32],
        moments: [f32],
        slopes: [f32],
        states: [u32],
    );
    /// A look at what was held back.
    fn lstm_look(
        step: u32,
        patience: u32,
        tasks: [u32],
        values: [f32],
        start: [f32],
        parameters: [f32],
        moments: [f32],
        errors: [f32],
        states: [u32],
        best: [f32],
        best_errors: [f32],
    );
    /// Steps on.
    fn lstm_ahead(
        from: u32,
        to: u32,
        farthest: u32,
        seed: u64,
        tasks: [u32],
        largest: [f32],
        values: [f32],
        best: [f32],
        best_errors: [f32],
        walks: [f32],
        middles: [f32],
        squares: [f32],
    );
}

const _: () = assert!(
    HIDDEN == 32 && LAGS == 8 && ROWS == 32 && WINDOW == 32 && ROUNDS == 4 && BACK == 2048 && CHANCE == 1.5,
    "as the text has them"
);

/// What forecasting starts.
pub(super) static KERNELS: &[&KernelText] = &[&NETWORKS];

/// Tasks of a job, and how many of them are in memory at once.
fn tasks<T>(inputs: &Inputs<T>, e: Extents) -> (usize, usize) {
    let all = e.series.saturating_mul(inputs.origins() + 1);
    (all, all.min(AT_ONCE).min((AHEAD_AT_ONCE / inputs.horizon()).max(1)))
}

/// Bytes of the host while a job is on a device: series as networks take them, and what is read back.
pub(super) fn host_bytes<T>(inputs: &Inputs<T>, e: Extents) -> u64 {
    let n = e.n.min(FITTED) as u64;
    let (_, at_once) = tasks(inputs, e);
    let each = 16 * n + 8 * inputs.season() as u64 + 4 * (ROUNDS as u64 + 8) * inputs.horizon() as u64 + 512;
    each.saturating_mul(at_once as u64)
}

/// What it asks of a device.
pub(super) fn need<T>(inputs: &Inputs<T>, e: Extents, settings: Settings) -> DeviceNeed {
    if e.series == 0 {
        return crate::device::EMPTY;
    }
    let (all, at_once) = tasks(inputs, e);
    let n = e.n.min(FITTED) as u64;
    let of_task = n + TASK as u64 + 1;
    let network = 6 * COUNT + HIDDEN * GATES + WINDOW * (MOMENT + ROWS) + ROUNDS * WALK + STATE + 2 * BACK;
    let of_slot = network as u64 + (1 + ROUNDS as u64) * inputs.horizon() as u64;
    let numbers = of_task
        .saturating_mul(all as u64)
        .saturating_add(of_slot.saturating_mul(at_once as u64))
        .saturating_add((2 * settings.steps + COUNT) as u64);
    DeviceNeed::Bytes(numbers.saturating_mul(4))
}

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let ctx = gpu.context().clone();
    let e = inputs.extents(&inputs.history.spec())?;
    checked("history", &inputs.history, e, &ctx)?;
    let candidates = inputs.candidates()?;
    let [which @ Which::Lstm(settings)] = candidates[..] else {
        return Err(DeviceError::Unsupported("only the method lstm has a device path".into()).into());
    };
    let values = values(&inputs.history);
    let (season, horizon) = (inputs.season(), inputs.horizon());
    let origins = Origins::of(e.n, season, horizon, inputs.origins());
    // The end of a series, then the places before it.
    let places = origins.count + 1;
    let (_, at_once) = tasks(inputs, e);
    let networks = Networks::new(gpu, settings, horizon, at_once)?;
    let mut done: Vec<Done> = Vec::with_capacity(e.series);
    let (mut last, mut off): (Option<Outcome>, Vec<Option<Off>>) = (None, Vec::with_capacity(origins.count));
    let all: Vec<usize> = (0..e.series * places).collect();
    for chunk in all.chunks(at_once) {
        let series = |i: usize| &values[i / places * e.n..][..e.n];
        let begun = chunk.par_iter().map(|&i| {
            ctx.check()?;
            let (y, ahead) = match i % places {
                0 => (series(i), horizon),
                place => (origins.split(place - 1, series(i)).0, origins.ahead),
            };
            Ok((prepare(&y[y.len().saturating_sub(FITTED)..], season, ahead, &ctx)?, ahead))
        });
        let begun = begun.collect::<Result<Vec<(Prepare, usize)>, Failure>>()?;
        for (&i, outcome) in chunk.iter().zip(networks.outcomes(gpu, begun)?) {
            let place = i % places;
            if place == 0 {
                last = Some(outcome.ok_or_else(|| no_model(&candidates, e.n))?);
            } else {
                off.push(outcome.map(|outcome| origins.off(place - 1, &outcome, series(i), season)));
            }
            if place == origins.count
                && let Some(outcome) = last.take()
            {
                let errors = origins.errors(off.drain(..)).unwrap_or(Errors::UNKNOWN);
                done.push(Done { which, outcome, errors });
            }
        }
        ctx.block(done.len(), e.series)?;
    }
    Ok(record(inputs, e, &done))
}

/// Room for so many networks at once.
struct Networks {
    settings: Settings,
    horizon: usize,
    lengths: Buffer<f32>,
    start: Buffer<f32>,
    parameters: Buffer<f32>,
    turns: Buffer<f32>,
    firsts: Buffer<f32>,
    seconds: Buffer<f32>,
    gradients: Buffer<f32>,
    moments: Buffer<f32>,
    slopes: Buffer<f32>,
    states: Buffer<u32>,
    errors: Buffer<f32>,
    best: Buffer<f32>,
    best_errors: Buffer<f32>,
    walks: Buffer<f32>,
    middles: Buffer<f32>,
    squares: Buffer<f32>,
}

impl Networks {
    fn new(
        gpu: &mut Gpu<'_>,
        settings: Settings,
        horizon: usize,
        at_once: usize,
    ) -> Result<Networks, Failure> {
        let mut room = |each: usize| gpu.zeros::<f32>(at_once * each);
        let (parameters, best, turns) = (room(COUNT)?, room(COUNT)?, room(HIDDEN * GATES)?);
        let (firsts, seconds, gradients) = (room(COUNT)?, room(COUNT)?, room(COUNT)?);
        let (moments, slopes) = (room(WINDOW * MOMENT)?, room(WINDOW * ROWS)?);
        let (errors, best_errors) = (room(BACK)?, room(BACK)?);
        let (walks, middles, squares) = (room(ROUNDS * WALK)?, room(horizon)?, room(ROUNDS * horizon)?);
        Ok(Networks {
            settings,
            horizon,
            lengths: gpu.upload(lstm::lengths(settings.steps).as_flattened())?,
            start: gpu.upload(&lstm::start(settings.seed))?,
            parameters,
            turns,
            firsts,
            seconds,
            gradients,
            moments,
            slopes,
            states: gpu.zeros(at_once * STATE)?,
            errors,
            best,
            best_errors,
            walks,
            middles,
            squares,
        })
    }

    /// Forecasts of what is prepared, each so far ahead; `None` where it is too short or grows out of bounds.
    fn outcomes(
        &self,
        gpu: &mut Gpu<'_>,
        prepared: Vec<(Prepare, usize)>,
    ) -> Result<Vec<Option<Outcome>>, Failure> {
        let learning: Vec<(&Prepared, usize)> = prepared
            .iter()
            .filter_map(|(p, ahead)| match p {
                Prepare::Learn(p) => Some((p, *ahead)),
                _ => None,
            })
            .collect();
        let mut learned = self.learned(gpu, &learning)?.into_iter();
        let outcomes = prepared.into_iter().map(|(p, _)| match p {
            Prepare::Refused => None,
            Prepare::Known(outcome) => Some(outcome),
            Prepare::Learn(p) => learned.next().map(|ahead| p.outcome(&ahead)),
        });
        Ok(outcomes.map(|outcome| outcome.filter(useful)).collect())
    }

    /// Learns these and goes on.
    fn learned(&self, gpu: &mut Gpu<'_>, learning: &[(&Prepared, usize)]) -> Result<Vec<Ahead>, Failure> {
        let Some(farthest) = learning.iter().map(|(_, ahead)| *ahead).max() else { return Ok(Vec::new()) };
        let (mut values, mut tasks) = (Vec::new(), Vec::with_capacity(TASK * learning.len()));
        for (p, ahead) in learning {
            let s = &p.series;
            let task = [values.len(), s.w.len(), s.held, s.window, s.differences, *ahead];
            tasks.extend(task.map(|word| word as u32));
            values.extend_from_slice(&s.w);
        }
        let largest: Vec<f32> = learning.iter().map(|(p, _)| p.series.largest()).collect();
        let (values, tasks, largest) = (gpu.upload(&values)?, gpu.upload(&tasks)?, gpu.upload(&largest)?);
        gpu.clear(&self.firsts)?;
        gpu.clear(&self.seconds)?;
        gpu.clear(&self.states)?;
        let Settings { seed, steps } = self.settings;
        let groups = Groups([learning.len() as u32, 1, 1]);
        self.look(gpu, groups, 0, &tasks, &values)?;
        for from in (0..steps).step_by(STEPS) {
            let to = (from + STEPS).min(steps);
            lstm_learn(
                gpu,
                groups,
                from as u32,
                to as u32,
                seed,
                &self.lengths,
                &tasks,
                &values,
                &self.start,
                &self.parameters,
                &self.turns,
                &self.firsts,
                &self.seconds,
                &self.gradients,
                &self.moments,
                &self.slopes,
                &self.states,
            )?;
            if to % LOOK_EVERY != 0 && to != steps {
                continue;
            }
            self.look(gpu, groups, to, &tasks, &values)?;
            let states = gpu.download_range(&self.states, 0, STATE * learning.len())?;
            if states.chunks_exact(STATE).all(|state| state[1] != 0) {
                break;
            }
        }
        self.ahead(gpu, learning, farthest, (&tasks, &values, &largest))
    }

    fn look(
        &self,
        gpu: &mut Gpu<'_>,
        groups: Groups,
        step: usize,
        tasks: &Buffer<u32>,
        values: &Buffer<f32>,
    ) -> Result<(), Failure> {
        lstm_look(
            gpu,
            groups,
            step as u32,
            PATIENCE,
            tasks,
            values,
            &self.start,
            &self.parameters,
            &self.moments,
            &self.errors,
            &self.states,
            &self.best,
            &self.best_errors,
        )
    }

    fn ahead(
        &self,
        gpu: &mut Gpu<'_>,
        learning: &[(&Prepared, usize)],
        farthest: usize,
        (tasks, values, largest): (&Buffer<u32>, &Buffer<f32>, &Buffer<f32>),
    ) -> Result<Vec<Ahead>, Failure> {
        let groups = Groups([(learning.len() * ROUNDS) as u32, 1, 1]);
        let end = WINDOW + farthest - 1;
        for from in (0..end).step_by(STEPS_AHEAD) {
            let to = (from + STEPS_AHEAD).min(end);
            lstm_ahead(
                gpu,
                groups,
                from as u32,
                to as u32,
                self.horizon as u32,
                self.settings.seed,
                tasks,
                largest,
                values,
                &self.best,
                &self.best_errors,
                &self.walks,
                &self.middles,
                &self.squares,
            )?;
        }
        let middles = gpu.download_range(&self.middles, 0, self.horizon * learning.len())?;
        let squares = gpu.download_range(&self.squares, 0, self.horizon * learning.len() * ROUNDS)?;
        let each = middles.chunks(self.horizon).zip(squares.chunks(self.horizon * ROUNDS));
        let ahead = learning.iter().zip(each).map(|((_, ahead), (middles, squares))| {
            let rounds = squares.chunks(self.horizon).map(|of_round| &of_round[..*ahead]);
            Ahead::of_rounds(middles[..*ahead].to_vec(), rounds)
        });
        Ok(ahead.collect())
    }
}
