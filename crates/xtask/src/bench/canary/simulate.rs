//! All roll-outs of a scenario, on all cores.

use anyhow::Result;

use super::ours::{Setting, breaker, judge};
use super::roll_out::{Judges, RollOut, run};
use super::scenario::Scenario;
use super::stream::{Latencies, Stream};

/// The same seed gives the same roll-outs, however many cores there are.
pub(super) fn simulate(
    scenario: &Scenario,
    latencies: &Latencies,
    roll_outs: usize,
    seed: u64,
) -> Result<Vec<RollOut>> {
    let judges = Judges { strict: judge(Setting::Strict)?, limits: judge(Setting::Limits)?, breaker: breaker()? };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(roll_outs.max(1));
    let passes = scenario.is_healthy();
    let work = |thread: usize| -> Vec<(usize, RollOut)> {
        (thread..roll_outs)
            .step_by(threads)
            .map(|index| {
                let stream = Stream::new(scenario, latencies, seed ^ ((index as u64) << 20));
                (index, run(stream, judges.clone(), passes))
            })
            .collect()
    };
    let work = &work;
    let mut all: Vec<(usize, RollOut)> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        handles.into_iter().flat_map(|handle| handle.join().expect("a simulation does not panic")).collect()
    });
    all.sort_unstable_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, roll_out)| roll_out).collect())
}
