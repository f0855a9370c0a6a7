//! The tables of access.

use signalbox_store::Migration;

/// This feature's migrations.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 10,
        name: "access",
        sql: "
CREATE TABLE principal (id {key}, name TEXT NOT NULL UNIQUE, created_at BIGINT NOT NULL);
CREATE TABLE api_token (id {key}, name TEXT NOT NULL, hash {bytes} NOT NULL UNIQUE, scopes TEXT NOT NULL, principals TEXT NOT NULL,
    created_at BIGINT NOT NULL, expires_at BIGINT, revoked_at BIGINT)",
        postgres: "",
        scoped: &[],
        contract: false,
    },
    Migration {
        number: 11,
        name: "users",
        // One row of access_turn lets changes of users take turns, so that two of them never remove the last two owners.
        sql: "
CREATE TABLE access_turn (id {key}, taken BIGINT NOT NULL);
INSERT INTO access_turn (id, taken) VALUES (1, 0);
CREATE TABLE user_account (id {key}, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL, principals TEXT NOT NULL,
    password TEXT, created_at BIGINT NOT NULL, signed_in_at BIGINT, disabled_at BIGINT,
    totp {bytes}, totp_pending {bytes}, totp_step BIGINT NOT NULL);
CREATE TABLE recovery_code (user_id BIGINT NOT NULL, hash {bytes} NOT NULL, used_at BIGINT, PRIMARY KEY (user_id, hash));
CREATE TABLE user_session (id {key}, hash {bytes} NOT NULL UNIQUE, user_id BIGINT NOT NULL, method TEXT NOT NULL,
    proved BIGINT NOT NULL, pending BIGINT NOT NULL, created_at BIGINT NOT NULL, seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, address {bytes}, agent TEXT NOT NULL);
CREATE INDEX user_session_user ON user_session (user_id);
CREATE TABLE one_time_link (hash {bytes} NOT NULL PRIMARY KEY, purpose TEXT NOT NULL, user_id BIGINT,
    created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL);
CREATE TABLE sign_in_failure (subject {bytes} NOT NULL PRIMARY KEY, count BIGINT NOT NULL, at BIGINT NOT NULL);
CREATE INDEX sign_in_failure_at ON sign_in_failure (at);
ALTER TABLE api_token ADD COLUMN made_by BIGINT;
ALTER TABLE api_token ADD COLUMN used_at BIGINT",
        postgres: "",
        scoped: &[],
        contract: false,
    },
    Migration {
        number: 12,
        name: "oidc",
        // role: what the provider's claim gave last, so that it can be taken back.
        sql: "
CREATE TABLE oidc_identity (issuer TEXT NOT NULL, subject TEXT NOT NULL, user_id BIGINT NOT NULL, role TEXT,
    created_at BIGINT NOT NULL, PRIMARY KEY (issuer, subject));
CREATE INDEX oidc_identity_user ON oidc_identity (user_id);
CREATE TABLE spent_ticket (hash {bytes} NOT NULL PRIMARY KEY, expires_at BIGINT NOT NULL);
CREATE INDEX spent_ticket_expires ON spent_ticket (expires_at)",
        postgres: "",
        scoped: &[],
        contract: false,
    },
    Migration {
        number: 13,
        name: "passkeys",
        sql: "
CREATE TABLE passkey (id {key}, user_id BIGINT NOT NULL, name TEXT NOT NULL, credential {bytes} NOT NULL UNIQUE,
    public_key {bytes} NOT NULL, counter BIGINT NOT NULL, backed_up BIGINT NOT NULL, transports TEXT NOT NULL,
    created_at BIGINT NOT NULL, used_at BIGINT);
CREATE INDEX passkey_user ON passkey (user_id)",
        postgres: "",
        scoped: &[],
        contract: false,
    },
];
