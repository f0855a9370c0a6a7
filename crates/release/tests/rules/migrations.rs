use signalbox_core::time::Micros;
use signalbox_release::model::manifest::Order;
use signalbox_release::model::migration::{Applied, Kind, Reach, Set, Situation, inspect, reach, read};

const SQL: &[u8] = b"CREATE TABLE t (a BIGINT);";

fn files(names: &[&'static str]) -> Set {
    read(names.iter().map(|name| (*name, SQL)), Order::Number).unwrap()
}

fn ran(set: &Set, numbers: &[u32], at: i64) -> Vec<Applied> {
    let applied = |number: &u32| {
        let migration = set.get(*number).unwrap();
        Applied {
            number: *number,
            kind: migration.kind,
            checksum: migration.checksum,
            at: Micros(at),
            version: "1.0.0".parse().unwrap(),
        }
    };
    numbers.iter().map(applied).collect()
}

/// Files (name, content), the order, and what is said.
#[test]
fn every_kind_of_bad_file_is_told() {
    let two_words: &'static [u8] = b"-- depends-on: 0001, first\nSELECT 1;";
    let later: &'static [u8] = b"-- a note\n--depends-on: 0002\n\nSELECT 1;";
    let earlier: &'static [u8] = b"-- depends-on: 0001\nSELECT 1;";
    type File = (&'static str, &'static [u8]);
    let cases: &[(&[File], Order, &[&str])] = &[
        (&[("1.expand.sql", SQL)], Order::Number, &["\"1.expand.sql\" is not the name of a migration"]),
        (&[("0001.sql", SQL)], Order::Number, &["\"0001.sql\" is not the name"]),
        (&[("0001.drop.sql", SQL)], Order::Number, &["\"0001.drop.sql\" is not the name"]),
        (&[("0001-.expand.sql", SQL)], Order::Number, &["is not the name"]),
        (&[("0001.expand.sql", b"-- nothing\n\n")], Order::Number, &["0001.expand.sql has no statement"]),
        (&[("0001.expand.sql", b"\xff")], Order::Number, &["0001.expand.sql is not UTF-8 text"]),
        (&[("0002.expand.sql", two_words)], Order::Number, &["0002.expand.sql depends on \"first\""]),
        (
            &[("0001.expand.sql", SQL), ("0001-b.backfill.sql", SQL)],
            Order::Number,
            &["number 0001 is there twice: 0001-b.backfill, 0001.expand"],
        ),
        (&[("0001.expand.sql", later)], Order::DependsOn, &["0001.expand depends on 0002, which is not there"]),
        (
            &[("0001.expand.sql", later), ("0002.expand.sql", SQL)],
            Order::Number,
            &["0001.expand depends on 0002, which has no lower number"],
        ),
        (
            &[("0001.expand.sql", later), ("0002.expand.sql", earlier)],
            Order::DependsOn,
            &["0001.expand, 0002.expand depend on each other in a circle"],
        ),
        (
            &[("x.sql", SQL), ("0001.expand.sql", b"")],
            Order::Number,
            &["\"x.sql\" is not the name", "0001.expand.sql has no statement"],
        ),
    ];
    for (files, order, wanted) in cases {
        let problems = read(files.iter().copied(), *order).unwrap_err();
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), wanted.len(), "{said:?}");
        for (said, wanted) in said.iter().zip(*wanted) {
            assert!(said.contains(wanted), "{said}");
        }
    }
}

#[test]
fn dependencies_come_first() {
    let head: &[u8] = b"-- depends-on: 0003\nSELECT 1;";
    let files = [("0001.expand.sql", head), ("0002.expand.sql", SQL), ("0003.expand.sql", SQL), ("readme.md", SQL)];
    let set = read(files, Order::DependsOn).unwrap();
    let numbers: Vec<u32> = set.ordered().iter().map(|one| one.number).collect();
    assert_eq!(numbers, [2, 3, 1]);
}

#[test]
fn what_ran_is_compared_with_the_files() {
    let set = files(&["0001.expand.sql", "0002-fill.backfill.sql", "0003.contract.sql", "0004.expand.sql"]);
    let said = |applied: &[Applied]| {
        let found = inspect(&set, applied, Order::Number);
        found.problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(said(&ran(&set, &[1, 2, 3], 1)), [""; 0]);
    assert!(said(&ran(&set, &[1, 2], 1))[0].contains("0004.expand comes after 0003.contract"));
    assert!(said(&ran(&set, &[2, 3], 1))[0].contains("0001.expand has not run although 0003 has"));
    let mut applied = ran(&set, &[1, 2, 3, 4], 1);
    applied[0].checksum = signalbox_release::model::value::Digest::of(b"other");
    applied[1].kind = Kind::Expand;
    applied[3].number = 9;
    let said = said(&applied);
    assert!(said[0].contains("0001.expand was changed after it ran"), "{said:?}");
    assert!(said[1].contains("0002-fill.backfill ran as expand"), "{said:?}");
    assert!(said[2].contains("0009 has run and its file is gone"), "{said:?}");
}

#[test]
fn a_contract_waits_until_the_old_version_is_gone() {
    let set = files(&["0001.expand.sql", "0002.contract.sql"]);
    let found = inspect(&set, &ran(&set, &[1], 1), Order::Number);
    let said = |old_version_lives, rollback_window_open| {
        let refusals = found.refusals(Situation { old_version_lives, rollback_window_open });
        refusals.iter().map(ToString::to_string).collect::<String>()
    };
    assert!(said(true, true).contains("the old version still runs"));
    assert!(said(false, true).contains("a rollback to the old version is still promised"));
    assert_eq!(said(false, false), "");
}

#[test]
fn code_rolls_back_until_a_contract_ran() {
    let set = files(&["0001.expand.sql", "0002.contract.sql"]);
    assert_eq!(reach(&set, &ran(&set, &[1], 5), Micros(7)), Reach::UntilContract { contract: "0002.contract".into() });
    let all = ran(&set, &[1, 2], 5);
    assert_eq!(reach(&set, &all, Micros(7)), Reach::Code);
    assert_eq!(reach(&set, &all, Micros(3)), Reach::DatabaseOnly { contract: 2, at: Micros(5) });
}
