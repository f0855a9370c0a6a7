//! User agents: each text is stored once, and read once.

use std::net::IpAddr;

use rustc_hash::{FxHashMap, FxHashSet};
use signalbox_core::id::IdMaker;
use signalbox_core::time::Micros;
use signalbox_events::agent::{Agent, read_agent};
use signalbox_events::judge::{Facts, Reasons, own_reasons};
use signalbox_events::kind::Kind;
use signalbox_store::{Column, Conn, Insert, StoreError, Type};

const MOST_REMEMBERED: usize = 20_000;

/// What is known of user agents by text and by id. Forgets all when it grows too large.
#[derive(Default)]
pub struct Agents {
    ids: FxHashMap<String, i64>,
    read: FxHashMap<i64, (String, Agent)>,
}

impl Agents {
    /// Makes sure that every one of `texts` has an id.
    pub fn learn<'t>(
        &mut self,
        conn: &mut Conn<'_>,
        texts: impl Iterator<Item = &'t str>,
        ids: &IdMaker,
        now: Micros,
    ) -> Result<(), StoreError> {
        if self.ids.len() > MOST_REMEMBERED {
            *self = Self::default();
        }
        let unknown: FxHashSet<&str> = texts.filter(|text| !self.ids.contains_key(*text)).collect();
        let unknown: Vec<&str> = unknown.into_iter().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let insert = Insert {
            table: "user_agent",
            columns: &[("id", Type::Int), ("text", Type::Text)],
            conflict: "ON CONFLICT DO NOTHING",
            returning: "",
        };
        let new_ids = unknown.iter().map(|_| ids.next_at(now)).collect();
        conn.insert(&insert, &[Column::Ints(new_ids), Column::Texts(unknown.clone())], &mut |_| Ok(()))?;
        let sql = "SELECT u.id, u.text FROM {keys} CROSS JOIN user_agent AS u WHERE u.text = k.k0";
        conn.lookup(sql, &[Column::Texts(unknown)], &mut |row| {
            self.remember(row.int(0)?, row.text(1)?);
            Ok(())
        })
    }

    /// Makes sure that every one of these ids is known.
    pub fn learn_ids(&mut self, conn: &mut Conn<'_>, ids: impl Iterator<Item = i64>) -> Result<(), StoreError> {
        let unknown: FxHashSet<i64> = ids.filter(|id| !self.read.contains_key(id)).collect();
        let sql = "SELECT u.id, u.text FROM {keys} CROSS JOIN user_agent AS u WHERE u.id = k.k0";
        conn.lookup(sql, &[Column::Ints(unknown.into_iter().collect())], &mut |row| {
            self.remember(row.int(0)?, row.text(1)?);
            Ok(())
        })
    }

    fn remember(&mut self, id: i64, text: String) {
        let agent = read_agent(&text);
        self.read.insert(id, (text.clone(), agent));
        self.ids.insert(text, id);
    }

    /// The id of a text that was learned.
    pub fn id(&self, text: &str) -> i64 {
        self.ids.get(text).copied().unwrap_or_default()
    }

    /// Client and device of an id that was learned.
    pub fn client(&self, id: i64) -> (&'static str, &'static str) {
        self.read.get(&id).map_or(("Unknown", "other"), |(_, agent)| (agent.client, agent.device))
    }

    /// The signals that an event with this user agent carries by itself.
    pub fn own_reasons(&self, kind: Kind, user_agent: i64, source: Option<IpAddr>, hints: u32) -> Reasons {
        match self.read.get(&user_agent) {
            Some((text, agent)) => own_reasons(&Facts { kind, user_agent: text, agent, source, hints }),
            None => Reasons::NONE,
        }
    }
}
