//! The plan as text, as `--dry-run` shows it.

use super::lint::rounded;
use super::traffic::Decides;
use super::{Diff, Lint, Plan, Severity, Undo};

/// A plan, what it changes, and what the linter says, for a terminal.
pub fn text(plan: &Plan, diff: &Diff, lints: &[Lint]) -> String {
    let mut lines = Vec::new();
    let from = plan.from.as_ref().map_or("first release".to_owned(), |from| format!("{from} → {}", plan.to));
    let to = if plan.from.is_none() { format!(" of {}", plan.to) } else { String::new() };
    lines.push(format!(
        "{} {from}{to}   profile {}   about {}   plan {}",
        plan.service,
        plan.profile.word(),
        rounded(plan.expected),
        plan.hash.short()
    ));
    for change in &diff.changes {
        lines.push(format!("  {} {}", change.sign.symbol(), change.what));
    }
    for phase in &plan.phases {
        lines.push(String::new());
        let nothing = if phase.steps.is_empty() { "   nothing to do: the manifest names nothing for it" } else { "" };
        lines.push(format!("{} {}{nothing}", phase.phase.number(), phase.phase.title()));
        for step in &phase.steps {
            let here = if plan.point_of_no_return == Some(step.id) { "   ◄ point of no return" } else { "" };
            let undo = match &step.undo {
                Undo::Nothing => String::new(),
                Undo::Impossible { .. } | Undo::Stays { .. } => format!("   {}", step.undo),
                undo => format!("   undo: {undo}"),
            };
            let action = step.action.to_string();
            let id = step.id.to_string();
            lines.push(
                format!("  {id:<5} {action:<58} {:>6}{undo}{here}", step.expected.to_string()).trim_end().to_owned(),
            );
        }
    }
    lines.push(String::new());
    if plan.from.is_some() {
        traffic(plan, &mut lines);
    } else {
        lines.push("a first release: nobody to compare with, so only triggers and probes decide".into());
    }
    for lint in lints {
        let mark = if lint.severity == Severity::Refuses { "✗" } else { "!" };
        lines.push(format!("{mark} {}: {}", lint.code.word(), lint.said));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn traffic(plan: &Plan, lines: &mut Vec<String>) {
    let Some(traffic) = plan.traffic.traffic else {
        lines.push("traffic: not seen".into());
        return;
    };
    let from = traffic.seen_for.map_or("as it was given".to_owned(), |time| format!("seen over {time}"));
    lines.push(format!("traffic: {} requests/s, {from}", traffic.requests_per_second));
    for step in &plan.traffic.steps {
        let needs = step.needs.map_or("longer than a year".to_owned(), |needs| rounded(needs).to_string());
        let told = match step.decides {
            Decides::WithinHold => "decided within the hold",
            Decides::WithinPolicy => "decided only in the longer hold of the policy",
            Decides::Never | Decides::Unknown => "cannot be decided: the policy will",
        };
        let (weight, hold) = (step.weight.to_string(), step.hold.to_string());
        lines.push(format!("  at {weight:<6} {} requests take {needs:<8} hold {hold:<6} {told}", step.requests));
    }
    if !plan.traffic.unknown.is_empty() {
        lines.push(format!("  counts that only the release will show: {}", plan.traffic.unknown.join(", ")));
    }
}
