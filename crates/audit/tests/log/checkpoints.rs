//! Checkpoints: made of what verifies, written while the server runs, and what they prove.

use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_audit::checkpoint::{
    Checkpointer, MakeError, Policy, Sinks, Syslog, append_line, last_in, make, read_lines,
};
use signalbox_audit::verify::{self, Outside};
use signalbox_core::clock::ManualClock;
use signalbox_crypto::chain::Kind;
use signalbox_crypto::checkpoint::AuditKey;

use crate::place::Place;
use crate::{NOW, fill, on_both_engines};

on_both_engines!(
    a_checkpoint_proves_the_end,
    nothing_is_signed_that_does_not_hold,
    a_running_checkpointer_writes_when_it_is_due_and_at_the_end,
);

fn a_checkpoint_proves_the_end(place: &Place) {
    let store = place.open();
    let key = AuditKey::create(NOW).unwrap();
    let file = place.folder().join("checkpoints.jsonl");
    fill(&store, 5);
    let first = make(&store, &key, None, NOW).unwrap();
    append_line(&file, &first).unwrap();
    fill(&store, 4);
    let second = make(&store, &key, Some(&first), NOW).unwrap();
    append_line(&file, &second).unwrap();
    assert_eq!((first.seq, second.seq), (5, 9));
    fill(&store, 1);
    let outside = Outside { keys: vec![key.public()], checkpoints: read_lines(&file).unwrap() };
    let report = verify::store(&store, &outside, |_| ()).unwrap();
    assert!(report.intact, "{report:?}");
    assert_eq!((report.checkpoints, report.proven.unwrap().seq, report.found.last_seq), (2, 9, 10));
    // The end is cut off and the head put right: the last outside checkpoint tells.
    place.drop_triggers();
    place.tamper(&[
        "DELETE FROM audit_entry WHERE seq > 6",
        "DELETE FROM audit_personal WHERE seq > 6",
        "UPDATE audit_head SET seq = 6, hash = (SELECT hash FROM audit_entry WHERE seq = 6)",
    ]);
    let report = verify::store(&store, &outside, |_| ()).unwrap();
    let fault = report.first().unwrap();
    assert_eq!((fault.seq, fault.kind, report.proven.unwrap().seq), (7, Kind::Truncated, 5));
    // Cut and written anew: something behind the last checkpoint that agrees.
    fill(&store, 6);
    let report = verify::store(&store, &outside, |_| ()).unwrap();
    let fault = report.first().unwrap();
    assert_eq!((fault.seq, fault.kind), (6, Kind::Rewritten));
    // Somebody else's checkpoint proves nothing.
    let outside = Outside { keys: vec![AuditKey::create(NOW).unwrap().public()], ..outside };
    let report = verify::store(&store, &outside, |_| ()).unwrap();
    assert!(report.found.faults.iter().all(|fault| fault.kind == Kind::BadCheckpoint), "{report:?}");
    assert_eq!((report.found.faults_total, report.proven), (2, None));
}

fn nothing_is_signed_that_does_not_hold(place: &Place) {
    let store = place.open();
    let key = AuditKey::create(NOW).unwrap();
    let empty = make(&store, &key, None, NOW).unwrap();
    assert_eq!((empty.seq, empty.hash), (0, [0; 32]));
    fill(&store, 6);
    let last = make(&store, &key, Some(&empty), NOW).unwrap();
    fill(&store, 3);
    place.drop_triggers();
    place.tamper(&["UPDATE audit_entry SET action = 'other' WHERE seq = 8"]);
    match make(&store, &key, Some(&last), NOW) {
        Err(MakeError::Tampered(fault)) => assert_eq!(fault.seq, 8),
        other => panic!("{other:?}"),
    }
    place.tamper(&["DELETE FROM audit_entry WHERE seq > 4", "UPDATE audit_head SET seq = 4"]);
    match make(&store, &key, Some(&last), NOW) {
        Err(MakeError::Tampered(fault)) => assert_eq!((fault.seq, fault.kind), (5, Kind::Truncated)),
        other => panic!("{other:?}"),
    }
}

fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn a_running_checkpointer_writes_when_it_is_due_and_at_the_end(place: &Place) {
    let store = place.open();
    let key = AuditKey::create(NOW).unwrap();
    let public = key.public();
    let file = place.folder().join("away").join("checkpoints.jsonl");
    let socket = place.folder().join("log");
    let sinks = Sinks { file: file.clone(), syslog: Some(Syslog::Socket(socket.clone())) };
    let policy = Policy { entries: 5, every: Duration::from_secs(3600) };
    let clock = Arc::new(ManualClock::at(NOW));
    fill(&store, 4);
    let running = Checkpointer::start(store.clone(), key, sinks, policy, clock, Arc::new(true.into())).unwrap();
    fill(&store, 3);
    // Neither the folder of the file nor the log's socket is there yet: it is tried again.
    std::thread::sleep(Duration::from_millis(1500));
    std::fs::create_dir(place.folder().join("away")).unwrap();
    wait_for("the first checkpoint", || last_in(&file).unwrap().is_some_and(|last| last.seq == 7));
    let log = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    log.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut bytes = [0; 4096];
    let length = log.recv(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..length]).contains("\"seq\":7"));
    fill(&store, 2);
    running.finish();
    let lines = read_lines(&file).unwrap();
    let seqs: Vec<_> = lines.iter().map(|line| line.checkpoint.as_ref().unwrap().seq).collect();
    assert_eq!(seqs, [7, 9], "the last one is made at the end, and none twice");
    let report = verify::store(&store, &Outside { keys: vec![public], checkpoints: lines }, |_| ()).unwrap();
    assert!(report.intact && report.proven.unwrap().seq == 9, "{report:?}");
}
