//! The tables of events and of everything derived from them. Ids are unique across principals, so the indexes of
//! `event` need not begin with one; the scope's condition is checked on the few rows that they find.

use signalbox_store::Migration;

/// This feature's migrations.
pub const MIGRATIONS: &[Migration] = &[EVENTS, STRETCHES, DAYS, VERSIONS];

const EVENTS: Migration = Migration {
    number: 20,
    name: "events",
    sql: "
CREATE TABLE campaign (id {key}, principal_id BIGINT NOT NULL, key TEXT NOT NULL, created_at BIGINT NOT NULL, UNIQUE (principal_id, key));
CREATE TABLE contact (id {key}, principal_id BIGINT NOT NULL, key TEXT NOT NULL, created_at BIGINT NOT NULL, UNIQUE (principal_id, key));
CREATE TABLE message (id {key}, principal_id BIGINT NOT NULL, key TEXT NOT NULL, created_at BIGINT NOT NULL, UNIQUE (principal_id, key));
CREATE TABLE link (id {key}, principal_id BIGINT NOT NULL, campaign_id BIGINT NOT NULL, key TEXT NOT NULL, created_at BIGINT NOT NULL,
    UNIQUE (principal_id, campaign_id, key));
CREATE TABLE user_agent (id {key}, text TEXT NOT NULL UNIQUE);

CREATE TABLE event (
    seq {key}, id TEXT NOT NULL, principal_id BIGINT NOT NULL, campaign_id BIGINT NOT NULL, message_id BIGINT NOT NULL,
    recipient_id BIGINT NOT NULL, link_id BIGINT NOT NULL, kind BIGINT NOT NULL, occurred_at BIGINT NOT NULL, received_at BIGINT NOT NULL,
    source {bytes}, user_agent_id BIGINT NOT NULL, request_id TEXT NOT NULL, version TEXT NOT NULL, hints BIGINT NOT NULL,
    value_micros BIGINT, currency TEXT, detail TEXT,
    class BIGINT NOT NULL, score BIGINT NOT NULL, reasons BIGINT NOT NULL, rule_version BIGINT NOT NULL);
CREATE UNIQUE INDEX event_id ON event (principal_id, id);
CREATE INDEX event_recipient ON event (recipient_id, occurred_at) WHERE recipient_id <> 0;
CREATE INDEX event_message ON event (message_id, occurred_at) WHERE message_id <> 0;
CREATE INDEX event_campaign ON event (campaign_id, seq);

CREATE TABLE message_state (principal_id BIGINT NOT NULL, message_id BIGINT NOT NULL, sent_at BIGINT, delivered_at BIGINT,
    PRIMARY KEY (principal_id, message_id)){clustered};
CREATE TABLE source_record (principal_id BIGINT NOT NULL, source {bytes} NOT NULL, judged BIGINT NOT NULL, machine BIGINT NOT NULL,
    PRIMARY KEY (principal_id, source)){clustered};
CREATE TABLE first_hit (principal_id BIGINT NOT NULL, campaign_id BIGINT NOT NULL, kind BIGINT NOT NULL, class BIGINT NOT NULL,
    link_id BIGINT NOT NULL, recipient_id BIGINT NOT NULL, seq BIGINT NOT NULL, hour BIGINT NOT NULL,
    PRIMARY KEY (principal_id, campaign_id, kind, class, link_id, recipient_id)){clustered};
CREATE TABLE counter (principal_id BIGINT NOT NULL, campaign_id BIGINT NOT NULL, hour BIGINT NOT NULL, link_id BIGINT NOT NULL,
    kind BIGINT NOT NULL, class BIGINT NOT NULL, total BIGINT NOT NULL, uniques BIGINT NOT NULL,
    PRIMARY KEY (principal_id, campaign_id, hour, link_id, kind, class)){clustered};
CREATE INDEX counter_hour ON counter (principal_id, hour);
CREATE TABLE client_counter (principal_id BIGINT NOT NULL, campaign_id BIGINT NOT NULL, hour BIGINT NOT NULL, kind BIGINT NOT NULL,
    class BIGINT NOT NULL, client TEXT NOT NULL, device TEXT NOT NULL, total BIGINT NOT NULL,
    PRIMARY KEY (principal_id, campaign_id, hour, kind, class, client, device)){clustered};
CREATE TABLE conversion_counter (principal_id BIGINT NOT NULL, campaign_id BIGINT NOT NULL, hour BIGINT NOT NULL, currency TEXT NOT NULL,
    total BIGINT NOT NULL, value_micros BIGINT NOT NULL,
    PRIMARY KEY (principal_id, campaign_id, hour, currency)){clustered};

CREATE TABLE projection (name TEXT NOT NULL PRIMARY KEY, seq BIGINT NOT NULL, generation BIGINT NOT NULL, rule_version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL);
INSERT INTO projection (name, seq, generation, rule_version, updated_at) VALUES ('events', 0, 0, 0, 0)",
    postgres: "",
    scoped: &[
        "campaign", "contact", "message", "link", "event", "message_state", "source_record", "first_hit", "counter", "client_counter",
        "conversion_counter",
    ],
    contract: false,
};

/// Indexes over all of the history had a page of their own for nearly every new event.
const STRETCHES: Migration = Migration {
    number: 21,
    name: "events by stretch",
    sql: "
DROP INDEX event_recipient;
DROP INDEX event_message;
CREATE INDEX event_recipient ON event ((seq >> 17), recipient_id) WHERE recipient_id <> 0;
CREATE INDEX event_message ON event ((seq >> 17), message_id) WHERE message_id <> 0;
ALTER TABLE message_state ADD COLUMN first_hit BIGINT;
INSERT INTO message_state (principal_id, message_id, first_hit)
    SELECT e.principal_id, e.message_id, MIN(e.seq) FROM event AS e WHERE e.message_id <> 0 AND e.kind IN (8, 9) GROUP BY 1, 2
    ON CONFLICT (principal_id, message_id) DO UPDATE SET first_hit = excluded.first_hit",
    postgres: "",
    scoped: &[],
    contract: false,
};

/// The same counters once more, a row for each day (UTC) instead of each hour; `hour` is the day's first.
const DAYS: Migration = Migration {
    number: 22,
    name: "counters by day",
    sql: "
CREATE TABLE counter_day (principal_id BIGINT NOT NULL, campaign_id BIGINT NOT NULL, hour BIGINT NOT NULL, link_id BIGINT NOT NULL,
    kind BIGINT NOT NULL, class BIGINT NOT NULL, total BIGINT NOT NULL, uniques BIGINT NOT NULL,
    PRIMARY KEY (principal_id, campaign_id, hour, link_id, kind, class)){clustered};
CREATE INDEX counter_day_hour ON counter_day (principal_id, hour);
CREATE TABLE client_counter_day (principal_id BIGINT NOT NULL, campaign_id BIGINT NOT NULL, hour BIGINT NOT NULL, kind BIGINT NOT NULL,
    class BIGINT NOT NULL, client TEXT NOT NULL, device TEXT NOT NULL, total BIGINT NOT NULL,
    PRIMARY KEY (principal_id, campaign_id, hour, kind, class, client, device)){clustered};
INSERT INTO counter_day (principal_id, campaign_id, hour, link_id, kind, class, total, uniques)
    SELECT c.principal_id, c.campaign_id, c.hour - ((c.hour % 86400000000) + 86400000000) % 86400000000, c.link_id, c.kind, c.class,
        SUM(c.total), SUM(c.uniques) FROM counter AS c GROUP BY 1, 2, 3, 4, 5, 6;
INSERT INTO client_counter_day (principal_id, campaign_id, hour, kind, class, client, device, total)
    SELECT c.principal_id, c.campaign_id, c.hour - ((c.hour % 86400000000) + 86400000000) % 86400000000, c.kind, c.class, c.client,
        c.device, SUM(c.total) FROM client_counter AS c GROUP BY 1, 2, 3, 4, 5, 6, 7",
    postgres: "",
    scoped: &["counter_day", "client_counter_day"],
    contract: false,
};

/// Who rendered a message, and counters by version for the whole installation: no principal, no person. Hits that whoever
/// leads a release makes to try a version are kept apart from events.
const VERSIONS: Migration = Migration {
    number: 31,
    name: "counters by version",
    sql: "
ALTER TABLE event ADD COLUMN rendered TEXT;
ALTER TABLE message_state ADD COLUMN rendered TEXT;
CREATE TABLE version_counter (served TEXT NOT NULL, rendered TEXT NOT NULL, hit BIGINT NOT NULL, kind BIGINT NOT NULL, class BIGINT NOT NULL,
    total BIGINT NOT NULL, PRIMARY KEY (served, rendered, hit, kind, class)){clustered};
INSERT INTO version_counter (served, rendered, hit, kind, class, total)
    SELECT e.version, '', CASE WHEN e.kind IN (8, 9) AND (e.hints & 16) = 0 THEN 1 ELSE 0 END, e.kind, e.class, COUNT(*)
        FROM event AS e GROUP BY 1, 2, 3, 4, 5;
CREATE TABLE synthetic_event (seq {key}, id TEXT NOT NULL UNIQUE, message_id BIGINT NOT NULL, kind BIGINT NOT NULL, version TEXT NOT NULL,
    at BIGINT NOT NULL);
CREATE INDEX synthetic_event_message ON synthetic_event (message_id)",
    postgres: "",
    scoped: &[],
    contract: false,
};
