//! How often, how long, how well: the four figures of DORA from what is recorded, and no figure where nothing is.

use signalbox_core::time::{DAY, Micros};

use super::shown::lasting;
use crate::control::Kept;
use crate::executor::{Kind, Status};
use crate::model::machine::{Direction, Event, Outcome};
use crate::model::plan::Action;

/// A release that has ended, as far as figures need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Past {
    pub kind: Kind,
    pub from: Option<String>,
    pub to: String,
    pub ended: Micros,
    pub promoted: bool,
    /// Whether the new version ever had requests.
    pub reached: bool,
    pub took: i64,
    /// From the decision to go back until nothing went to the new version.
    pub restored_in: Option<i64>,
}

impl Past {
    /// None while it runs.
    pub(super) fn of(kept: &Kept, status: &Status) -> Option<Self> {
        let (outcome, ended, _) = kept.ended()?;
        let plan = kept.journal.plan();
        let records = kept.journal.records();
        let begun = records[0].at;
        let weight = |event: &Event| match event {
            Event::Effect { step, direction: Direction::Do, .. } => plan
                .step(*step)
                .is_some_and(|step| matches!(&step.action, Action::SetWeight { version, .. } if *version == plan.to)),
            _ => false,
        };
        let given = records.iter().find(|record| weight(&record.event));
        let restored_in = match kept.request.kind {
            Kind::Deploy => status.routed_back_in_ms.map(|ms| ms * 1000),
            Kind::Rollback => given.map(|record| record.at.0 - begun.0),
        };
        Some(Self {
            kind: kept.request.kind,
            from: plan.from.as_ref().map(ToString::to_string),
            to: plan.to.to_string(),
            ended,
            promoted: outcome == Outcome::Promoted,
            reached: given.is_some(),
            took: ended.0 - begun.0,
            restored_in: restored_in.filter(|_| given.is_some()),
        })
    }
}

/// A figure with what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Figure {
    pub name: &'static str,
    pub value: String,
    pub note: String,
    pub means: &'static str,
}

/// A bar of the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bar {
    pub from: Micros,
    pub good: usize,
    pub bad: usize,
}

fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// The figures of the last so many days.
pub(super) fn figures(all: &[Past], days: i64, now: Micros) -> Vec<Figure> {
    let since = now.plus(-days * DAY);
    let inside = |past: &&Past| past.ended >= since && past.ended <= now;
    let deploys: Vec<&Past> = all.iter().filter(inside).filter(|past| past.kind == Kind::Deploy).collect();
    let promoted: Vec<&&Past> = deploys.iter().filter(|past| past.promoted).collect();
    let reached = deploys.iter().filter(|past| past.reached).count();
    let went_back = |past: &Past| {
        let later = |other: &Past| other.kind == Kind::Rollback && other.promoted && other.ended > past.ended;
        all.iter().any(|other| later(other) && other.from.as_deref() == Some(past.to.as_str()))
    };
    let failed = deploys.iter().filter(|past| past.reached && (!past.promoted || went_back(past))).count();
    let restored: Vec<i64> = all.iter().filter(inside).filter_map(|past| past.restored_in).collect();
    let restores = restored.len();
    let per_week = promoted.len() as f64 * 7.0 / days as f64;
    let frequency = match promoted.len() {
        0 => "none".to_owned(),
        _ if per_week >= 7.0 => format!("{:.1} a day", per_week / 7.0),
        _ if per_week >= 1.0 => format!("{per_week:.1} a week"),
        _ => format!("{:.1} a month", per_week * 30.0 / 7.0),
    };
    let took = median(promoted.iter().map(|past| past.took).collect());
    let rate = if reached == 0 { "–".to_owned() } else { format!("{:.0} %", 100.0 * failed as f64 / reached as f64) };
    vec![
        Figure {
            name: "Deployment frequency",
            value: frequency,
            note: format!("{} promoted in {days} days", promoted.len()),
            means: "Versions that were promoted to 100 %, ways back not counted.",
        },
        Figure {
            name: "Lead time for changes",
            value: "unknown".into(),
            note: took.map_or("no release was promoted".into(), |took| {
                format!("a release itself takes {} (median)", lasting(took))
            }),
            means: "From a commit until it serves. The evidence of releases holds no time of a commit, so nobody knows.",
        },
        Figure {
            name: "Change failure rate",
            value: rate,
            note: format!("{failed} of {reached} that reached production"),
            means: "Of the versions that had requests of production, those that were rolled back, then or later.",
        },
        Figure {
            name: "Time to restore",
            value: median(restored).map_or("–".to_owned(), lasting),
            note: match restores {
                0 => "nothing had to be restored".into(),
                count => format!("median of {count}"),
            },
            means: "From the decision to go back, by a verdict, a trigger or a person, until the edge had moved every request away.",
        },
    ]
}

/// Releases per stretch of time, the oldest first.
pub(super) fn bars(all: &[Past], days: i64, now: Micros) -> Vec<Bar> {
    let step = match days {
        0..=31 => DAY,
        _ => 7 * DAY,
    };
    let count = (days * DAY + step - 1) / step;
    let end = now.floor(DAY).plus(DAY);
    let bar = |place: i64| {
        let from = end.plus(-(count - place) * step);
        let inside = |past: &&Past| past.ended >= from && past.ended < from.plus(step) && past.reached;
        let (good, bad): (Vec<_>, Vec<_>) = all.iter().filter(inside).partition(|past| past.promoted);
        Bar { from, good: good.len(), bad: bad.len() }
    };
    (0..count).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(day: i64, promoted: bool, reached: bool) -> Past {
        Past {
            kind: Kind::Deploy,
            from: Some("1".into()),
            to: format!("v{day}"),
            ended: Micros(day * DAY),
            promoted,
            reached,
            took: 60_000_000,
            restored_in: (!promoted && reached).then_some(200_000),
        }
    }

    #[test]
    fn a_version_that_was_gone_back_from_later_failed() {
        let mut all = vec![past(91, true, true), past(92, false, true), past(93, false, false), past(94, true, true)];
        let told =
            |all: &[Past]| figures(all, 30, Micros(100 * DAY)).into_iter().map(|one| one.value).collect::<Vec<_>>();
        assert_eq!(told(&all), ["2.0 a month", "unknown", "33 %", "0.2 s"]);
        all.push(Past {
            kind: Kind::Rollback,
            from: Some("v94".into()),
            to: "v91".into(),
            restored_in: None,
            ..past(95, true, true)
        });
        assert_eq!(told(&all)[2], "67 %");
        assert_eq!(figures(&all, 7, Micros(300 * DAY)).remove(0).value, "none");
        assert_eq!(told(&[]), ["none", "unknown", "–", "–"]);
    }

    #[test]
    fn every_release_is_in_one_bar() {
        let all = [past(94, true, true), past(99, false, true), past(99, true, true)];
        for (days, count) in [(7, 7), (30, 30), (90, 13)] {
            let bars = bars(&all, days, Micros(100 * DAY + 5));
            assert_eq!(bars.len(), count);
            assert_eq!(bars.iter().map(|bar| (bar.good, bar.bad)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)), (2, 1));
        }
    }
}
