//! The journal on disk: what is written is there, what was torn is not, and nobody else writes into it.

use std::fs::OpenOptions;
use std::io::Write as _;

use signalbox_release::executor::{FILE, JournalError, JournalFile};
use signalbox_release::model::machine::{Event, JournalFault};
use signalbox_release::model::manifest::Profile;
use signalbox_release::model::plan::Plan;

use crate::given::{full, live, migrations, monday, planned};

fn plan() -> Plan {
    let manifest = full(Profile::Fast, 2, "");
    planned(&manifest, &live(&manifest, "1.0.0"), Some(&migrations())).unwrap().unwrap()
}

fn paused(said: &str) -> Event {
    Event::Paused { by: "ann".into(), said: said.into() }
}

#[test]
fn what_is_written_reads_back_and_a_torn_line_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = JournalFile::begin(folder.path(), plan(), "ann", monday(), 3, None).unwrap();
    file.append(monday().plus(1), paused("lunch")).unwrap();
    let written = file.journal().clone();
    drop(file);
    assert!(JournalFile::begin(folder.path(), plan(), "ann", monday(), 4, None).is_err(), "it is begun already");
    let path = folder.path().join(FILE);
    let whole = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"v\":1,\"seq\":3,\"at\":\"2026-").unwrap();
    assert_eq!(JournalFile::read(folder.path()).unwrap(), written);
    let mut file = JournalFile::open(folder.path(), 4, None).unwrap();
    assert_eq!(*file.journal(), written);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), whole);
    // A clock that was set back does not turn the order round.
    let record = file.append(monday(), Event::Resumed { by: "ann".into() }).unwrap();
    assert_eq!((record.seq, record.epoch, record.at), (3, 4, monday().plus(1)));
    assert_eq!(JournalFile::read(folder.path()).unwrap(), *file.journal());
}

#[test]
fn an_older_epoch_and_a_second_writer_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = JournalFile::begin(folder.path(), plan(), "ann", monday(), 3, None).unwrap();
    let old = JournalFile::open(folder.path(), 2, None).unwrap_err();
    assert!(matches!(old, JournalError::Fault { fault: JournalFault::OldEpoch { epoch: 2, newest: 3 }, .. }), "{old}");
    let mut second = JournalFile::open(folder.path(), 4, None).unwrap();
    second.append(monday(), paused("another leads")).unwrap();
    let late = first.append(monday(), paused("too late")).unwrap_err();
    assert!(matches!(late, JournalError::Foreign { .. }), "{late}");
    let still = first.append(monday(), paused("still too late")).unwrap_err();
    assert!(matches!(still, JournalError::Poisoned { .. }), "{still}");
    assert_eq!(JournalFile::read(folder.path()).unwrap().records().len(), 2);
}
