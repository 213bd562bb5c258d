-- Several nodes: the name of the node that wrote a log, and logs that are merged from those of several nodes
-- (httpipe audit merge). A server's own rows are as before.

ALTER TABLE run ADD COLUMN node TEXT; -- --node; NULL: the server has no name

-- One row, a random id. Copies of a log have the same id, and no other log has it.
CREATE TABLE identity (
    id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

INSERT INTO identity VALUES (lower(hex(randomblob(16))));

-- The runs of a merged log. A server's own log has no rows here.
--
-- A merged log numbers all runs anew, in the order of their start. It also has new ids for lives and requests: a number that
-- ascends with opened_at or ended_at, << 20 | run.id. So they are in the order of time across nodes, as the ids of
-- exchanges are. See store/mergerows.go.
CREATE TABLE origin (
    run     INTEGER PRIMARY KEY, -- run.id
    log     TEXT    NOT NULL,    -- identity.id of the log that has the run
    log_run INTEGER NOT NULL,    -- run.id in that log
    UNIQUE (log, log_run)
) STRICT;

CREATE TRIGGER identity_update BEFORE UPDATE ON identity BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER identity_delete BEFORE DELETE ON identity BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER identity_insert BEFORE INSERT ON identity BEGIN SELECT RAISE(ABORT, 'audit log is append-only: a log has one identity'); END;

CREATE TRIGGER origin_update BEFORE UPDATE ON origin BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER origin_delete BEFORE DELETE ON origin BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER origin_insert BEFORE INSERT ON origin BEGIN SELECT RAISE(ABORT, 'audit log is append-only: only a merged log has origins'); END;
