//! Names that outside systems use (campaign keys, contact keys, URLs) and the ids behind them.

use rustc_hash::FxHashMap;
use signalbox_core::id::IdMaker;
use signalbox_core::time::Micros;
use signalbox_store::{Column, Conn, Insert, StoreError, Type};

/// What a name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    Campaign,
    Contact,
    Message,
    /// A destination within the campaign with this id.
    Link {
        campaign: i64,
    },
}

/// A name within its principal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    pub principal: i64,
    pub space: Space,
    pub key: String,
}

const PLAIN: &[(&str, Type)] =
    &[("id", Type::Int), ("principal_id", Type::Int), ("key", Type::Text), ("created_at", Type::Int)];
const OF_CAMPAIGN: &[(&str, Type)] = &[
    ("id", Type::Int),
    ("principal_id", Type::Int),
    ("key", Type::Text),
    ("created_at", Type::Int),
    ("campaign_id", Type::Int),
];

impl Space {
    fn table(self) -> &'static str {
        match self {
            Space::Campaign => "campaign",
            Space::Contact => "contact",
            Space::Message => "message",
            Space::Link { .. } => "link",
        }
    }

    fn campaign(self) -> i64 {
        match self {
            Space::Link { campaign } => campaign,
            _ => 0,
        }
    }
}

/// The ids of `names`, made where there are none yet. One round of statements per table, however many names there are.
pub fn resolve(
    conn: &mut Conn<'_>,
    names: &[Name],
    ids: &IdMaker,
    now: Micros,
) -> Result<FxHashMap<Name, i64>, StoreError> {
    let mut found = FxHashMap::default();
    for table in ["campaign", "contact", "message", "link"] {
        let of_table: Vec<&Name> =
            names.iter().filter(|name| name.space.table() == table && conn.scope().contains(name.principal)).collect();
        if of_table.is_empty() {
            continue;
        }
        find(conn, table, &of_table, &mut found)?;
        let missing: Vec<&Name> = of_table.into_iter().filter(|name| !found.contains_key(*name)).collect();
        if missing.is_empty() {
            continue;
        }
        add(conn, table, &missing, ids, now)?;
        find(conn, table, &missing, &mut found)?;
    }
    Ok(found)
}

fn keys<'n>(names: &[&'n Name], of_link: bool) -> Vec<Column<'n>> {
    let mut keys = vec![
        Column::Ints(names.iter().map(|name| name.principal).collect()),
        Column::Texts(names.iter().map(|name| name.key.as_str()).collect()),
    ];
    if of_link {
        keys.push(Column::Ints(names.iter().map(|name| name.space.campaign()).collect()));
    }
    keys
}

fn find(
    conn: &mut Conn<'_>,
    table: &'static str,
    names: &[&Name],
    found: &mut FxHashMap<Name, i64>,
) -> Result<(), StoreError> {
    let of_link = table == "link";
    let (column, condition) = if of_link { ("t.campaign_id", " AND t.campaign_id = k.k2") } else { ("0", "") };
    let sql = format!(
        "SELECT t.id, t.principal_id, t.key, CAST({column} AS BIGINT) FROM {{keys}} CROSS JOIN {table} AS t
         WHERE t.principal_id = k.k0 AND t.key = k.k1{condition}"
    );
    conn.lookup(&sql, &keys(names, of_link), &mut |row| {
        let space = match table {
            "campaign" => Space::Campaign,
            "contact" => Space::Contact,
            "message" => Space::Message,
            _ => Space::Link { campaign: row.int(3)? },
        };
        found.insert(Name { principal: row.int(1)?, space, key: row.text(2)? }, row.int(0)?);
        Ok(())
    })
}

fn add(
    conn: &mut Conn<'_>,
    table: &'static str,
    names: &[&Name],
    ids: &IdMaker,
    now: Micros,
) -> Result<(), StoreError> {
    let mut columns = vec![
        Column::Ints(names.iter().map(|_| ids.next_at(now)).collect()),
        Column::Ints(names.iter().map(|name| name.principal).collect()),
        Column::Texts(names.iter().map(|name| name.key.as_str()).collect()),
        Column::Ints(names.iter().map(|_| now.0).collect()),
    ];
    let of_link = table == "link";
    if of_link {
        columns.push(Column::Ints(names.iter().map(|name| name.space.campaign()).collect()));
    }
    let insert = Insert {
        table,
        columns: if of_link { OF_CAMPAIGN } else { PLAIN },
        conflict: "ON CONFLICT DO NOTHING",
        returning: "",
    };
    conn.insert(&insert, &columns, &mut |_| Ok(())).map(|_| ())
}
