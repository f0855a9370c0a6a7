use super::content::{Block, Line, Mark};
use super::kinds::{Sources, heading, in_plan, paragraph, table};
use crate::model::plan::{Severity, Undo};

pub(super) fn blocks(sources: &Sources<'_>) -> Vec<Block> {
    let plan = sources.plan;
    let at = sources.readiness.subject.at;
    let from = plan.from.as_ref().map_or("nothing".to_owned(), ToString::to_string);
    let back = match plan.point_of_no_return {
        Some(step) => format!("Code rolls back until step {step}; behind it only the database can be restored."),
        None => "Code rolls back from every step.".to_owned(),
    };
    let mut blocks = vec![
        paragraph(format!(
            "From {from} to {}, profile {}, about {}, plan {}. {back}",
            plan.to,
            plan.profile.word(),
            plan.expected,
            plan.hash
        )),
        heading("Rollout"),
    ];
    let steps = plan.phases.iter().flat_map(|phase| {
        let empty = phase
            .steps
            .is_empty()
            .then(|| Line::note(format!("{} {}", phase.phase.number(), phase.phase.title()), "nothing to do"));
        let steps = phase.steps.iter().map(|step| {
            let what = format!("{} {}: {}", step.id, phase.phase.title(), step.action);
            Line {
                evidence: in_plan(sources, at),
                ..Line::note(what, format!("about {}, at most {}", step.expected, step.at_most))
            }
        });
        empty.into_iter().chain(steps).collect::<Vec<_>>()
    });
    blocks.push(table("step", "time", steps.collect()));
    blocks.push(heading("Rollback"));
    let undos = plan.steps().filter(|step| step.undo != Undo::Nothing).map(|step| {
        let possible = !matches!(step.undo, Undo::Impossible { .. });
        let line = Line::note(format!("{} {}", step.id, step.action), step.undo.to_string());
        Line { mark: if possible { Mark::Note } else { Mark::Fail }, evidence: in_plan(sources, at), ..line }
    });
    blocks.push(table("step", "undo", undos.collect()));
    let triggers = &sources.manifest.rollback;
    blocks.push(heading("What rolls back by itself"));
    blocks.push(table(
        "trigger",
        "limit",
        vec![
            Line::note("errors", triggers.errors.to_string()),
            Line::note("latency", triggers.latency.to_string()),
            Line::note("breaker", triggers.breaker.to_string()),
            Line::note("memory", triggers.memory.to_string()),
            Line::note("leak", triggers.leak.to_string()),
            Line::note("health", triggers.health.to_string()),
            Line::note("database", triggers.database.to_string()),
        ],
    ));
    if !sources.lints.is_empty() {
        blocks.push(heading("What the linter says"));
        let lines = sources.lints.iter().map(|lint| {
            let mark = if lint.severity == Severity::Refuses { Mark::Fail } else { Mark::Note };
            Line { mark, evidence: in_plan(sources, at), ..Line::note(lint.code.word(), &lint.said) }
        });
        blocks.push(table("rule", "finding", lines.collect()));
    }
    blocks
}
