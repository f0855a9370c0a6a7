//! The tables of the audit log. Triggers refuse what an append-only log never needs; whoever drops them is found out
//! by the chain.

use signalbox_store::Migration;

/// This crate's migrations.
pub const MIGRATIONS: &[Migration] = &[Migration {
    number: 5,
    name: "audit",
    sql: "
CREATE TABLE audit_entry (seq {key}, id TEXT NOT NULL, at BIGINT NOT NULL, actor TEXT NOT NULL, actor_name {bytes} NOT NULL,
    address {bytes}, action TEXT NOT NULL, object TEXT NOT NULL, correlation TEXT NOT NULL, payload TEXT NOT NULL,
    previous {bytes} NOT NULL, hash {bytes} NOT NULL);
CREATE INDEX audit_entry_action ON audit_entry (action, seq);
CREATE INDEX audit_entry_actor ON audit_entry (actor, seq);
CREATE INDEX audit_entry_object ON audit_entry (object, seq);
CREATE INDEX audit_entry_at ON audit_entry (at);
CREATE TABLE audit_personal (seq BIGINT NOT NULL, slot BIGINT NOT NULL, salt {bytes} NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (seq, slot)){clustered};
CREATE TABLE audit_head (one {key}, seq BIGINT NOT NULL, hash {bytes});
INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, NULL);
{sqlite}
CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_entry_no_replace BEFORE INSERT ON audit_entry WHEN EXISTS (SELECT 1 FROM audit_entry WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_personal_no_update BEFORE UPDATE ON audit_personal
    BEGIN SELECT RAISE(ABORT, 'personal values of the audit log are erased, never changed'); END;
CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head WHEN NEW.seq < OLD.seq OR NEW.one <> OLD.one
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
{/sqlite}",
    postgres: "
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_personal_no_change BEFORE UPDATE OR TRUNCATE ON audit_personal
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_no_delete BEFORE DELETE OR TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head FOR EACH ROW
    WHEN (NEW.seq < OLD.seq OR NEW.one <> OLD.one) EXECUTE FUNCTION audit_refuse()",
    scoped: &[],
    contract: false,
}];
