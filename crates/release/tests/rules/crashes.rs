//! Wherever the controller dies, the release ends in the same state.

use proptest::prelude::*;
use signalbox_release::model::machine::{Journal, Outcome};
use signalbox_release::model::manifest::Profile;
use signalbox_release::model::migration::Kind;
use signalbox_release::model::plan::{Action, Live, Plan, StepId};
use signalbox_release::model::value::Percent;

use crate::given::{full, live, migrations, monday, planned, version};
use crate::world::{Ending, Trouble, World, run};

fn plan_of(profile: Profile, instances: u64, first: bool, more: &str) -> Plan {
    let manifest = full(profile, instances, more);
    let live = if first { Live::default() } else { live(&manifest, "1.0.0") };
    planned(&manifest, &live, Some(&migrations())).unwrap().unwrap()
}

fn begin(plan: &Plan, instances: u64, trouble: Trouble) -> (Journal, World) {
    let journal = Journal::begin(plan.clone(), "ann", monday(), 1).unwrap();
    (journal, World::new(plan, instances, trouble, monday()))
}

fn straight(plan: &Plan, instances: u64, trouble: Trouble) -> Ending {
    let (journal, world) = begin(plan, instances, trouble);
    run(journal, world, None)
}

/// As it is read again from disk, with a last line that was torn.
fn reread(journal: &Journal) -> Journal {
    let mut text: String = journal.records().iter().map(|record| record.line()).collect();
    text.push_str("{\"v\":1,\"seq\":");
    let read = Journal::read(&text).unwrap();
    assert_eq!(read, *journal);
    read
}

fn ids(plan: &Plan, wanted: fn(&Action) -> bool) -> Vec<StepId> {
    plan.steps().filter(|step| wanted(&step.action)).map(|step| step.id).collect()
}

#[test]
fn a_good_version_is_promoted() {
    let plan = plan_of(Profile::Standard, 4, false, "");
    let ending = straight(&plan, 4, Trouble::None);
    assert_eq!(ending.outcome, Some(Outcome::Promoted));
    assert_eq!(ending.versions, [(version("2.0.0"), 4, Percent::ALL)]);
    assert_eq!(ending.applied.len(), 3);
    assert!(!ending.staging && !ending.copy);
}

#[test]
fn a_bad_version_is_rolled_back_and_says_why() {
    let plan = plan_of(Profile::Standard, 2, false, "");
    for trouble in [
        Trouble::WorseFrom(Percent::whole(5)),
        Trouble::WorseFrom(Percent::ALL),
        Trouble::NeverDecided(Percent::whole(1)),
        Trouble::NothingMeasured(Percent::whole(10)),
        Trouble::TripsFrom(Percent::whole(25)),
        Trouble::TripsAfterStop,
    ] {
        let ending = straight(&plan, 2, trouble);
        assert_eq!(ending.outcome, Some(Outcome::RolledBack), "{trouble:?}");
        assert_eq!(ending.versions, [(version("1.0.0"), 2, Percent::ALL)], "{trouble:?}");
        assert!(!ending.applied.contains(&3), "{trouble:?}");
    }
}

#[test]
fn a_step_that_fails_or_hangs_rolls_back() {
    let plan = plan_of(Profile::Fast, 2, false, "");
    let acting =
        ids(&plan, |action| !matches!(action, Action::Judge { .. } | Action::Bake { .. } | Action::AwaitGo { .. }));
    let contract = plan.point_of_no_return.unwrap();
    for id in acting {
        let ending = straight(&plan, 2, Trouble::Fails(id));
        match id >= contract {
            // The contract may have run in part: no code rolls back, a person has to look.
            true => assert_eq!(ending.outcome, None, "{id}"),
            // What is in place already is not done again, and cannot fail.
            false if matches!(plan.step(id).unwrap().action, Action::Drain { .. }) => {
                assert_eq!(ending.outcome, Some(Outcome::Promoted));
            }
            false => {
                assert_eq!(ending.outcome, Some(Outcome::RolledBack), "{id}");
                assert_eq!(ending.versions, [(version("1.0.0"), 2, Percent::ALL)], "{id}");
            }
        }
    }
    for id in
        ids(&plan, |action| matches!(action, Action::Scale { .. } | Action::SetWeight { .. } | Action::Stop { .. }))
    {
        assert_eq!(straight(&plan, 2, Trouble::Hangs(id)).outcome, Some(Outcome::RolledBack), "{id}");
    }
}

/// However long it may take: a command that says that it is done and did nothing is not run all day.
#[test]
fn what_is_done_and_never_in_place_is_not_done_for_ever() {
    for first in [false, true] {
        let plan = plan_of(Profile::Fast, 4, first, "");
        let before = |action: &Action| matches!(action, Action::Migrate { kind, .. } if *kind != Kind::Contract);
        let ids = ids(&plan, before);
        assert!(!ids.is_empty());
        for id in ids {
            assert_eq!(straight(&plan, 4, Trouble::Hangs(id)).outcome, Some(Outcome::RolledBack), "{id}");
        }
    }
}

#[test]
fn a_policy_that_pauses_waits_for_a_person() {
    let plan = plan_of(Profile::Fast, 2, false, "[canary]\ninsufficient = \"hold 10s, then pause\"");
    let ending = straight(&plan, 2, Trouble::NeverDecided(Percent::whole(10)));
    assert_eq!(ending.outcome, None);
    assert_eq!(ending.versions.len(), 2);
}

#[test]
fn past_the_point_of_no_return_nothing_rolls_back_by_itself() {
    let plan = plan_of(Profile::Fast, 2, false, "");
    let ending = straight(&plan, 2, Trouble::TripsAfterContract);
    assert_eq!(ending.outcome, None);
    assert_eq!(ending.versions, [(version("2.0.0"), 2, Percent::ALL)]);
}

#[test]
fn an_undo_that_never_works_asks_for_hands() {
    let plan = plan_of(Profile::Fast, 2, false, "");
    assert_eq!(straight(&plan, 2, Trouble::UndoFails).outcome, Some(Outcome::NeedsHands));
}

#[test]
fn a_first_release_that_is_bad_is_stopped() {
    let plan = plan_of(Profile::Fast, 2, true, "");
    assert_eq!(straight(&plan, 2, Trouble::None).outcome, Some(Outcome::Promoted));
    let ending = straight(&plan, 2, Trouble::TripsFrom(Percent::ALL));
    assert_eq!((ending.outcome, ending.versions), (Some(Outcome::RolledBack), Vec::new()));
}

fn weights() -> impl Strategy<Value = Percent> {
    prop::sample::select(vec![1, 5, 10, 25, 50, 100]).prop_map(Percent::whole)
}

fn troubles() -> impl Strategy<Value = (u8, Percent, prop::sample::Index)> {
    (0..10u8, weights(), any::<prop::sample::Index>())
}

fn trouble(plan: &Plan, (kind, weight, which): (u8, Percent, prop::sample::Index)) -> Trouble {
    let steps: Vec<StepId> = plan.steps().map(|step| step.id).collect();
    let step = steps[which.index(steps.len())];
    match kind {
        0 => Trouble::None,
        1 => Trouble::WorseFrom(weight),
        2 => Trouble::NeverDecided(weight),
        3 => Trouble::NothingMeasured(weight),
        4 => Trouble::TripsFrom(weight),
        5 => Trouble::TripsAfterContract,
        6 => Trouble::TripsAfterStop,
        7 => Trouble::Fails(step),
        8 => Trouble::Hangs(step),
        _ => Trouble::UndoFails,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// At every record, and between acting and its record; and a second time on the way on from there.
    #[test]
    fn wherever_the_controller_dies_the_end_is_the_same(
        profile in prop::sample::select(Profile::ALL.to_vec()),
        instances in 1..5u64,
        first in prop::bool::weighted(0.2),
        pauses in any::<bool>(),
        chosen in troubles(),
        again in any::<prop::sample::Index>(),
    ) {
        let more = if pauses { "[canary]\ninsufficient = \"hold 10s, then pause\"" } else { "" };
        let plan = plan_of(profile, instances, first, more);
        let trouble = trouble(&plan, chosen);
        let (journal, world) = begin(&plan, instances, trouble);
        let mut moments = Vec::new();
        let wanted = run(journal, world, Some(&mut moments));
        for (journal, world) in moments {
            let mut later = Vec::new();
            let ending = run(reread(&journal), world, Some(&mut later));
            prop_assert_eq!(&ending, &wanted, "after {:?}", journal.records().last());
            if !later.is_empty() {
                let (journal, world) = later.swap_remove(again.index(later.len()));
                prop_assert_eq!(&run(reread(&journal), world, None), &wanted, "after {:?}", journal.records().last());
            }
        }
    }
}
