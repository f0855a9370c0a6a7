//! What can be wrong with the database itself, and that it is told in words that say what to do.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use signalbox_core::time::Micros;
use signalbox_store::{Column, Insert, Migration, Scope, Settings, Store, StoreError, Type};
use tempfile::TempDir;

use crate::place::{Place, variable, with_database};

const PAGES: &[Migration] = &[Migration {
    number: 100,
    name: "page",
    sql: "CREATE TABLE page (id {key}, text TEXT NOT NULL)",
    postgres: "",
    scoped: &[],
    contract: false,
}];

fn file(place: &Place) -> std::path::PathBuf {
    place.folder().join("signalbox.db")
}

/// A closed database with some pages in it, all in the main file.
fn filled(place: &Place) {
    let store = place.open();
    store.migrate(&[PAGES], Micros(1)).unwrap();
    let text = "x".repeat(2000);
    let insert =
        Insert { table: "page", columns: &[("id", Type::Int), ("text", Type::Text)], conflict: "", returning: "" };
    let columns = [Column::Ints((0..200).collect()), Column::Texts(vec![&text; 200])];
    store.write_here(&Scope::all(), |conn| conn.insert(&insert, &columns, &mut |_| Ok(()))).unwrap();
    store.recover().unwrap();
}

fn write(store: &Store) -> Result<u64, StoreError> {
    store.write_here(&Scope::all(), |conn| conn.execute("INSERT INTO page VALUES (1000, 'x')", &[]))
}

fn read(store: &Store) -> Result<Vec<usize>, StoreError> {
    store.read_here(&Scope::all(), |conn| conn.query("SELECT text FROM page", &[], |row| Ok(row.text(0)?.len())))
}

#[test]
fn another_file_is_not_taken_for_a_database() {
    let zeros_behind_the_magic = [b"SQLite format 3\0".as_slice(), &[0; 8000]].concat();
    for (what, content) in [
        ("text", b"Dear diary, today I wrote no SQL at all. ".repeat(50)),
        ("zeros", vec![0; 8192]),
        ("a short file", b"not a database".to_vec()),
        ("a head alone", zeros_behind_the_magic),
    ] {
        let place = Place::sqlite();
        fs::write(file(&place), &content).unwrap();
        let Err(error) = Store::open(&place.settings(4)) else { panic!("{what} was taken for a database") };
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{what}: {error}");
        let words = error.to_string();
        assert!(words.contains("signalbox.db is not a SQLite database"), "{what}: {words:?}");
        assert_eq!(fs::read(file(&place)).unwrap(), content, "{what}: somebody's file stays as it is");
    }
}

#[test]
fn a_damaged_database_is_told_and_nothing_is_made_up() {
    let place = Place::sqlite();
    filled(&place);
    let mut bytes = fs::read(file(&place)).unwrap();
    // Beyond the schema: the pages of the table, torn in the middle.
    let middle = bytes.len() / 2;
    bytes[middle - 30_000..middle + 30_000].fill(0xa5);
    fs::write(file(&place), &bytes).unwrap();
    let store = place.open();
    for outcome in [read(&store).map(drop), store.check_integrity()] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
        let words = error.to_string();
        assert!(words.contains("damaged") && words.contains("restore the latest backup"), "{words}");
    }
}

#[test]
fn a_whole_database_passes_the_check() {
    let place = Place::sqlite();
    filled(&place);
    place.open().check_integrity().unwrap();
}

#[test]
fn a_locked_database_is_told_after_a_while() {
    let place = Place::sqlite();
    filled(&place);
    let store = place.open();
    let other = Connection::open(file(&place)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; INSERT INTO page VALUES (999, 'x')").unwrap();
    let start = Instant::now();
    let error = write(&store).unwrap_err();
    assert!(matches!(error, StoreError::Busy), "{error}");
    assert!(error.is_passing() && error.to_string().contains("locked by another program"), "{error}");
    assert!(start.elapsed() >= Duration::from_secs(1), "a short lock is waited for");
    assert!(start.elapsed() < Duration::from_secs(15));
    assert_eq!(read(&store).unwrap().len(), 200, "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(write(&store).unwrap(), 1, "and it is well again by itself");
    assert!(store.health().poisoned().is_none());
}

#[test]
fn a_short_lock_is_waited_for() {
    let place = Place::sqlite();
    filled(&place);
    let store = place.open();
    let other = Connection::open(file(&place)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let holder = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        other.execute_batch("COMMIT").unwrap();
    });
    assert_eq!(write(&store).unwrap(), 1);
    holder.join().unwrap();
}

/// A folder on a file system that cannot be written: root is not stopped by permissions.
struct ReadOnly(TempDir);

impl ReadOnly {
    fn copy_of(folder: &Path) -> Self {
        let place = tempfile::tempdir().unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{program}: {said}; run `cargo xtask test` as root, in a container privileged"
            );
        };
        let path = place.path().to_str().unwrap().to_owned();
        run("mount", &["-t", "tmpfs", "tmpfs", &path]);
        let mounted = Self(place);
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            // The folder of locks is made anew where it can be.
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), mounted.0.path().join(entry.file_name())).unwrap();
            }
        }
        run("mount", &["-o", "remount,ro", &path]);
        mounted
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_read_only_database_is_told() {
    let place = Place::sqlite();
    let open = |folder: &Path| Store::open(&Settings { data: folder.to_owned(), ..place.settings(2) });
    // Nothing there yet, and nothing can be made.
    let empty = ReadOnly::copy_of(place.folder());
    for data in [empty.0.path().to_owned(), empty.0.path().join("below")] {
        let words = open(&data).and_then(|store| write(&store)).unwrap_err().to_string().to_lowercase();
        assert!(words.contains("read-only") || words.contains("may be written"), "{words}");
    }
    filled(&place);
    let full = ReadOnly::copy_of(place.folder());
    let error = open(full.0.path()).and_then(|store| write(&store)).unwrap_err();
    // The folder may be what stands in the way first: SQLite needs its log beside the database.
    let words = error.to_string();
    assert!(words.contains("cannot be written") || words.contains("may be written"), "{words}");
}

#[test]
fn a_folder_in_the_place_of_the_database_is_told() {
    let place = Place::sqlite();
    fs::create_dir(file(&place)).unwrap();
    let words = Store::open(&place.settings(4)).map(drop).unwrap_err().to_string();
    assert!(words.contains("check that"), "{words}");
}

#[test]
fn a_postgres_that_cannot_be_used_is_told() {
    let place = Place::sqlite();
    let open = |url: &str| {
        let settings = Settings { database_url: Some(url.to_owned()), ..place.settings(2) };
        Store::open(&settings).map(drop).unwrap_err()
    };
    let nobody_listens = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = open(&format!("postgres://signalbox:secret-word@127.0.0.1:{nobody_listens}/x"));
    assert!(matches!(error, StoreError::Unreachable(_)) && error.is_passing(), "{error}");
    assert!(error.to_string().contains("PostgreSQL cannot be reached"), "{error}");
    let error = open(&with_database(&variable("SIGNALBOX_TEST_POSTGRES"), "there_is_none"));
    assert!(error.to_string().contains("\"there_is_none\" does not exist"), "{error}");
    let error = open("postgres://signalbox:secret-word@127.0.0.1:port/x");
    assert!(matches!(error, StoreError::BadUrl(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret-word"), "{error}");
}
