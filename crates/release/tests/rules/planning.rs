//! Plans, what they take, and what the linter says of plans that were tampered with.

use std::collections::BTreeMap;

use signalbox_core::setting::Period;
use signalbox_release::model::exit::Exit;
use signalbox_release::model::manifest::{Manifest, Profile};
use signalbox_release::model::migration::Kind;
use signalbox_release::model::plan::{
    Action, Inputs, LintCode, Live, LiveVersion, Phase, Plan, Refusal, Role, Severity, Undo, diff, lint, plan, text,
};
use signalbox_release::model::readiness::{CHECKS, Evidence};
use signalbox_release::model::value::Percent;

use crate::given::{LEAST, at, full, live, manifest, migrations, monday, planned, traffic, version};

fn made(manifest: &Manifest) -> Plan {
    planned(manifest, &live(manifest, "1.0.0"), Some(&migrations())).unwrap().unwrap()
}

fn position(plan: &Plan, wanted: impl Fn(&Action) -> bool) -> usize {
    plan.steps().position(|step| wanted(&step.action)).unwrap()
}

#[test]
fn a_plan_has_eight_phases_and_its_steps_in_the_right_order() {
    let plan = made(&full(Profile::Standard, 4, ""));
    assert!(plan.phases.iter().map(|phase| phase.phase).eq(Phase::ALL));
    let backup = position(&plan, |action| *action == Action::VerifyBackup);
    let expand = position(&plan, |action| matches!(action, Action::Migrate { kind: Kind::Expand, .. }));
    let staged = position(&plan, |action| matches!(action, Action::MigrateCopy { .. }));
    let weight = position(&plan, |action| matches!(action, Action::SetWeight { .. }));
    let stop = position(&plan, |action| matches!(action, Action::Stop { .. }));
    let contract = position(&plan, |action| matches!(action, Action::Migrate { kind: Kind::Contract, .. }));
    assert!(backup < staged && staged < expand && expand < weight && weight < stop && stop < contract);
    assert_eq!(plan.point_of_no_return, plan.steps().nth(contract).map(|step| step.id));
    let scales: Vec<u64> = plan
        .steps()
        .filter_map(|step| match step.action {
            Action::Scale { instances, .. } => Some(instances),
            _ => None,
        })
        .collect();
    // 1, 5, 10 and 25 % fit on one of four, 50 % needs two.
    assert_eq!(scales, [1, 2, 4]);
}

#[test]
fn signalbox_itself_needs_no_commands_for_its_store() {
    let text = format!("{LEAST}kind = \"engage\"\n[staging]\n[[staging.probe]]\npath = \"/\"\n");
    let engage = manifest(&text);
    let plan = planned(&engage, &live(&engage, "1.0.0"), None).unwrap().unwrap();
    let words: Vec<&str> = plan.steps().map(|step| step.action.word()).collect();
    let wanted = ["backup", "verify_backup", "restore_copy", "migrate_copy", "start_staging", "migrate_own", "scale"];
    let places: Vec<usize> = wanted.iter().map(|word| words.iter().position(|one| one == word).unwrap()).collect();
    assert!(places.is_sorted(), "{words:?}");
    assert_eq!(plan.point_of_no_return, None, "the old version runs on what the new one brings");
    let refused = |plan: &Plan| {
        let lints = lint(plan, &engage, monday()).into_iter();
        lints.filter(|lint| lint.severity == Severity::Refuses).map(|lint| lint.code.word()).collect::<Vec<_>>()
    };
    assert!(refused(&plan).is_empty(), "{:?}", refused(&plan));
    let mut unsaved = plan.clone();
    unsaved.phases.iter_mut().for_each(|phase| phase.steps.retain(|step| step.action != Action::VerifyBackup));
    unsaved.hash = unsaved.compute_hash();
    assert_eq!(refused(&unsaved), ["backup-after-migration"]);

    // A way back changes no database, and another service without one has nothing to save.
    let mut back = engage.clone();
    back.go_back();
    let plain = manifest(LEAST);
    for (manifest, serving) in [(&back, "1.0.0"), (&plain, "1.0.0")] {
        let plan = planned(manifest, &live(manifest, serving), None).unwrap().unwrap();
        assert!(plan.steps().all(|step| !["backup", "migrate_own", "restore_copy"].contains(&step.action.word())));
    }
}

/// R4: fast under 5 minutes, standard up to 35, careful 30 minutes at 1 % and two hours at 100 %.
#[test]
fn profiles_take_as_long_as_they_promise() {
    let expected = |profile| made(&full(profile, 4, "")).expected;
    assert!(expected(Profile::Fast) < Period::from_secs(300), "{}", expected(Profile::Fast));
    assert!(expected(Profile::Standard) <= Period::from_secs(35 * 60), "{}", expected(Profile::Standard));
    let careful = made(&full(Profile::Careful, 4, ""));
    let holds = |wanted: Percent| {
        careful.steps().find_map(|step| match &step.action {
            Action::Judge { weight, hold, .. } if *weight == wanted => Some(*hold),
            _ => None,
        })
    };
    assert_eq!(holds(Percent::whole(1)), Some(Period::from_secs(1800)));
    assert!(careful.steps().any(|step| step.action == Action::Bake { lasting: Period::from_secs(7200) }));
}

#[test]
fn what_is_live_already_is_nothing_to_do() {
    let manifest = full(Profile::Fast, 2, "");
    let mut live = live(&manifest, "2.0.0");
    let all = [1, 2, 3].map(|number| {
        let migration = migrations().get(number).unwrap().clone();
        signalbox_release::model::migration::Applied {
            number,
            kind: migration.kind,
            checksum: migration.checksum,
            at: monday(),
            version: version("1.0.0"),
        }
    });
    live.applied = all.to_vec();
    let none = planned(&manifest, &live, Some(&migrations())).unwrap();
    assert_eq!(none, None);
    assert_eq!(diff(none.as_ref(), &live).exit(), Exit::Done);
    live.versions[0].spec = signalbox_release::model::value::Digest::of(b"other");
    assert_eq!(
        planned(&manifest, &live, Some(&migrations())),
        Err(Refusal::VersionTaken { version: version("2.0.0") })
    );
}

#[test]
fn there_must_be_something_to_go_back_to() {
    let manifest = full(Profile::Fast, 2, "");
    let mut live = live(&manifest, "1.0.0");
    live.versions[0].ready = 0;
    assert!(matches!(planned(&manifest, &live, Some(&migrations())), Err(Refusal::NoHealthyTarget { .. })));
    assert_eq!(planned(&manifest, &live, None), Err(Refusal::MigrationsNotRead));
}

#[test]
fn a_third_version_is_cleared_away_first() {
    let manifest = full(Profile::Fast, 2, "");
    let mut live = live(&manifest, "1.0.0");
    live.versions[0].weight = Percent::whole(90);
    let canary = LiveVersion {
        version: version("1.5.0"),
        spec: manifest.spec(&version("1.5.0")),
        instances: 1,
        ready: 1,
        weight: Percent::whole(10),
        role: Role::Canary,
    };
    live.versions.push(canary);
    let plan = planned(&manifest, &live, Some(&migrations())).unwrap().unwrap();
    assert_eq!(plan.from, Some(version("1.0.0")));
    let cleared = position(&plan, |action| *action == Action::ClearLeftover { version: version("1.5.0") });
    assert!(cleared < position(&plan, |action| matches!(action, Action::Scale { .. })));
    let said: Vec<String> =
        diff(Some(&plan), &live).changes.iter().map(|one| format!("{} {}", one.sign.symbol(), one.what)).collect();
    assert!(said.contains(&"- version 1.5.0: 1 instances, 10 %".to_owned()), "{said:?}");
    assert!(said.contains(&"+ migration 0003.contract".to_owned()), "{said:?}");
}

#[test]
fn the_hash_is_of_what_is_done_not_of_when() {
    let manifest = full(Profile::Standard, 2, "");
    let live = live(&manifest, "1.0.0");
    let hash = |manifest: &Manifest, requests: f64| {
        let mut took = BTreeMap::new();
        if requests > 1000.0 {
            took.insert("backup".to_owned(), Period::from_secs(99));
        }
        let plan = plan(Inputs {
            manifest,
            version: &version("2.0.0"),
            live: &live,
            migrations: Some(&migrations()),
            evidence: &Evidence::default(),
            traffic: Some(traffic(requests)),
            took: &took,
        });
        plan.unwrap().unwrap().hash
    };
    assert_eq!(hash(&manifest, 1.0), hash(&manifest, 5000.0));
    let other = full(Profile::Standard, 2, "[canary]\nmin_requests = 7\n");
    assert_ne!(hash(&manifest, 1.0), hash(&other, 1.0));
}

#[test]
fn a_plan_reads_back_from_json() {
    let plan = made(&full(Profile::Careful, 4, ""));
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

/// Codes that the linter finds.
fn codes(plan: &Plan, manifest: &Manifest) -> Vec<&'static str> {
    lint(plan, manifest, monday()).iter().map(|lint| lint.code.word()).collect()
}

#[test]
fn what_the_planner_makes_is_never_refused() {
    for profile in Profile::ALL {
        for instances in 1..6 {
            let manifest = full(profile, instances, "");
            let lints = lint(&made(&manifest), &manifest, monday());
            assert!(lints.iter().all(|lint| lint.severity == Severity::Warns), "{lints:?}");
        }
    }
}

/// Every rule that refuses, with a plan that was tampered with so that it must.
#[test]
fn a_plan_that_was_tampered_with_is_refused() {
    type Tamper = fn(&mut Plan);
    let cases: &[(LintCode, Tamper)] = &[
        (LintCode::PhasesOutOfOrder, |plan| plan.phases.swap(0, 1)),
        (LintCode::WeightBeforeCapacity, |plan| drop_steps(plan, |action| matches!(action, Action::Scale { .. }))),
        (LintCode::WeightBeforeCapacity, |plan| {
            let mut number = 0;
            drop_steps(plan, |action| {
                matches!(action, Action::Scale { .. }) && {
                    number += 1;
                    number == 2
                }
            });
        }),
        (LintCode::NoUndo, |plan| {
            let step = steps(plan).find(|step| matches!(step.action, Action::SetWeight { .. })).unwrap();
            step.undo = Undo::Nothing;
        }),
        (LintCode::StepsNotRising, |plan| {
            let weights: Vec<_> = steps(plan).filter(|step| matches!(step.action, Action::SetWeight { .. })).collect();
            for step in weights {
                if let Action::SetWeight { weight, .. } = &mut step.action {
                    *weight = Percent::ALL;
                }
            }
        }),
        (LintCode::LastStepNotAll, |plan| {
            let last = steps(plan).filter(|step| matches!(step.action, Action::SetWeight { .. })).last().unwrap();
            if let Action::SetWeight { weight, .. } = &mut last.action {
                *weight = Percent::whole(60);
            }
        }),
        (LintCode::UnjudgedStep, |plan| drop_steps(plan, |action| matches!(action, Action::Judge { .. }))),
        (LintCode::NoMetric, |plan| {
            judges(plan, |action| {
                if let Action::Judge { metrics, .. } = action {
                    *metrics = 0;
                }
            })
        }),
        (LintCode::NoPolicy, |plan| {
            judges(plan, |action| {
                if let Action::Judge { insufficient, .. } = action {
                    *insufficient = None;
                }
            })
        }),
        (LintCode::ContractTooEarly, |plan| drop_steps(plan, |action| matches!(action, Action::Stop { .. }))),
        (LintCode::RetireBeforeDrained, |plan| drop_steps(plan, |action| matches!(action, Action::Drain { .. }))),
        (LintCode::BackupAfterMigration, |plan| drop_steps(plan, |action| *action == Action::VerifyBackup)),
        (LintCode::TargetNotProbed, |plan| drop_steps(plan, |action| matches!(action, Action::ProbeTarget { .. }))),
        (LintCode::HashDiffers, |plan| plan.to = "9.9.9".parse().unwrap()),
    ];
    let manifest = full(Profile::Standard, 4, "");
    let mut seen: Vec<LintCode> = cases.iter().map(|(code, _)| *code).collect();
    for (code, tamper) in cases {
        let mut plan = made(&manifest);
        tamper(&mut plan);
        let found = codes(&plan, &manifest);
        assert!(found.contains(&code.word()), "{} not in {found:?}", code.word());
        assert_eq!(code.severity(), Severity::Refuses);
    }
    seen.push(LintCode::WindowTooShort);
    for code in LintCode::ALL.iter().filter(|code| code.severity() == Severity::Refuses) {
        assert!(seen.contains(code), "no case for {}", code.word());
    }
}

fn steps(plan: &mut Plan) -> impl Iterator<Item = &mut signalbox_release::model::plan::Step> {
    plan.phases.iter_mut().flat_map(|phase| &mut phase.steps)
}

fn drop_steps(plan: &mut Plan, mut which: impl FnMut(&Action) -> bool) {
    for phase in &mut plan.phases {
        phase.steps.retain(|step| !which(&step.action));
    }
}

fn judges(plan: &mut Plan, change: fn(&mut Action)) {
    steps(plan).for_each(|step| change(&mut step.action));
}

#[test]
fn a_window_that_closes_too_early_refuses() {
    let manifest = full(Profile::Standard, 2, "[windows]\nallow = [\"Mon 09:00-09:20 Europe/Berlin\"]");
    let lints = lint(&made(&manifest), &manifest, monday());
    assert_eq!(lints[0].code, LintCode::WindowTooShort);
    assert!(lints[0].said.contains("the window closes at 2026-11-23T08:20:00"), "{}", lints[0].said);
    let long = full(Profile::Fast, 2, "[windows]\nallow = [\"Mon 09:00-16:00 Europe/Berlin\"]");
    assert!(!codes(&made(&long), &long).contains(&"window-too-short"));
    // Closed altogether: the decision says so, not the linter.
    assert!(
        lint(&made(&long), &long, at("2026-11-24T08:00:00Z")).iter().all(|one| one.code != LintCode::WindowTooShort)
    );
}

#[test]
fn the_plan_warns_of_what_it_cannot_see() {
    let bare = manifest(&format!(
        "{LEAST}[rollback]\nerrors = \"off\"\nlatency = \"off\"\nbreaker = \"off\"\nhealth = \"off\"\n[canary]\nmin_requests = 1000\n\
         [[canary.metric]]\nname = \"errors\"\nworse = \"+5 points\"\n"
    ));
    let plan = |requests: Option<f64>| {
        plan(Inputs {
            manifest: &bare,
            version: &version("2.0.0"),
            live: &live(&bare, "1.0.0"),
            migrations: None,
            evidence: &Evidence::default(),
            traffic: requests.map(traffic),
            took: &BTreeMap::new(),
        })
        .unwrap()
        .unwrap()
    };
    let surroundings = ["no-trigger", "no-probe", "no-version-in-health", "no-artifact", "no-staging"];
    assert_eq!(codes(&plan(Some(100_000.0)), &bare), surroundings);
    assert_eq!(codes(&plan(None), &bare)[0], "traffic-unknown");
    // 1000 requests at 1 % of 300/s come in 334 s: not within the hold of 180 s, but within the 300 s of the policy.
    assert_eq!(codes(&plan(Some(300.0)), &bare)[0], "hold-too-short");
    assert_eq!(plan(Some(300.0)).expected.0 - plan(Some(100_000.0)).expected.0, Period::from_secs(154).0);
    assert_eq!(codes(&plan(Some(0.0)), &bare)[..6], ["cannot-decide"; 6]);
}

#[test]
fn a_first_release_has_nobody_to_compare_with() {
    let manifest = full(Profile::Standard, 2, "");
    let plan = planned(&manifest, &Live::default(), Some(&migrations())).unwrap().unwrap();
    let weights = plan.steps().filter(|step| matches!(step.action, Action::SetWeight { .. })).count();
    assert_eq!((plan.from.clone(), weights), (None, 1));
    let lints = lint(&plan, &manifest, monday());
    assert!(lints.iter().all(|lint| lint.severity == Severity::Warns), "{lints:?}");
}

#[test]
fn the_dry_run_shows_every_step_with_its_undo() {
    let manifest = full(Profile::Standard, 4, "");
    let live = live(&manifest, "1.0.0");
    let plan = made(&manifest);
    let shown = text(&plan, &diff(Some(&plan), &live), &lint(&plan, &manifest, monday()));
    assert!(shown.starts_with("shop 1.0.0 → 2.0.0   profile standard   about "), "{shown}");
    for step in plan.steps() {
        assert!(shown.contains(&step.action.to_string()), "{}", step.action);
    }
    assert!(shown.contains("set 2.0.0 to 5 % and see the share follow"));
    assert!(shown.contains("undo: all traffic to 1.0.0"));
    assert!(shown.contains("◄ point of no return"));
    assert!(shown.contains("at 1 %    1800 requests take 2s"), "{shown}");
    assert!(shown.contains("3 build check   nothing to do"), "{shown}");
}

#[test]
fn the_documents_tell_every_rule_and_every_check() {
    let document = include_str!("../../../../docs/releases.md");
    for code in LintCode::ALL {
        let severity = if code.severity() == Severity::Refuses { "refuses" } else { "warns" };
        let row = format!("| `{}` | {severity} | {} |", code.word(), code.meaning());
        assert!(document.contains(&row), "docs/releases.md lacks: {row}");
    }
    for check in CHECKS {
        let must = if check.must { "yes" } else { "" };
        let row = format!("| `{}` | {must} | {} | {} |", check.id, check.weight, check.what);
        assert!(document.contains(&row), "docs/releases.md lacks: {row}");
    }
}
