//! The intake log: gapless, in order, kept until it is projected, and damage is told.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use signalbox_core::time::Micros;
use signalbox_store::{LogReader, LogRow, Store, StoreError};

use crate::on_both_engines;
use crate::place::{Place, run_sql};

on_both_engines!(
    what_is_appended_is_read_in_order,
    reading_goes_on_where_it_stopped,
    a_log_goes_on_after_a_restart,
    writers_at_once_leave_no_gap,
    what_is_projected_is_cleared_away,
    the_newest_row_stays,
    a_flipped_bit_is_told,
    a_wrong_count_is_told,
);

const ALL: usize = 1 << 30;

fn prepared(place: &Place) -> Store {
    let store = place.open();
    store.migrate(&[], Micros(1)).unwrap();
    store
}

fn rows(reader: &LogReader) -> Vec<(i64, u32, Vec<u8>)> {
    let mut all: Vec<LogRow> = Vec::new();
    loop {
        let seq = all.last().map_or(0, |row| row.first_seq + i64::from(row.count) - 1);
        let more = reader.after(seq, ALL).unwrap();
        if more.is_empty() {
            return all.into_iter().map(|row| (row.first_seq, row.count, row.body)).collect();
        }
        all.extend(more);
    }
}

fn what_is_appended_is_read_in_order(place: &Place) {
    let store = prepared(place);
    let reader = store.log().reader().unwrap();
    assert_eq!(reader.last_seq().unwrap(), 0);
    assert_eq!(reader.after(0, ALL).unwrap(), []);
    let mut writer = store.log().writer(0).unwrap();
    let large: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert_eq!(writer.append([(b"one".to_vec(), 1)]).unwrap(), 1);
    assert_eq!(writer.append([(b"\0\xff".to_vec(), 250)]).unwrap(), 2);
    assert_eq!(writer.append([(large.clone(), 3)]).unwrap(), 252);
    assert_eq!(reader.last_seq().unwrap(), 254);
    let expected = [(1, 1, b"one".to_vec()), (2, 250, b"\0\xff".to_vec()), (252, 3, large)];
    assert_eq!(rows(&reader), expected);
    assert_eq!(reader.after(254, ALL).unwrap(), []);
    let together: Vec<_> = (1..40).map(|count| (vec![count as u8; 1 << 15], count)).collect();
    assert_eq!(writer.append(together.clone()).unwrap(), 255);
    let seqs = together.iter().scan(255, |next, (_, count)| Some(std::mem::replace(next, *next + i64::from(*count))));
    let expected: Vec<_> = seqs.zip(&together).map(|(seq, (body, count))| (seq, *count, body.clone())).collect();
    assert_eq!(rows(&reader)[3..], expected);
    assert_eq!(reader.after(9_999, ALL).unwrap(), []);
}

fn reading_goes_on_where_it_stopped(place: &Place) {
    let store = prepared(place);
    let mut writer = store.log().writer(0).unwrap();
    for number in 0..700_u32 {
        writer.append([(number.to_be_bytes().to_vec(), 1 + number % 3)]).unwrap();
    }
    let reader = store.log().reader().unwrap();
    assert_eq!(rows(&reader).len(), 700);
    // A bound gives fewer rows at a time, at least one, and together the same.
    for most_bytes in [1, 4, 10, 1000] {
        let (mut seq, mut seen) = (0, Vec::new());
        loop {
            let part = reader.after(seq, most_bytes).unwrap();
            let Some(last) = part.last() else { break };
            let but_last: usize = part[..part.len() - 1].iter().map(|row| row.body.len()).sum();
            assert!(but_last < most_bytes, "{} rows for {most_bytes} bytes", part.len());
            seq = last.first_seq + i64::from(last.count) - 1;
            seen.extend(part.into_iter().map(|row| (row.first_seq, row.count, row.body)));
            if most_bytes == 1 && seen.len() > 20 {
                break;
            }
        }
        assert_eq!(seen[..], rows(&reader)[..seen.len()]);
        assert!(most_bytes == 1 || seen.len() == 700);
    }
}

fn a_log_goes_on_after_a_restart(place: &Place) {
    let store = prepared(place);
    store.log().writer(0).unwrap().append([(b"a".to_vec(), 10)]).unwrap();
    drop(store);
    let store = place.open();
    store.recover().unwrap();
    assert_eq!(store.log().writer(0).unwrap().append([(b"b".to_vec(), 5)]).unwrap(), 11);
    assert_eq!(rows(&store.log().reader().unwrap()), [(1, 10, b"a".to_vec()), (11, 5, b"b".to_vec())]);
}

/// Several processes may append; a reader that follows must never meet a gap or an earlier seq.
fn writers_at_once_leave_no_gap(place: &Place) {
    const WRITERS: usize = 4;
    const EACH: u32 = 40;
    let store = prepared(place);
    let start = Arc::new(Barrier::new(WRITERS + 1));
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (store, start) = (place.open(), Arc::clone(&start));
            std::thread::spawn(move || {
                let mut writer = store.log().writer(0).unwrap();
                start.wait();
                let append = |turn: u32| {
                    let count = 1 + turn % 4;
                    (writer.append([(format!("{number}/{turn}").into_bytes(), count)]).unwrap(), count)
                };
                (0..EACH).map(append).collect::<Vec<_>>()
            })
        })
        .collect();
    let reader = store.log().reader().unwrap();
    start.wait();
    let (mut seq, mut followed) = (0, Vec::new());
    let begun = Instant::now();
    while followed.len() < WRITERS * EACH as usize {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} chunks arrived", followed.len());
        for row in reader.after(seq, ALL).unwrap() {
            assert_eq!(row.first_seq, seq + 1, "a follower met a gap");
            seq += i64::from(row.count);
            followed.push((row.first_seq, row.count));
        }
    }
    let told: Vec<Vec<(i64, u32)>> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    for seqs in &told {
        assert!(seqs.windows(2).all(|pair| pair[0].0 < pair[1].0), "one writer's chunks keep their order");
    }
    let mut told: Vec<_> = told.into_iter().flatten().collect();
    told.sort_unstable();
    assert_eq!(told, followed, "what the writers were told is what is there");
}

fn what_is_projected_is_cleared_away(place: &Place) {
    let store = prepared(place);
    let mut writer = store.log().writer(0).unwrap();
    for _ in 0..100 {
        writer.append([(b"chunk".to_vec(), 2)]).unwrap();
    }
    let reader = store.log().reader().unwrap();
    let left = || rows(&reader).first().map(|row| row.0);
    assert_eq!(left(), Some(1), "nothing goes before it is projected");
    store.log().projected(120);
    for _ in 0..20 {
        writer.append([(b"chunk".to_vec(), 2)]).unwrap();
    }
    assert_eq!(left(), Some(121), "what is projected goes, what is not stays");
    // An older answer does not bring anything back or take anything more.
    store.log().projected(40);
    writer.append([(b"chunk".to_vec(), 2)]).unwrap();
    assert_eq!((left(), reader.last_seq().unwrap()), (Some(121), 242));
}

fn the_newest_row_stays(place: &Place) {
    let store = prepared(place);
    let mut writer = store.log().writer(0).unwrap();
    for _ in 0..5 {
        writer.append([(b"chunk".to_vec(), 3)]).unwrap();
    }
    store.log().projected(15);
    assert_eq!(
        writer.append([(b"last".to_vec(), 1)]).unwrap(),
        16,
        "the seq goes on although everything before is projected"
    );
    store.log().projected(16);
    let reader = store.log().reader().unwrap();
    assert_eq!(reader.last_seq().unwrap(), 16);
    drop((writer, reader, store));
    let store = place.open();
    assert_eq!(store.log().writer(0).unwrap().append([(b"next".to_vec(), 1)]).unwrap(), 17);
}

/// Changes the log past the store.
fn damage(place: &Place, sqlite: &str, postgres: &str) {
    match place.url() {
        Some(url) => drop(run_sql(url, &[postgres])),
        None => {
            let conn = rusqlite::Connection::open(place.folder().join("intake.db")).unwrap();
            assert_eq!(conn.execute(sqlite, []).unwrap(), 1);
        }
    }
}

fn corrupt(outcome: Result<Vec<LogRow>, StoreError>) -> String {
    match outcome {
        Err(StoreError::Corrupt(words)) => words,
        other => panic!("{other:?}"),
    }
}

fn a_flipped_bit_is_told(place: &Place) {
    let store = prepared(place);
    let mut writer = store.log().writer(0).unwrap();
    for body in [b"first", b"secnd", b"third"] {
        writer.append([(body.to_vec(), 2)]).unwrap();
    }
    // The lowest bit of one letter in the middle: "secnd" becomes "sebnd".
    damage(
        place,
        "UPDATE intake SET body = CAST('sebnd' AS BLOB) WHERE first_seq = 3",
        "UPDATE intake SET body = set_byte(body, 2, get_byte(body, 2) # 1) WHERE first_seq = 3",
    );
    let reader = store.log().reader().unwrap();
    let words = corrupt(reader.after(0, ALL));
    assert!(words.contains("intake row 3"), "{words}");
    let words = StoreError::Corrupt(words).to_string();
    assert!(words.contains("damaged") && words.contains("restore the latest backup"), "{words}");
    assert_eq!(reader.after(4, ALL).unwrap().len(), 1, "what is whole is read");
}

fn a_wrong_count_is_told(place: &Place) {
    let store = prepared(place);
    store.log().writer(0).unwrap().append([(b"body".to_vec(), 2)]).unwrap();
    let sql = "UPDATE intake SET count = -2 WHERE first_seq = 1";
    damage(place, sql, sql);
    let words = corrupt(store.log().reader().unwrap().after(0, ALL));
    assert!(words.contains("intake row 1"), "{words}");
}
