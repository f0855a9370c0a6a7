//! Journals that are damaged, verbs that make no sense, and what state a release is in.

use signalbox_release::model::exit::Exit;
use signalbox_release::model::machine::{
    Event, Gate, Journal, JournalFault, Next, Outcome, Progress, State, Verb, VerbRefusal, command, resume,
};
use signalbox_release::model::manifest::Profile;
use signalbox_release::model::plan::{Action, Plan};
use signalbox_release::model::value::Percent;

use crate::given::{full, live, migrations, monday, planned};
use crate::world::{Moments, Trouble, World, run};

fn plan() -> Plan {
    let manifest = full(Profile::Fast, 2, "");
    planned(&manifest, &live(&manifest, "1.0.0"), Some(&migrations())).unwrap().unwrap()
}

fn begun() -> Journal {
    Journal::begin(plan(), "ann", monday(), 3).unwrap()
}

/// Every moment of a release.
fn moments(trouble: Trouble) -> Moments {
    let journal = begun();
    let world = World::new(journal.plan(), 2, trouble, monday());
    let mut moments = Vec::new();
    run(journal, world, Some(&mut moments));
    moments
}

fn during(moments: &Moments, wanted: impl Fn(&Action) -> bool) -> (Journal, World) {
    let found = moments.iter().find(|(journal, _)| {
        let progress = Progress::of(journal);
        progress.current().is_some_and(|step| progress.touched(step.id) && wanted(&step.action))
    });
    found.cloned().unwrap()
}

fn paused(by: &str) -> Event {
    Event::Paused { by: by.into(), said: "lunch".into() }
}

#[test]
fn a_damaged_journal_is_refused() {
    let mut journal = begun();
    journal.append(monday(), 3, paused("ann")).unwrap();
    let lines: Vec<String> = journal.records().iter().map(|record| record.line()).collect();
    let said = |text: &str| Journal::read(text).unwrap_err();
    assert_eq!(said(""), JournalFault::Empty);
    assert_eq!(said(&lines[1]), JournalFault::Gap { line: 1, seq: 2 });
    assert_eq!(said(&lines[1].replace("\"seq\":2", "\"seq\":1")), JournalFault::NotBegun);
    assert!(matches!(said(&format!("x\n{}", lines[1])), JournalFault::Unreadable { line: 1, .. }));
    assert_eq!(said(&lines[0].replacen("\"v\":1", "\"v\":9", 1)), JournalFault::UnknownFormat { line: 1, format: 9 });
    assert_eq!(
        said(&format!("{}{}", lines[0], lines[1].replace("\"seq\":2", "\"seq\":3"))),
        JournalFault::Gap { line: 2, seq: 3 }
    );
    assert_eq!(said(&lines[0].replace("\"to\":\"2.0.0\"", "\"to\":\"3.0.0\"")), JournalFault::PlanDiffers);
    let older = lines[1].replace("\"epoch\":3", "\"epoch\":2");
    assert_eq!(said(&format!("{}{older}", lines[0])), JournalFault::OldEpoch { epoch: 2, newest: 3 });
    // Only the last line may be torn.
    assert_eq!(Journal::read(&format!("{}{}", lines[0], &lines[1][..9])).unwrap().records().len(), 1);
}

#[test]
fn a_controller_that_lost_the_lead_writes_nothing() {
    let mut journal = begun();
    journal.append(monday(), 4, paused("ann")).unwrap();
    assert_eq!(journal.append(monday(), 3, paused("bob")), Err(JournalFault::OldEpoch { epoch: 3, newest: 4 }));
    journal.append(monday(), 4, Event::Ended { outcome: Outcome::NeedsHands, said: String::new() }).unwrap();
    assert_eq!(journal.append(monday(), 4, paused("ann")), Err(JournalFault::AfterTheEnd { line: 4 }));
}

#[test]
fn verbs_that_make_no_sense_are_refused() {
    let ask = |journal: &Journal, verb: Verb| command(&Progress::of(journal), verb, "ann");
    let roll_back = || Verb::RollBack { reason: "it is wrong".into() };
    let promote =
        |approver: &str, reason: &str| Verb::Promote { all: false, approver: approver.into(), reason: reason.into() };
    let good = moments(Trouble::None);
    let (mut holding, _) = during(&good, |action| matches!(action, Action::Judge { .. }));
    assert_eq!(ask(&holding, Verb::Resume), Err(VerbRefusal::NotPaused));
    assert_eq!(ask(&holding, promote("ann", "sure")), Err(VerbRefusal::NeedsApprover));
    assert_eq!(ask(&holding, promote("bob", " ")), Err(VerbRefusal::NeedsReason));
    assert!(ask(&holding, promote("bob", "sure")).is_ok());
    let pause = ask(&holding, Verb::Pause { reason: "lunch".into() }).unwrap();
    holding.append(monday(), 9, pause).unwrap();
    assert_eq!(ask(&holding, Verb::Pause { reason: "more".into() }), Err(VerbRefusal::AlreadyPaused));
    let (scaling, _) = during(&good, |action| matches!(action, Action::Scale { .. }));
    assert_eq!(ask(&scaling, promote("bob", "sure")), Err(VerbRefusal::NotHolding));
    let back = ask(&holding, roll_back()).unwrap();
    holding.append(monday(), 9, back).unwrap();
    assert_eq!(ask(&holding, roll_back()), Err(VerbRefusal::AlreadyRollingBack));
    let (contract, _) = during(&good, |action| matches!(action, Action::CleanUp));
    assert_eq!(ask(&contract, roll_back()), Err(VerbRefusal::PastReturn));
    let (ended, _) = good.last().unwrap();
    assert_eq!(ask(ended, roll_back()), Err(VerbRefusal::Ended(Outcome::Promoted)));
}

#[test]
fn a_pause_stops_and_a_resume_gives_the_hold_its_whole_time() {
    let (mut journal, world) = during(&moments(Trouble::None), |action| matches!(action, Action::Judge { .. }));
    journal.append(world.now, 9, paused("ann")).unwrap();
    let later = World { now: world.now.plus(3_600_000_000), ..world };
    assert!(matches!(resume(&journal, &later.observe(&journal)), Next::Wait { until: None, .. }));
    journal.append(later.now, 9, Event::Resumed { by: "ann".into() }).unwrap();
    match resume(&journal, &later.observe(&journal)) {
        Next::Write(Event::Intent { attempt: 2, hold_until: Some(until), .. }) => assert!(until > later.now),
        other => panic!("{other:?}"),
    }
}

#[test]
fn triggers_are_heard_in_a_pause() {
    let (mut journal, world) = during(&moments(Trouble::None), |action| matches!(action, Action::Judge { .. }));
    journal.append(world.now, 9, paused("ann")).unwrap();
    let world = World { trouble: Trouble::TripsFrom(Percent::NONE), ..world };
    assert!(matches!(resume(&journal, &world.observe(&journal)), Next::Write(Event::RollbackBegun { .. })));
}

#[test]
fn a_state_says_where_a_release_stands_and_with_what_a_command_ends() {
    let good = moments(Trouble::None);
    let (waiting, world) = during(&good, |action| matches!(action, Action::AwaitGo { .. }));
    let mut seen = world.observe(&waiting);
    seen.gate = Gate::WindowClosed { said: "until Monday".into() };
    let state = State::of(&Progress::of(&waiting), &seen);
    assert_eq!(state.exit(), Some(Exit::WindowClosed));
    assert!(matches!(resume(&waiting, &seen), Next::Wait { until: Some(_), .. }));
    let (holding, world) = during(&good, |action| matches!(action, Action::Judge { .. }));
    let state = State::of(&Progress::of(&holding), &world.observe(&holding));
    assert!(matches!(state, State::Holding { weight, .. } if weight == Percent::whole(10)), "{state:?}");
    for (trouble, exit) in [
        (Trouble::None, Exit::Done),
        (Trouble::WorseFrom(Percent::whole(10)), Exit::RolledBack),
        (Trouble::TripsAfterContract, Exit::Paused),
        (Trouble::UndoFails, Exit::NeedsHands),
        (Trouble::Fails("1.1".parse().unwrap()), Exit::NoGo),
        (Trouble::Fails("1.3".parse().unwrap()), Exit::RolledBack),
    ] {
        let moments = moments(trouble);
        let (journal, world) = moments.last().unwrap();
        assert_eq!(State::of(&Progress::of(journal), &world.observe(journal)).exit(), Some(exit), "{trouble:?}");
    }
}

#[test]
fn a_version_that_was_given_traffic_again_is_not_stopped() {
    let (journal, mut world) = during(&moments(Trouble::None), |action| matches!(action, Action::Stop { .. }));
    let from = journal.plan().from.clone().unwrap();
    assert!(matches!(resume(&journal, &world.observe(&journal)), Next::Act { .. }));
    world.versions.get_mut(&from).unwrap().weight = Percent::whole(1);
    assert!(matches!(resume(&journal, &world.observe(&journal)), Next::Wait { .. }));
}
