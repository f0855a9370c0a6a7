//! Whatever somebody with the database's password does, `verify` names the place, in the store and in an export.

use std::io::Cursor;

use signalbox_audit::export;
use signalbox_audit::verify::{self, Outside, Report};
use signalbox_crypto::chain::Kind;
use signalbox_crypto::checkpoint::AuditKey;
use signalbox_store::Store;

use crate::place::Place;
use crate::{NOW, fill, on_both_engines};

on_both_engines!(
    a_change_in_any_column_is_found,
    deleted_inserted_and_moved_rows_are_found,
    a_cut_end_is_found,
    personal_values_are_watched_and_may_be_erased,
    rows_that_are_no_entries_are_found,
    an_export_is_verified_by_itself,
    lines_of_an_export_are_watched,
);

fn look(store: &Store) -> Report {
    verify::store(store, &Outside::default(), |_| ()).unwrap()
}

/// Tampers in a fresh log of nine entries; the first fault.
fn after(place: &Place, statements: &[&str]) -> Option<(i64, Kind)> {
    let store = place.open();
    place.tamper(&[
        "DELETE FROM audit_personal",
        "DELETE FROM audit_entry",
        "DELETE FROM audit_head",
        "INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, NULL)",
    ]);
    fill(&store, 9);
    assert!(look(&store).intact);
    place.tamper(statements);
    look(&store).first().map(|fault| (fault.seq, fault.kind))
}

fn a_change_in_any_column_is_found(place: &Place) {
    place.open();
    place.drop_triggers();
    let bytes = |byte: &str| match place.url() {
        Some(_) => format!("decode(repeat('{byte}', 32), 'hex')"),
        None => format!("X'{}'", byte.repeat(32)),
    };
    for (column, value) in [
        ("id", "'aud_0000000000001'".to_owned()),
        ("at", "at + 1".to_owned()),
        ("actor", "'system'".to_owned()),
        ("actor_name", bytes("01")),
        ("address", "NULL".to_owned()),
        ("action", "action || ' '".to_owned()),
        ("object", "''".to_owned()),
        ("correlation", "'req_2'".to_owned()),
        ("payload", "replace(payload, '5', '6')".to_owned()),
        ("previous", bytes("01")),
        ("hash", bytes("01")),
    ] {
        let sql = format!("UPDATE audit_entry SET {column} = {value} WHERE seq = 5");
        assert_eq!(after(place, &[&sql]), Some((5, Kind::Changed)), "{column}");
    }
}

fn deleted_inserted_and_moved_rows_are_found(place: &Place) {
    place.open();
    place.drop_triggers();
    let copy = |seq: i64, columns: &str| {
        format!(
            "INSERT INTO audit_entry SELECT {columns}, id, at, actor, actor_name, address, action, object, correlation, payload, previous, hash
             FROM audit_entry WHERE seq = {seq}"
        )
    };
    let make_room = "UPDATE audit_entry SET seq = -seq WHERE seq >= 5";
    let one_later = "UPDATE audit_entry SET seq = 1 - seq WHERE seq < 0";
    for (what, statements, expected) in [
        ("deleted", vec!["DELETE FROM audit_entry WHERE seq = 4"], (4, Kind::Missing)),
        ("deleted at the beginning", vec!["DELETE FROM audit_entry WHERE seq <= 2"], (1, Kind::Missing)),
        (
            "deleted and renumbered",
            vec![
                "DELETE FROM audit_entry WHERE seq = 4",
                "UPDATE audit_entry SET seq = -seq WHERE seq > 4",
                "UPDATE audit_entry SET seq = -seq - 1 WHERE seq < 0",
            ],
            (4, Kind::Changed),
        ),
        ("inserted before the beginning", vec![copy(3, "0").leak()], (0, Kind::Misplaced)),
        ("inserted behind the end", vec![copy(9, "10").leak()], (10, Kind::Changed)),
        ("inserted", vec![make_room, one_later, copy(4, "5").leak()], (5, Kind::Changed)),
        (
            "swapped",
            vec![
                "UPDATE audit_entry SET seq = 100 WHERE seq = 3",
                "UPDATE audit_entry SET seq = 3 WHERE seq = 6",
                "UPDATE audit_entry SET seq = 6 WHERE seq = 100",
            ],
            (3, Kind::Changed),
        ),
    ] {
        assert_eq!(after(place, &statements), Some(expected), "{what}");
    }
}

fn a_cut_end_is_found(place: &Place) {
    place.open();
    place.drop_triggers();
    let cut = "DELETE FROM audit_entry WHERE seq > 6";
    assert_eq!(after(place, &[cut]), Some((7, Kind::Truncated)));
    assert_eq!(after(place, &["DELETE FROM audit_head"]), Some((9, Kind::HeadDiffers)));
    assert_eq!(after(place, &["UPDATE audit_head SET seq = 7"]), Some((8, Kind::HeadDiffers)));
    assert_eq!(after(place, &["UPDATE audit_head SET hash = NULL"]), Some((9, Kind::HeadDiffers)));
    // With the head put right, only a checkpoint outside tells.
    let head = "UPDATE audit_head SET seq = 6, hash = (SELECT hash FROM audit_entry WHERE seq = 6)";
    let personal = "DELETE FROM audit_personal WHERE seq > 6";
    assert_eq!(after(place, &[cut, personal, head]), None);
}

fn personal_values_are_watched_and_may_be_erased(place: &Place) {
    place.open();
    place.drop_triggers();
    let changed = Some((5, Kind::PersonalChanged));
    assert_eq!(after(place, &["UPDATE audit_personal SET value = 'x' WHERE seq = 5 AND slot = 0"]), changed);
    assert_eq!(
        after(
            place,
            &[
                "UPDATE audit_personal SET salt = (SELECT salt FROM audit_personal WHERE seq = 4 AND slot = 0) WHERE seq = 5 AND slot = 0"
            ]
        ),
        changed
    );
    let misplaced = |seq| Some((seq, Kind::PersonalMisplaced));
    assert_eq!(after(place, &["UPDATE audit_personal SET slot = 9 WHERE seq = 5 AND slot = 0"]), misplaced(5));
    assert_eq!(after(place, &["UPDATE audit_personal SET seq = 77 WHERE seq = 5 AND slot = 0"]), misplaced(77));
    assert_eq!(after(place, &["DELETE FROM audit_personal WHERE seq = 5"]), None);
    let report = look(&place.open());
    assert_eq!((report.intact, report.found.erased), (true, 3), "a name, an address and an e-mail address are erased");
}

fn rows_that_are_no_entries_are_found(place: &Place) {
    place.open();
    place.drop_triggers();
    if place.url().is_none() {
        // SQLite holds whatever it is given.
        for value in ["X'00'", "12.5", "CAST(X'ff' AS TEXT)"] {
            let sql = format!("UPDATE audit_entry SET payload = {value} WHERE seq = 5");
            assert_eq!(after(place, &[&sql]), Some((5, Kind::Changed)), "{value}");
        }
    }
    let short = match place.url() {
        Some(_) => "UPDATE audit_entry SET hash = decode('00', 'hex') WHERE seq = 5",
        None => "UPDATE audit_entry SET hash = X'00' WHERE seq = 5",
    };
    assert_eq!(after(place, &[short]), Some((5, Kind::Changed)));
    let payload = "UPDATE audit_entry SET payload = '' WHERE seq = 5";
    assert_eq!(after(place, &[payload]), Some((5, Kind::Changed)));
}

fn export_of(store: &Store) -> (AuditKey, String) {
    let key = AuditKey::create(NOW).unwrap();
    let mut out = Vec::new();
    export::write(store, &key, NOW, &mut out, |_| ()).unwrap();
    (key, String::from_utf8(out).unwrap())
}

fn read(text: &str) -> Report {
    verify::export(Cursor::new(text.as_bytes()), &Outside::default(), |_| ()).unwrap()
}

fn an_export_is_verified_by_itself(place: &Place) {
    let store = place.open();
    let (_, empty) = export_of(&store);
    let report = read(&empty);
    assert!(report.intact && report.found.entries == 0, "{report:?}");
    fill(&store, 9);
    let (key, text) = export_of(&store);
    assert_eq!(text.lines().count(), 10);
    let report = read(&text);
    assert!(report.intact && report.found.entries == 9, "{report:?}");
    assert_eq!((report.public_key, report.proven.unwrap().seq), (Some(key.public()), 9));
    // A key from elsewhere: whoever makes an export up signs it with a key of their own.
    let other = AuditKey::create(NOW).unwrap();
    for (known, intact) in [(key.public(), true), (other.public(), false)] {
        let outside = Outside { keys: vec![known], checkpoints: Vec::new() };
        let report = verify::export(Cursor::new(text.as_bytes()), &outside, |_| ()).unwrap();
        assert_eq!(report.intact, intact, "{report:?}");
    }
    for nothing in ["", "\n", "{}", "{\"format\":\"signalbox-audit-export/1\"}", &text[1..]] {
        verify::export(Cursor::new(nothing.as_bytes()), &Outside::default(), |_| ()).unwrap_err();
    }
}

fn lines_of_an_export_are_watched(place: &Place) {
    let store = place.open();
    fill(&store, 9);
    let (_, text) = export_of(&store);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let first = |lines: Vec<String>| {
        let report = read(&(lines.join("\n") + "\n"));
        report.first().map(|fault| (fault.seq, fault.kind))
    };
    assert_eq!(first(lines.clone()), None);
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        first(lines)
    };
    assert_eq!(with(&|lines| drop(lines.remove(4))), Some((4, Kind::Missing)));
    assert_eq!(with(&|lines| lines.swap(4, 7)), Some((4, Kind::Missing)));
    assert_eq!(with(&|lines| lines.insert(4, lines[4].clone())), Some((4, Kind::Misplaced)));
    assert_eq!(with(&|lines| lines.truncate(6)), Some((6, Kind::Truncated)));
    assert_eq!(with(&|lines| lines.truncate(1)), Some((1, Kind::Truncated)));
    assert_eq!(with(&|lines| lines[5] = "{}".into()), Some((5, Kind::Changed)));
    let cut = &lines[9][..lines[9].len() / 2];
    assert_eq!(with(&|lines| lines[9] = cut.into()), Some((9, Kind::Changed)));
    let changed = lines[5].replace("\"at_us\":178", "\"at_us\":179");
    assert_ne!(changed, lines[5]);
    assert_eq!(with(&|lines| lines[5].clone_from(&changed)), Some((5, Kind::Changed)));
    let changed = lines[5].replace("canary@", "somebody@");
    assert_ne!(changed, lines[5]);
    assert_eq!(with(&|lines| lines[5].clone_from(&changed)), Some((5, Kind::PersonalChanged)));
    // Any byte of any line.
    for (number, line) in lines.iter().enumerate().skip(1) {
        // (but for the seq itself, which would name another entry)
        for at in (8..line.len()).step_by(7) {
            let mut bytes = line.as_bytes().to_vec();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert_eq!(
                with(&|lines| lines[number].clone_from(&changed)).map(|(seq, _)| seq),
                Some(number as i64),
                "{changed}"
            );
        }
    }
}
