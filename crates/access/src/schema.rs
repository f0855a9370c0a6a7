//! The tables of access.

use signalbox_store::Migration;

/// This feature's migrations.
pub const MIGRATIONS: &[Migration] = &[Migration {
    number: 10,
    name: "access",
    sql: "
CREATE TABLE principal (id {key}, name TEXT NOT NULL UNIQUE, created_at BIGINT NOT NULL);
CREATE TABLE api_token (id {key}, name TEXT NOT NULL, hash {bytes} NOT NULL UNIQUE, scopes TEXT NOT NULL, principals TEXT NOT NULL,
    created_at BIGINT NOT NULL, expires_at BIGINT, revoked_at BIGINT)",
    postgres: "",
    scoped: &[],
}];
