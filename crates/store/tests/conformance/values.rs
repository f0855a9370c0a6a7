//! What is written is read back: values, batches, keys.

use signalbox_store::{Column, Insert, Migration, Scope, Store, StoreError, Type, Value};

use crate::on_both_engines;
use crate::place::Place;

on_both_engines!(
    parameters_read_back,
    batches_read_back,
    keys_of_every_type_are_found,
    a_conflict_gives_back_what_was_written,
    many_rows_go_into_one_statement,
    a_column_of_another_type_is_an_error,
    nothing_is_done_for_an_empty_batch,
);

const THINGS: &[Migration] = &[Migration {
    number: 100,
    name: "things",
    sql: "CREATE TABLE thing (id {key}, number BIGINT, ratio DOUBLE PRECISION, text TEXT, bytes {bytes})",
    postgres: "",
    scoped: &[],
    contract: false,
}];
const THING: Insert = Insert {
    table: "thing",
    columns: &[("id", Type::Int), ("number", Type::Int), ("text", Type::Text), ("bytes", Type::Bytes)],
    conflict: "",
    returning: "",
};
const INTS: [i64; 8] = [0, 1, -1, i64::MIN, i64::MAX, i64::MIN + 1, i64::MAX - 1, 1 << 53];
const TEXTS: [&str; 12] = [
    "",
    " ",
    "plain",
    "'; DROP TABLE thing; --",
    "\"quoted\" \\ back",
    "line\nbreak\r\n\ttab",
    "ünïcödé 漢字 🚦",
    "e\u{301} is not \u{e9}",
    "\u{202e}right to left\u{feff}",
    "\u{1}\u{7f}\u{9f}",
    "$1 {keys} ?1 :a @b",
    "12345678901234567890",
];
const BYTES: [&[u8]; 5] = [b"", b"\0", b"\0\xff\0", b"text", &[0xc3, 0x28, 0xff, 0xfe]];

fn prepared(place: &Place) -> Store {
    let store = place.open();
    store.migrate(&[THINGS], signalbox_core::time::Micros(1)).unwrap();
    store
}

fn parameters_read_back(place: &Place) {
    let store = prepared(place);
    let reals = [0.0, -0.5, 1e300, f64::MIN_POSITIVE, 0.1 + 0.2, f64::INFINITY];
    let rows: Vec<[Value<'_>; 4]> = INTS
        .iter()
        .map(|value| [(*value).into(), Value::Null, Value::Null, Value::Null])
        .chain(reals.iter().map(|value| [Value::Null, Value::Real(*value), Value::Null, Value::Null]))
        .chain(TEXTS.iter().map(|value| [Value::Null, Value::Null, (*value).into(), Value::Null]))
        .chain(BYTES.iter().map(|value| [Value::Null, Value::Null, Value::Null, (*value).into()]))
        .collect();
    let sql = "INSERT INTO thing (id, number, ratio, text, bytes) VALUES ($1, $2, $3, $4, $5)";
    for (id, row) in rows.iter().enumerate() {
        let params = [(id as i64).into(), row[0], row[1], row[2], row[3]];
        assert_eq!(store.write_here(&Scope::all(), |conn| conn.execute(sql, &params)).unwrap(), 1);
    }
    let mut seen = 0;
    let sql = "SELECT number, ratio, text, bytes FROM thing ORDER BY id";
    let check = |row: &signalbox_store::Row<'_>| {
        let expected = &rows[seen];
        seen += 1;
        match expected {
            [Value::Int(number), ..] => assert_eq!(row.int(0)?, *number),
            [_, Value::Real(ratio), ..] => assert_eq!(row.real(1)?.to_bits(), ratio.to_bits()),
            [_, _, Value::Text(text), _] => assert_eq!(row.text(2)?, *text),
            [.., Value::Bytes(bytes)] => assert_eq!(row.bytes(3)?, *bytes),
            other => panic!("{other:?}"),
        }
        assert_eq!(row.opt_int(0)?.is_some(), expected[0] != Value::Null);
        assert_eq!(row.opt_text(2)?.is_some(), expected[2] != Value::Null, "empty text is not null");
        assert_eq!(row.opt_bytes(3)?.is_some(), expected[3] != Value::Null, "no bytes are not null");
        Ok(())
    };
    let mut check = check;
    store.read_here(&Scope::all(), |conn| conn.each(sql, &[], &mut check)).unwrap();
    assert_eq!(seen, rows.len());
    let mut streamed = 0;
    let count = &mut |_: &signalbox_store::Row<'_>| {
        streamed += 1;
        Ok(())
    };
    store.read_here(&Scope::all(), |conn| conn.stream(sql, &[], count)).unwrap();
    assert_eq!(streamed, rows.len());
}

type Thing = (i64, Option<i64>, Option<String>, Option<Vec<u8>>);

fn all(store: &Store) -> Vec<Thing> {
    let sql = "SELECT id, number, text, bytes FROM thing ORDER BY id";
    let read = |row: &signalbox_store::Row<'_>| Ok((row.int(0)?, row.opt_int(1)?, row.opt_text(2)?, row.opt_bytes(3)?));
    store.read_here(&Scope::all(), |conn| conn.query(sql, &[], read)).unwrap()
}

fn batches_read_back(place: &Place) {
    let store = prepared(place);
    let rows: Vec<Thing> = (0..60)
        .map(|id: i64| {
            let at = id as usize;
            let present = |every: i64| id % every != 0;
            (
                id,
                present(3).then_some(INTS[at % INTS.len()]),
                present(4).then(|| TEXTS[at % TEXTS.len()].to_owned()),
                present(5).then(|| BYTES[at % BYTES.len()].to_vec()),
            )
        })
        .collect();
    let columns = [
        Column::Ints(rows.iter().map(|row| row.0).collect()),
        Column::OptInts(rows.iter().map(|row| row.1).collect()),
        Column::OptTexts(rows.iter().map(|row| row.2.as_deref()).collect()),
        Column::OptBytes(rows.iter().map(|row| row.3.as_deref()).collect()),
    ];
    let written = store.write_here(&Scope::all(), |conn| conn.insert(&THING, &columns, &mut |_| Ok(()))).unwrap();
    assert_eq!(written, 60);
    assert_eq!(all(&store), rows);
}

/// Every key finds exactly its row, in whatever place it stands among the keys.
fn keys_of_every_type_are_found(place: &Place) {
    let store = prepared(place);
    let found = |column: &str, keys: Column<'_>| {
        let sql = format!("SELECT k.k1, t.id FROM {{keys}} CROSS JOIN thing AS t WHERE t.{column} = k.k0");
        let mut pairs = Vec::new();
        let columns = [keys.clone(), Column::Ints((0..keys.len() as i64).collect())];
        let each = &mut |row: &signalbox_store::Row<'_>| {
            pairs.push((row.int(0)?, row.int(1)?));
            Ok(())
        };
        store.read_here(&Scope::all(), |conn| conn.lookup(&sql, &columns, each)).unwrap();
        pairs.sort_unstable();
        pairs
    };
    let write = |column: &str, id: i64, value: Value<'_>| {
        let sql = format!("INSERT INTO thing (id, {column}) VALUES ($1, $2)");
        store.write_here(&Scope::all(), |conn| conn.execute(&sql, &[id.into(), value])).unwrap();
    };
    for (at, value) in INTS.iter().enumerate() {
        write("number", at as i64, (*value).into());
    }
    for (at, value) in TEXTS.iter().enumerate() {
        write("text", 100 + at as i64, (*value).into());
    }
    for (at, value) in BYTES.iter().enumerate() {
        write("bytes", 200 + at as i64, (*value).into());
    }
    let pairs = |base: i64, count: usize| (0..count as i64).map(|at| (at, base + at)).collect::<Vec<_>>();
    assert_eq!(found("number", Column::Ints(INTS.to_vec())), pairs(0, INTS.len()));
    assert_eq!(found("text", Column::Texts(TEXTS.to_vec())), pairs(100, TEXTS.len()));
    assert_eq!(found("bytes", Column::Bytes(BYTES.to_vec())), pairs(200, BYTES.len()));
    // A null is equal to nothing, and what is not there is not found.
    assert_eq!(found("number", Column::OptInts(vec![None, Some(2), Some(1)])), [(2, 1)]);
    assert_eq!(found("text", Column::Texts(vec!["Plain", "plain ", "plai"])), []);
}

fn a_conflict_gives_back_what_was_written(place: &Place) {
    let store = prepared(place);
    let insert = |conflict: &'static str, ids: &[i64], number: i64| {
        let statement =
            Insert { columns: &[("id", Type::Int), ("number", Type::Int)], conflict, returning: "id, number", ..THING };
        let columns = [Column::Ints(ids.to_vec()), Column::Ints(vec![number; ids.len()])];
        let mut back = Vec::new();
        let each = &mut |row: &signalbox_store::Row<'_>| {
            back.push((row.int(0)?, row.int(1)?));
            Ok(())
        };
        let written = store.write_here(&Scope::all(), |conn| conn.insert(&statement, &columns, each));
        back.sort_unstable();
        written.map(|written| (written, back))
    };
    assert_eq!(insert("", &[1, 2], 7).unwrap(), (2, vec![(1, 7), (2, 7)]));
    let nothing = "ON CONFLICT (id) DO NOTHING";
    assert_eq!(insert(nothing, &[2, 3], 8).unwrap(), (1, vec![(3, 8)]));
    assert_eq!(insert(nothing, &[1, 2, 3], 8).unwrap(), (0, vec![]));
    let add = "ON CONFLICT (id) DO UPDATE SET number = thing.number + excluded.number";
    assert_eq!(insert(add, &[3, 4], 10).unwrap(), (2, vec![(3, 18), (4, 10)]));
    assert!(matches!(insert("", &[9, 1], 0), Err(StoreError::Sql { .. })));
    let numbers: Vec<_> = all(&store).into_iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(numbers, [(1, Some(7)), (2, Some(7)), (3, Some(18)), (4, Some(10))]);
    // Without RETURNING the count is the same.
    let columns = [Column::Ints(vec![4, 5]), Column::Ints(vec![0, 0])];
    let statement = Insert { columns: &[("id", Type::Int), ("number", Type::Int)], conflict: nothing, ..THING };
    let written = store.write_here(&Scope::all(), |conn| conn.insert(&statement, &columns, &mut |_| Ok(())));
    assert_eq!(written.unwrap(), 1);
}

fn many_rows_go_into_one_statement(place: &Place) {
    const MANY: i64 = 70_000;
    let store = prepared(place);
    let texts: Vec<String> = (0..MANY).map(|id| format!("text {id}")).collect();
    let columns = [
        Column::Ints((0..MANY).collect()),
        Column::Ints((0..MANY).map(|id| id * 3).collect()),
        Column::Texts(texts.iter().map(String::as_str).collect()),
        Column::OptBytes(vec![None; MANY as usize]),
    ];
    store.write_here(&Scope::all(), |conn| conn.insert(&THING, &columns, &mut |_| Ok(()))).unwrap();
    let mut right = 0;
    let each = &mut |row: &signalbox_store::Row<'_>| {
        right += i64::from(row.text(1)? == format!("text {}", row.int(0)?));
        Ok(())
    };
    let sql = "SELECT t.id, t.text FROM {keys} CROSS JOIN thing AS t WHERE t.id = k.k0 AND t.number = k.k1";
    store.read_here(&Scope::all(), |conn| conn.lookup(sql, &columns[..2], each)).unwrap();
    assert_eq!(right, MANY);
}

fn a_column_of_another_type_is_an_error(place: &Place) {
    let store = prepared(place);
    let sql = "INSERT INTO thing (id, text, bytes) VALUES (1, 'x', NULL)";
    store.write_here(&Scope::all(), |conn| conn.execute(sql, &[])).unwrap();
    let shape = |read: fn(&signalbox_store::Row<'_>) -> Result<(), StoreError>| {
        let sql = "SELECT text, number, bytes FROM thing";
        match store.read_here(&Scope::all(), |conn| conn.first(sql, &[], read)) {
            Err(StoreError::Shape { column }) => column,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(shape(|row| row.int(0).map(drop)), 0);
    assert_eq!(shape(|row| row.int(1).map(drop)), 1, "null is no number");
    assert_eq!(shape(|row| row.text(7).map(drop)), 7, "there are not so many columns");
    assert_eq!(shape(|row| row.opt_address(0).map(drop)), 0);
    let rows =
        store.read_here(&Scope::all(), |conn| conn.first("SELECT bytes FROM thing", &[], |row| row.opt_address(0)));
    assert_eq!(rows.unwrap(), Some(None));
}

fn nothing_is_done_for_an_empty_batch(place: &Place) {
    let store = prepared(place);
    let empty = [Column::Ints(vec![]), Column::Ints(vec![]), Column::Texts(vec![]), Column::Bytes(vec![])];
    let written = store.write_here(&Scope::all(), |conn| {
        conn.lookup("SELECT 1 FROM {keys}", &[], &mut |_| panic!("a row out of nothing"))?;
        conn.lookup("SELECT k.k0 FROM {keys}", &empty[..1], &mut |_| panic!("a row out of nothing"))?;
        conn.insert(&THING, &empty, &mut |_| panic!("a row out of nothing"))
    });
    assert_eq!(written.unwrap(), 0);
}
