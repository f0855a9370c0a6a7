//! The judge from outside: windows in, verdicts out.

use std::time::Duration;

use proptest::prelude::*;
use signalbox_canary::criteria::{BadCriteria, Criteria, Limits, Metric, Source};
use signalbox_canary::judge::Judge;
use signalbox_canary::policy::{self, Policy, Step, What};
use signalbox_canary::verdict::{MetricVerdict, Outcome, Verdict};
use signalbox_canary::window::{Arm, Errors, Measured, Reading, Tally, Window};

const SECOND: i64 = 1_000_000;

fn metric(name: &str, source: Source, worse: &str) -> Metric {
    Metric {
        name: name.to_owned(),
        source,
        worse: worse.parse().expect("a limit"),
        weight: 1,
        min_trials: None,
        shadow: false,
    }
}

fn errors() -> Metric {
    metric("errors", Source::Errors { client: false }, "+0.5 points")
}

fn latency() -> Metric {
    metric("latency", Source::Latency, "+20 %")
}

fn clicks() -> Metric {
    metric("click-through", Source::Share { trials: "opens".to_owned() }, "-5 %")
}

fn orders() -> Metric {
    metric("orders", Source::Sample, "-5 %")
}

fn criteria(metrics: Vec<Metric>) -> Criteria {
    Criteria {
        canary: "1.2.0".to_owned(),
        baseline: "1.1.0".to_owned(),
        metrics,
        limits: Limits::default(),
        min_requests: 1_000,
        false_alarms: 0.05,
    }
}

fn judge(metrics: Vec<Metric>) -> Judge {
    Judge::new(criteria(metrics)).expect("criteria that make sense")
}

fn arm(requests: u64, errors: u64, latency_ms: u64) -> Arm {
    let mut arm = Arm { requests, errors: Errors { server: errors, ..Errors::default() }, ..Arm::default() };
    // Spread from half to one and a half of the middle.
    (0..requests).for_each(|index| arm.latency.record(latency_ms * (500 + index * 1_000 / requests)));
    arm
}

fn second(at: i64, canary: Arm, baseline: Arm) -> Window {
    Window { from: at * SECOND, to: (at + 1) * SECOND, canary, baseline, readings: Vec::new() }
}

fn reading(mut window: Window, metric: &str, value: Measured) -> Window {
    window.readings.push(Reading { metric: metric.to_owned(), value });
    window
}

fn only(verdict: &Verdict) -> &MetricVerdict {
    let [metric] = verdict.metrics.as_slice() else { panic!("{} metrics", verdict.metrics.len()) };
    metric
}

/// One error in 200 requests of either arm.
fn healthy(judge: &mut Judge, seconds: std::ops::Range<i64>) {
    for at in seconds {
        judge.observe(&second(at, arm(50, u64::from(at % 4 == 0), 40), arm(450, 2 + u64::from(at % 4 == 0), 40)));
    }
}

#[test]
fn a_healthy_canary_passes_and_the_words_say_on_what() {
    let mut judge = judge(vec![errors(), latency()]);
    healthy(&mut judge, 0..15);
    let early = judge.verdict();
    assert_eq!(early.outcome, Outcome::Insufficient);
    assert!(early.words.contains("insufficient (750 of 1,000 requests)"), "{}", early.words);
    healthy(&mut judge, 15..60);
    let verdict = judge.verdict();
    assert_eq!(verdict.outcome, Outcome::Insufficient, "{}", verdict.words);
    let more = verdict.metrics[0].more.unwrap();
    assert!(verdict.words.contains("pass likely after ~"), "{}", verdict.words);
    healthy(&mut judge, 60..60 + 2 * more as i64 / 50);
    let verdict = judge.verdict();
    assert_eq!(verdict.outcome, Outcome::Pass, "{}", verdict.words);
    assert!(verdict.words.starts_with("every metric is within its limit ("), "{}", verdict.words);
    let words = &verdict.metrics[0].words;
    assert!(words.starts_with("errors 0.50 % on 1.2.0 against 0.50 % on 1.1.0 ("), "{words}");
    assert!(words.contains("not worse by +0.5 points, wrong at most 1 in "), "{words}");
    let difference = verdict.metrics[0].difference.unwrap();
    assert!(difference.low < 0.0 && difference.high > 0.0 && difference.high < 0.02, "{difference:?}");
    assert!(verdict.metrics[1].words.contains("on 1.2.0 against 3") && verdict.metrics[1].words.contains("(p99 "));
}

#[test]
fn a_canary_that_fails_too_often_fails_for_good() {
    let mut judge = judge(vec![errors(), latency()]);
    (0..60).for_each(|at| judge.observe(&second(at, arm(50, 2, 40), arm(450, 2, 40))));
    let verdict = judge.verdict();
    assert_eq!(verdict.outcome, Outcome::Fail);
    assert_eq!(verdict.metrics[1].outcome, Outcome::Pass, "{}", verdict.metrics[1].words);
    assert!(verdict.words.starts_with("errors 4.00 % on 1.2.0 against 0.44 % on 1.1.0 ("), "{}", verdict.words);
    assert!(verdict.words.contains("; limit +0.5 points; false alarm at most 1 in "), "{}", verdict.words);
    assert!(verdict.metrics[0].false_alarm < 0.025);
    healthy(&mut judge, 60..2_000);
    let later = judge.verdict();
    assert_eq!(later.outcome, Outcome::Fail);
    assert_eq!(later.metrics[0].false_alarm, verdict.metrics[0].false_alarm);
}

#[test]
fn a_slow_canary_fails_by_its_latency() {
    let mut judge = judge(vec![errors(), latency()]);
    (0..60).for_each(|at| judge.observe(&second(at, arm(50, 0, 60), arm(450, 0, 40))));
    let verdict = judge.verdict();
    assert_eq!([verdict.metrics[0].outcome, verdict.metrics[1].outcome], [Outcome::Pass, Outcome::Fail]);
    assert!(verdict.words.starts_with("latency 5") && verdict.words.contains("limit +20 %"), "{}", verdict.words);
    let difference = verdict.metrics[1].difference.unwrap();
    assert!((difference.estimate - 0.5).abs() < 0.05 && difference.low > 0.2, "{difference:?}");
}

#[test]
fn fewer_clicks_fail_and_read_like_the_sketch() {
    let mut judge = judge(vec![clicks()]);
    for at in 0..40 {
        let value = Measured::Share { canary: Tally::new(10, 53), baseline: Tally::new(312, 1_000) };
        judge.observe(&reading(second(at, Arm::default(), Arm::default()), "click-through", value));
    }
    let verdict = judge.verdict();
    assert_eq!(verdict.outcome, Outcome::Fail);
    let start = "click-through 18.9 % on 1.2.0 against 31.2 % on 1.1.0 (2,120 and 40,000 opens; limit -5 %; false alarm at most 1 in ";
    assert!(verdict.words.starts_with(start), "{}", verdict.words);
}

#[test]
fn what_weighs_more_is_found_sooner_and_the_others_later() {
    let failed_after = |weight_of_clicks: u64, weight_of_errors: u64| {
        let clicks = Metric { weight: weight_of_clicks, ..clicks() };
        let errors = Metric { weight: weight_of_errors, ..errors() };
        let mut judge = judge(vec![clicks, errors]);
        (0..10_000).find(|at| {
            let value = Measured::Share { canary: Tally::new(28, 103), baseline: Tally::new(312, 1_000) };
            judge.observe(&reading(second(*at, Arm::default(), Arm::default()), "click-through", value));
            judge.failed()
        })
    };
    let (heavy, equal, light) = (failed_after(99, 1), failed_after(1, 1), failed_after(1, 99));
    assert!(heavy.unwrap() < equal.unwrap() && equal.unwrap() < light.unwrap(), "{heavy:?} {equal:?} {light:?}");
    let weightless = criteria(vec![Metric { weight: 0, ..clicks() }]);
    assert_eq!(Judge::new(weightless).unwrap_err(), BadCriteria::Weight("click-through".into()));
}

#[test]
fn a_metric_has_a_minimum_of_its_own() {
    let mut metric = clicks();
    metric.min_trials = Some(1_000);
    let mut judge = Judge::new(Criteria { min_requests: 0, ..criteria(vec![metric]) }).unwrap();
    let mut observe = |seconds: std::ops::Range<i64>| {
        for at in seconds {
            let value = Measured::Share { canary: Tally::new(90, 103), baseline: Tally::new(312, 1_000) };
            judge.observe(&reading(second(at, Arm::default(), Arm::default()), "click-through", value));
        }
        judge.verdict()
    };
    let verdict = observe(0..4);
    assert!(verdict.metrics[0].false_pass < 0.05, "{verdict:?}");
    assert_eq!(verdict.outcome, Outcome::Insufficient);
    assert!(verdict.words.contains("insufficient (412 of 1,000 opens)"), "{}", verdict.words);
    assert_eq!(observe(4..10).outcome, Outcome::Pass);
}

#[test]
fn silence_and_a_trickle_never_pass_and_the_policy_says_so() {
    let step = Step { weight: 1, hold: Duration::from_secs(300) };
    let policy = Policy::default();
    let decide = |judge: &Judge, seconds| policy::judge(&step, Duration::from_secs(seconds), &judge.verdict(), &policy);

    let mut silent = judge(vec![errors(), latency()]);
    assert_eq!(silent.verdict().outcome, Outcome::NoData);
    (0..1_200).for_each(|at| silent.observe(&second(at, Arm::default(), arm(500, 2, 40))));
    assert_eq!(silent.verdict().outcome, Outcome::NoData);
    assert!(
        silent.verdict().words.contains("errors: no requests on 1.2.0 in this step (20m)"),
        "{}",
        silent.verdict().words
    );
    assert_eq!(decide(&silent, 299).what, What::Continue);
    assert_eq!(decide(&silent, 1_199).what, What::Hold);
    let end = decide(&silent, 1_200);
    assert_eq!(end.what, What::RollBack);
    assert!(end.words.contains("no data and the time is over (hold 15m, then roll back)"), "{}", end.words);

    let mut trickle = judge(vec![errors(), latency()]);
    (0..1_200).for_each(|at| trickle.observe(&second(at, arm(u64::from(at % 10 == 0), 0, 40), arm(5, 0, 40))));
    let verdict = trickle.verdict();
    assert_eq!(verdict.outcome, Outcome::Insufficient);
    assert!(verdict.words.contains("insufficient (120 of 1,000 requests)"), "{}", verdict.words);
    assert_eq!(decide(&trickle, 1_200).what, What::RollBack);
}

#[test]
fn a_canary_that_falls_silent_after_it_passed_passes_no_more() {
    let mut judge = judge(vec![errors()]);
    healthy(&mut judge, 0..600);
    assert_eq!(judge.verdict().outcome, Outcome::Pass);
    (600..640).for_each(|at| judge.observe(&second(at, Arm::default(), arm(500, 2, 40))));
    let verdict = judge.verdict();
    assert_eq!(verdict.outcome, Outcome::NoData);
    assert_eq!(verdict.words, "errors: no requests on 1.2.0 for 40s");
}

#[test]
fn a_new_step_needs_its_own_requests() {
    let mut judge = judge(vec![errors()]);
    healthy(&mut judge, 0..600);
    assert_eq!(judge.verdict().outcome, Outcome::Pass);
    judge.begin_step();
    assert_eq!(judge.verdict().outcome, Outcome::NoData);
    healthy(&mut judge, 600..619);
    assert_eq!(judge.verdict().outcome, Outcome::Insufficient);
    healthy(&mut judge, 619..621);
    assert_eq!(judge.verdict().outcome, Outcome::Pass);
}

#[test]
fn without_a_baseline_nothing_is_compared() {
    let mut judge = judge(vec![errors(), latency()]);
    (0..600).for_each(|at| judge.observe(&second(at, arm(500, 2, 40), Arm::default())));
    let verdict = judge.verdict();
    assert_eq!(verdict.outcome, Outcome::Insufficient);
    assert!(verdict.words.contains("nothing to compare with, no requests on 1.1.0"), "{}", verdict.words);
}

#[test]
fn what_is_missing_is_not_zero() {
    let mut judge = judge(vec![orders()]);
    let sample = |at: i64, canary, baseline| {
        reading(second(at, Arm::default(), Arm::default()), "orders", Measured::Sample { canary, baseline })
    };
    for at in 0..60 {
        let (up, down) = (3.2 + 0.1 * (at % 3) as f64, 3.2 + 0.1 * ((at + 1) % 3) as f64);
        judge.observe(&sample(at, Some(up), Some(down)));
    }
    assert_eq!(only(&judge.verdict()).outcome, Outcome::Pass, "{}", judge.verdict().words);
    for (at, nothing) in [(60, None), (61, Some(f64::NAN)), (62, Some(f64::INFINITY))] {
        judge.observe(&sample(at, nothing, Some(3.2)));
    }
    let verdict = judge.verdict();
    assert_eq!(verdict.outcome, Outcome::NoData);
    assert_eq!(verdict.words, "orders: the last 3 samples are missing or not a number");
}

#[test]
fn a_shadow_metric_is_shown_and_does_not_decide() {
    let mut shadow = errors();
    shadow.shadow = true;
    let mut judge = judge(vec![shadow, latency()]);
    (0..2_000).for_each(|at| judge.observe(&second(at, arm(50, 5, 40), arm(450, 2, 40))));
    let verdict = judge.verdict();
    assert_eq!([verdict.metrics[0].outcome, verdict.outcome], [Outcome::Fail, Outcome::Pass], "{}", verdict.words);
    assert!(!judge.failed());
}

#[test]
fn limits_and_the_breaker_fail_without_a_comparison() {
    let limits = Limits {
        errors: Some("> 1 % for 5m".parse().unwrap()),
        latency: Some("mean > 500ms for 5m".parse().unwrap()),
        breaker: Some("50 % of 20 requests".parse().unwrap()),
        burn: signalbox_canary::rule::burn::Burn::usual(0.999).to_vec(),
    };
    let run = |canary: Arm, seconds: i64| {
        let mut judge = Judge::new(Criteria { limits: limits.clone(), ..criteria(Vec::new()) }).unwrap();
        let failed = (0..seconds).find(|at| {
            judge.observe(&second(*at, canary.clone(), Arm::default()));
            judge.failed()
        });
        (failed, judge.verdict())
    };
    let (failed, verdict) = run(arm(100, 60, 40), 400);
    assert_eq!((failed, verdict.outcome), (Some(0), Outcome::Fail));
    assert_eq!(verdict.words, "60 of 100 requests in a row failed on 1.2.0 (breaker 50 % of 20 requests)");
    let (failed, verdict) = run(arm(1_000, 12, 40), 400);
    assert_eq!((failed, verdict.outcome), (Some(299), Outcome::Fail));
    assert!(
        verdict.words.contains("1.20 % of the requests of 1.2.0 fail: the limit > 1 % for 5m was exceeded"),
        "{}",
        verdict.words
    );
    let (failed, verdict) = run(arm(100, 0, 600), 400);
    assert_eq!(failed, Some(299));
    assert!(
        verdict.words.contains("the mean latency of 1.2.0 is 59") && verdict.words.contains("mean > 500ms for 5m"),
        "{}",
        verdict.words
    );
    let (failed, verdict) = run(arm(1_000, 1, 40), 400);
    assert_eq!((failed, verdict.outcome), (None, Outcome::Pass), "{}", verdict.words);
    assert!(verdict.words.starts_with("every limit is kept"), "{}", verdict.words);
    assert_eq!(run(Arm::default(), 400).1.outcome, Outcome::NoData);
}

#[test]
fn nothing_to_judge_by_is_no_pass() {
    let mut judge = judge(Vec::new());
    healthy(&mut judge, 0..2_000);
    assert_eq!(judge.verdict().outcome, Outcome::NoData);
    assert_eq!(judge.verdict().words, "no metric decides: there is nothing to judge by");
}

#[test]
fn criteria_that_make_no_sense_are_refused() {
    let refuse = |criteria: Criteria| Judge::new(criteria).unwrap_err();
    assert_eq!(refuse(criteria(vec![errors(), errors()])), BadCriteria::Twice("errors".to_owned()));
    let down = metric("latency", Source::Latency, "-5 %");
    assert_eq!(refuse(criteria(vec![down])), BadCriteria::LatencyDirection("latency".to_owned()));
    let points = metric("latency", Source::Latency, "+5 points");
    assert!(matches!(refuse(criteria(vec![points])), BadCriteria::LatencyDirection(_)));
    let fewer = metric("errors", Source::Errors { client: false }, "-5 %");
    assert!(matches!(refuse(criteria(vec![fewer])), BadCriteria::ErrorDirection(_)));
    for wrong in [0.0, -1.0, 0.6, f64::NAN] {
        assert!(matches!(
            refuse(Criteria { false_alarms: wrong, ..criteria(vec![errors()]) }),
            BadCriteria::FalseAlarms(_)
        ));
    }
    let swapped = Limits { errors: Some("mean > 1s for 5m".parse().unwrap()), ..Limits::default() };
    assert_eq!(refuse(Criteria { limits: swapped, ..criteria(vec![errors()]) }), BadCriteria::ErrorLimit);
}

fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Pass => 0,
        Outcome::Insufficient | Outcome::NoData => 1,
        Outcome::Fail => 2,
    }
}

/// Requests and errors of both arms in a quarter of a second.
fn quarters() -> impl Strategy<Value = Vec<(u64, u64, u64, u64)>> {
    prop::collection::vec((0u64..30, 0u64..3, 0u64..100, 0u64..3), 4..200)
}

fn quarter(at: usize, (n, x, m, y): (u64, u64, u64, u64)) -> Window {
    let from = at as i64 * SECOND / 4;
    Window {
        from,
        to: from + SECOND / 4,
        canary: arm(n, x.min(n), 40),
        baseline: arm(m, y.min(m), 40),
        readings: Vec::new(),
    }
}

fn merged(windows: &[Window]) -> Window {
    let (first, last) = (windows.first().expect("a window"), windows.last().expect("a window"));
    let sum = |of: fn(&Window) -> &Arm| {
        windows.iter().fold(Arm::default(), |mut sum, window| {
            sum.requests += of(window).requests;
            sum.errors.server += of(window).errors.server;
            sum.latency.merge(&of(window).latency);
            sum
        })
    };
    Window {
        from: first.from,
        to: last.to,
        canary: sum(|window| &window.canary),
        baseline: sum(|window| &window.baseline),
        readings: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// How a second is cut into windows does not matter; whoever looks more often only finds out earlier.
    #[test]
    fn windows_may_be_cut_anywhere_within_a_second(quarters in quarters()) {
        let windows: Vec<Window> = quarters.iter().enumerate().map(|(at, counts)| quarter(at, *counts)).collect();
        let whole = windows.len() / 4 * 4;
        let (mut fine, mut coarse) = (judge(vec![errors(), latency()]), judge(vec![errors(), latency()]));
        windows[..whole].iter().for_each(|window| fine.observe(window));
        windows[..whole].chunks(4).for_each(|second| coarse.observe(&merged(second)));
        prop_assert!(fine.failed() || !coarse.failed());
        let (fine, coarse) = (fine.verdict(), coarse.verdict());
        prop_assert_eq!(fine.requests, coarse.requests);
        for (fine, coarse) in fine.metrics.iter().zip(&coarse.metrics) {
            prop_assert_eq!(fine.canary, coarse.canary);
            prop_assert_eq!(fine.baseline, coarse.baseline);
            prop_assert_eq!(fine.difference, coarse.difference);
            prop_assert_eq!(fine.false_pass, coarse.false_pass);
            prop_assert!(fine.false_alarm <= coarse.false_alarm);
        }
    }

    /// More errors in what was just seen never make a verdict better.
    #[test]
    fn more_errors_never_help(quarters in quarters(), more in 1u64..30) {
        let windows: Vec<Window> = quarters.iter().enumerate().map(|(at, counts)| quarter(at, *counts)).collect();
        let (last, before) = windows.split_last().unwrap();
        let mut better = judge(vec![errors()]);
        before.iter().for_each(|window| better.observe(window));
        let mut worse = better.clone();
        better.observe(last);
        let mut bad = last.clone();
        bad.canary.errors.server = (bad.canary.errors.server + more).min(bad.canary.requests);
        worse.observe(&bad);
        let (better, worse) = (better.verdict(), worse.verdict());
        prop_assert!(rank(worse.outcome) >= rank(better.outcome));
        prop_assert!(worse.metrics[0].false_alarm <= better.metrics[0].false_alarm * (1.0 + 1e-9));
    }

    /// A judge that was stored and read back goes on as if nothing had happened.
    #[test]
    fn a_judge_survives_being_stored(quarters in quarters(), at in 0usize..200) {
        let windows: Vec<Window> = quarters.iter().enumerate().map(|(at, counts)| quarter(at, *counts)).collect();
        let mut judge = judge(vec![errors(), latency(), orders()]);
        let mut stored = judge.clone();
        for (index, window) in windows.iter().enumerate() {
            judge.observe(window);
            stored.observe(window);
            if index == at {
                stored = postcard::from_bytes(&postcard::to_allocvec(&stored).unwrap()).unwrap();
            }
        }
        prop_assert_eq!(judge.verdict(), stored.verdict());
    }

    /// Whatever the numbers are: what ends without a number does not pass.
    #[test]
    fn what_is_not_a_number_never_passes(
        values in prop::collection::vec((prop::option::of(prop::num::f64::ANY), prop::option::of(prop::num::f64::ANY)), 0..80),
    ) {
        let mut judge = judge(vec![orders()]);
        let missing = [(None, Some(1.0)), (Some(f64::NAN), Some(1.0)), (Some(1.0), None)];
        for (at, (canary, baseline)) in values.iter().copied().chain(missing).enumerate() {
            let window = second(at as i64, arm(100, 0, 40), arm(900, 0, 40));
            judge.observe(&reading(window, "orders", Measured::Sample { canary, baseline }));
            prop_assert!(only(&judge.verdict()).words.is_ascii() || !judge.verdict().words.is_empty());
        }
        let outcome = only(&judge.verdict()).outcome;
        prop_assert!(matches!(outcome, Outcome::NoData | Outcome::Fail), "{outcome:?}");
    }

    /// Counts that cannot be true neither panic nor pass.
    #[test]
    fn hostile_counts_do_no_harm(counts in prop::collection::vec(any::<(u64, u64, u64, u64, i64)>(), 1..20)) {
        let mut judge = judge(vec![errors(), clicks()]);
        for (n, x, m, y, from) in counts {
            let arm = |requests, server| Arm { requests, errors: Errors { server, ..Errors::default() }, ..Arm::default() };
            let value = Measured::Share { canary: Tally { events: x, trials: n }, baseline: Tally { events: y, trials: m } };
            let window = Window { from, to: from.saturating_add(SECOND), canary: arm(n, x), baseline: arm(m, y), readings: Vec::new() };
            judge.observe(&reading(window, "click-through", value));
            let verdict = judge.verdict();
            prop_assert!(verdict.metrics.iter().all(|metric| metric.false_alarm.is_finite() && metric.false_pass.is_finite()));
        }
    }
}
