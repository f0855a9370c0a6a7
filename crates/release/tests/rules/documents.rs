//! Documents: made from evidence alone, verified line by line, and safe whatever is in the evidence.

use signalbox_release::model::document::{Kind, Measured, Sources, document, html, markdown, verify};
use signalbox_release::model::machine::Journal;
use signalbox_release::model::plan::lint;
use signalbox_release::model::value::Percent;

use crate::given::monday;
use crate::readiness::{Case, seen};
use crate::world::{Trouble, World, run};

fn with<T>(case: &Case, trouble: Trouble, judge: impl FnOnce(&Sources<'_>) -> T) -> T {
    let journal = Journal::begin(case.plan.clone(), "ann", monday(), 1).unwrap();
    let world = World::new(&case.plan, 2, trouble, monday());
    let mut moments = Vec::new();
    run(journal, world, Some(&mut moments));
    let figure = seen((true, "0.04 % of 1.2 M requests".to_owned())).unwrap();
    let measured = [Measured { what: "error rate < 0.1 %".into(), figure }];
    let lints = lint(&case.plan, &case.manifest, monday());
    judge(&Sources {
        manifest: &case.manifest,
        plan: &case.plan,
        lints: &lints,
        readiness: &case.report,
        decision: &case.decide(),
        journal: moments.last().map(|(journal, _)| journal),
        measured: &measured,
    })
}

#[test]
fn every_tick_names_its_evidence() {
    let case = Case::new("[[risk]]\nwhat = \"carts\"\nkind = \"technical\"\nlevel = \"low\"");
    with(&case, Trouble::None, |sources| {
        for kind in Kind::ALL {
            let text = markdown(&document(kind, sources).unwrap());
            assert!(text.starts_with(&format!("# {}: shop 2.0.0\n", kind.title())), "{text}");
            let ticks = text.lines().filter(|line| line.starts_with("| ✓ yes"));
            // The matrix sums up what stands below it with its evidence.
            let bare: Vec<&str> =
                ticks.filter(|line| line.ends_with("|  |") && !line.contains(" checks, weight ")).collect();
            assert_eq!(bare, [""; 0], "{kind:?}");
        }
        let summary = markdown(&document(Kind::Summary, sources).unwrap());
        assert!(summary.contains("| ✓ yes | error rate &lt; 0.1 % | 0.04 % of 1.2 M requests | check 7 · signalbox doctor · 2026-11-23T08:00 |"), "{summary}");
        assert!(summary.contains("Decision: go, confidence 100 % · risk low"), "{summary}");
        assert!(summary.contains("Promoted after"), "{summary}");
    });
}

#[test]
fn a_rolled_back_release_says_why_and_how_fast() {
    with(&Case::new(""), Trouble::WorseFrom(Percent::whole(50)), |sources| {
        let summary = markdown(&document(Kind::Summary, sources).unwrap());
        assert!(summary.contains("Rolled back after"), "{summary}");
        assert!(summary.contains("all traffic back on 1.0.0 | 1s after the decision"), "{summary}");
        assert!(summary.contains("was begun and not finished"), "{summary}");
    });
}

#[test]
fn a_changed_line_is_found() {
    let case = Case::new("");
    with(&case, Trouble::None, |sources| {
        for kind in Kind::ALL {
            let document = document(kind, sources).unwrap();
            for stored in [markdown(&document), html(&document)] {
                assert!(verify(&stored, &document).holds());
                assert!(!verify("", &document).holds());
                let better = stored.replacen("100", "101", 1);
                assert_ne!(better, stored);
                assert_eq!(verify(&better, &document).differences.len(), 1, "{kind:?}");
                let cut: String = stored.lines().take(3).collect::<Vec<_>>().join("\n");
                assert!(!verify(&cut, &document).holds());
            }
        }
    });
}

#[test]
fn nothing_in_the_evidence_breaks_out() {
    let mut case = Case::new("");
    let hostile = "<script>alert(1)</script> | x |\n# y [z](javascript:a) & \"q\"";
    case.report.rows[0].checks[0].said = hostile.into();
    with(&case, Trouble::None, |sources| {
        let document = document(Kind::Readiness, sources).unwrap();
        let (page, text) = (html(&document), markdown(&document));
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"));
        assert!(!text.contains("<script>") && !text.contains("\n# y") && text.contains("\\[z\\](javascript:a)"));
        assert!(
            text.lines()
                .filter(|line| line.starts_with("| "))
                .all(|line| line.replace("\\|", "").matches('|').count() == 5)
        );
        // From nowhere else: it can be mailed, archived and printed.
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<link"));
        assert!(page.contains("@media print"));
    });
}

#[test]
fn there_is_no_summary_before_the_release() {
    let case = Case::new("");
    with(&case, Trouble::None, |sources| {
        let before = Sources { journal: None, ..*sources };
        assert!(document(Kind::Summary, &before).is_none());
        assert!(document(Kind::Readiness, &before).is_some());
    });
}
