//! The tables of events and of everything derived from them. Ids are unique across principals, so the indexes of
//! `event` need not begin with one; the scope's condition is checked on the few rows that they find.

use signalbox_store::Migration;

/// This feature's migrations.
pub const MIGRATIONS: &[Migration] = &[Migration {
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
}];
