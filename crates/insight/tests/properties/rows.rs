//! Everything that the projector writes, in a form that does not depend on which ids it gave to names.

use std::collections::{BTreeMap, HashMap};

use proptest::test_runner::TestCaseError;
use signalbox_store::{Conn, Row, Scope, Store, StoreError};

/// Lines per table, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows(BTreeMap<&'static str, Vec<String>>);

/// What the columns of a query are: `n` a name's id, `i` a number, `t` a text, `b` bytes.
const TABLES: [(&str, &str, &str); 12] = [
    (
        "event",
        "itinnnniibtiitttiiii",
        "e.seq, e.id, e.principal_id, e.campaign_id, e.message_id, e.recipient_id, e.link_id, e.kind, e.occurred_at, e.source,
         (SELECT u.text FROM user_agent AS u WHERE u.id = e.user_agent_id), e.received_at, e.hints,
         CAST(e.value_micros AS TEXT), e.currency, e.detail, e.class, e.score, e.reasons, e.rule_version FROM event AS e",
    ),
    (
        "counter",
        "iniiniii",
        "principal_id, campaign_id, hour, kind, link_id, class, total, uniques FROM counter WHERE total <> 0 OR uniques <> 0",
    ),
    (
        "client_counter",
        "iniiitti",
        "principal_id, campaign_id, hour, kind, class, client, device, total FROM client_counter WHERE total <> 0",
    ),
    (
        "counter_day",
        "iniiniii",
        "principal_id, campaign_id, hour, kind, link_id, class, total, uniques FROM counter_day WHERE total <> 0 OR uniques <> 0",
    ),
    (
        "client_counter_day",
        "iniiitti",
        "principal_id, campaign_id, hour, kind, class, client, device, total FROM client_counter_day WHERE total <> 0",
    ),
    (
        "conversion_counter",
        "initii",
        "principal_id, campaign_id, hour, currency, total, value_micros FROM conversion_counter WHERE total <> 0 OR value_micros <> 0",
    ),
    ("first_hit", "iniinnii", "principal_id, campaign_id, kind, class, link_id, recipient_id, seq, hour FROM first_hit"),
    ("message_state", "iniii", "principal_id, message_id, COALESCE(sent_at, -1), COALESCE(delivered_at, -1), COALESCE(first_hit, -1) FROM message_state"),
    (
        "version_counter",
        "tiiii",
        "served, hit, kind, class, CAST(SUM(total) AS BIGINT) FROM version_counter GROUP BY served, hit, kind, class HAVING SUM(total) <> 0",
    ),
    (
        "rendered",
        "ttiiii",
        "served, rendered, hit, kind, class, total FROM version_counter WHERE rendered <> '' AND total <> 0",
    ),
    ("message_rendered", "int", "principal_id, message_id, rendered FROM message_state WHERE rendered IS NOT NULL"),
    ("source_record", "ibii", "principal_id, source, judged, machine FROM source_record WHERE judged <> 0 OR machine <> 0"),
];

fn names(conn: &mut Conn<'_>) -> Result<HashMap<i64, String>, StoreError> {
    let mut names = HashMap::from([(0, "none".to_owned())]);
    for (table, campaign) in [("campaign", "0"), ("contact", "0"), ("message", "0"), ("link", "campaign_id")] {
        let sql = format!("SELECT id, principal_id, CAST({campaign} AS BIGINT), key FROM {table}");
        conn.each(&sql, &[], &mut |row| {
            // Campaigns come first: a link is named within one.
            let within = names.get(&row.int(2)?).cloned().unwrap_or_else(|| row.int(2).unwrap_or_default().to_string());
            names.insert(row.int(0)?, format!("{table} {}/{within}/{}", row.int(1)?, row.text(3)?));
            Ok(())
        })?;
    }
    Ok(names)
}

fn line(row: &Row<'_>, columns: &str, names: &HashMap<i64, String>) -> Result<String, StoreError> {
    let cells = columns.chars().enumerate().map(|(column, kind)| {
        Ok(match kind {
            'n' => names.get(&row.int(column)?).cloned().unwrap_or(row.int(column)?.to_string()),
            'i' => row.int(column)?.to_string(),
            'b' => format!("{:?}", row.opt_address(column)?.map(u128::from_be_bytes)),
            _ => format!("{:?}", row.opt_text(column)?),
        })
    });
    Ok(cells.collect::<Result<Vec<_>, StoreError>>()?.join(" | "))
}

/// Reads all of them at one moment.
pub fn rows(store: &Store) -> Rows {
    let read = |conn: &mut Conn<'_>| {
        let names = names(conn)?;
        let mut all = BTreeMap::new();
        for (table, columns, sql) in TABLES {
            let mut lines = conn.query(&format!("SELECT {sql}"), &[], |row| line(row, columns, &names))?;
            lines.sort_unstable();
            all.insert(table, lines);
        }
        Ok(Rows(all))
    };
    store.read_here(&Scope::all(), read).expect("the tables are read")
}

impl Rows {
    pub fn count(&self, table: &str) -> usize {
        self.0[table].len()
    }

    /// Without these tables.
    pub fn without(mut self, tables: &[&str]) -> Self {
        self.0.retain(|table, _| !tables.contains(table));
        self
    }

    /// Fails with the lines that only one of both has.
    pub fn same_as(&self, expected: &Rows, what: &str) -> Result<(), TestCaseError> {
        let mut told = String::new();
        for (table, lines) in &self.0 {
            let other = &expected.0[table];
            told.extend(other.iter().filter(|line| !lines.contains(line)).map(|line| format!("\n - {table}: {line}")));
            told.extend(lines.iter().filter(|line| !other.contains(line)).map(|line| format!("\n + {table}: {line}")));
        }
        if self == expected { Ok(()) } else { Err(TestCaseError::fail(format!("{what} gives other rows:{told}"))) }
    }
}
