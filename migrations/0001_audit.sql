-- The audit log, first version.
--
-- Two kinds of things are kept here: tables, which the program writes, and views, which people read (at the end of
-- this file). Times are whole milliseconds since 1970 in the tables and UTC text in the views.
--
-- A thing that begins and ends (an exchange, a channel's life) has its beginning in one table and its ending in another,
-- because a row is never changed. When both were recorded by the same commit, which is the usual case, the beginning's
-- row carries the ending too and there is no second row. The triggers see to it that there is at most one ending.
--
-- No secondary indexes here, and few later (0004_indexes.sql): one in random order would cost more than everything else
-- together. An exchange's id is a UUID of version 7, so the primary key is also the order in time.

-- A run of the server. Without a row in run_end it is either the current one or it crashed.
CREATE TABLE run (
    id         INTEGER PRIMARY KEY,
    started_at INTEGER NOT NULL,
    version    TEXT    NOT NULL
) STRICT;

CREATE TABLE run_end (
    id         INTEGER PRIMARY KEY,
    stopped_at INTEGER NOT NULL,
    lost       INTEGER NOT NULL -- rows that this run could not record
) STRICT;

-- One life of a channel. id is run.id << 32 | a number counted within the run.
CREATE TABLE life (
    id        INTEGER PRIMARY KEY,
    namespace TEXT    NOT NULL,
    channel   TEXT    NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    reason    TEXT,
    exchanges INTEGER,
    bytes     INTEGER,
    CHECK ((closed_at IS NULL) = (reason IS NULL))
) STRICT;

CREATE TABLE life_end (
    id        INTEGER PRIMARY KEY,
    closed_at INTEGER NOT NULL,
    reason    TEXT    NOT NULL,
    exchanges INTEGER NOT NULL,
    bytes     INTEGER NOT NULL
) STRICT;

CREATE TABLE exchange (
    id               TEXT    PRIMARY KEY,
    life             INTEGER NOT NULL, -- life.id
    namespace        TEXT    NOT NULL,
    channel          TEXT    NOT NULL,
    content_type     TEXT    NOT NULL,
    matched_at       INTEGER NOT NULL,
    producer_wait_ms INTEGER NOT NULL,
    consumer_wait_ms INTEGER NOT NULL,
    producer_addr    TEXT    NOT NULL,
    consumer_addr    TEXT    NOT NULL,
    producer_agent   TEXT    NOT NULL,
    consumer_agent   TEXT    NOT NULL,
    outcome          TEXT,
    bytes            INTEGER,
    ended_at         INTEGER,
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE exchange_end (
    id       TEXT    PRIMARY KEY,
    outcome  TEXT    NOT NULL,
    bytes    INTEGER, -- NULL when nobody knows: the process died
    ended_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A request that was never matched. id is run.id << 32 | a number counted within the run.
CREATE TABLE request (
    id         INTEGER PRIMARY KEY,
    namespace  TEXT    NOT NULL,
    channel    TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    arrived_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    addr       TEXT    NOT NULL,
    agent      TEXT    NOT NULL
) STRICT;

-- What ended before the newest cutoff may be deleted, and nothing else.
CREATE TABLE cutoff (
    ended_before INTEGER PRIMARY KEY,
    recorded_at  INTEGER NOT NULL
) STRICT;

-- Rows are never changed.

CREATE TRIGGER run_update          BEFORE UPDATE ON run          BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER run_end_update      BEFORE UPDATE ON run_end      BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER life_update         BEFORE UPDATE ON life         BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER life_end_update     BEFORE UPDATE ON life_end     BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER exchange_update     BEFORE UPDATE ON exchange     BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER exchange_end_update BEFORE UPDATE ON exchange_end BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER request_update      BEFORE UPDATE ON request      BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER cutoff_update       BEFORE UPDATE ON cutoff       BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;

-- Rows are never replaced. REPLACE deletes the old row without asking the DELETE triggers, so the insert itself is refused;
-- that stops INSERT OR IGNORE and upserts on an existing row as well. An ending needs a beginning that has none yet.

CREATE TRIGGER run_insert BEFORE INSERT ON run
WHEN EXISTS (SELECT 1 FROM run WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: this run is already there'); END;

CREATE TRIGGER run_end_insert BEFORE INSERT ON run_end
WHEN EXISTS (SELECT 1 FROM run_end WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM run WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: no such run, or it has already ended'); END;

CREATE TRIGGER life_insert BEFORE INSERT ON life
WHEN EXISTS (SELECT 1 FROM life WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: this life is already there'); END;

CREATE TRIGGER life_end_insert BEFORE INSERT ON life_end
WHEN EXISTS (SELECT 1 FROM life_end WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM life WHERE id = NEW.id AND closed_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: no such life, or it has already ended'); END;

CREATE TRIGGER exchange_insert BEFORE INSERT ON exchange
WHEN EXISTS (SELECT 1 FROM exchange WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: this exchange is already there'); END;

CREATE TRIGGER exchange_end_insert BEFORE INSERT ON exchange_end
WHEN EXISTS (SELECT 1 FROM exchange_end WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM exchange WHERE id = NEW.id AND ended_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: no such exchange, or it has already ended'); END;

CREATE TRIGGER request_insert BEFORE INSERT ON request
WHEN EXISTS (SELECT 1 FROM request WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: this request is already there'); END;

-- 2440587.5 is 1970-01-01 as a Julian day.
CREATE TRIGGER cutoff_insert BEFORE INSERT ON cutoff
WHEN NEW.ended_before <= (SELECT coalesce(max(ended_before), 0) FROM cutoff)
  OR NEW.ended_before > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
BEGIN SELECT RAISE(ABORT, 'a cutoff must be newer than the newest one and not in the future'); END;

-- Rows are deleted only when they are old enough, and whole: the ending goes with the beginning, never alone.
-- What has not ended has a NULL there, which coalesce turns into a refusal.

CREATE TRIGGER run_delete     BEFORE DELETE ON run     BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER run_end_delete BEFORE DELETE ON run_end BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER cutoff_delete  BEFORE DELETE ON cutoff  BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;

CREATE TRIGGER life_delete BEFORE DELETE ON life
WHEN coalesce(coalesce(OLD.closed_at, (SELECT closed_at FROM life_end WHERE id = OLD.id)) >= (SELECT max(ended_before) FROM cutoff), 1)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: only what ended before the newest cutoff may be deleted'); END;

CREATE TRIGGER life_deleted AFTER DELETE ON life
BEGIN DELETE FROM life_end WHERE id = OLD.id; END;

CREATE TRIGGER life_end_delete BEFORE DELETE ON life_end
WHEN EXISTS (SELECT 1 FROM life WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: an ending is deleted with its life'); END;

CREATE TRIGGER exchange_delete BEFORE DELETE ON exchange
WHEN coalesce(coalesce(OLD.ended_at, (SELECT ended_at FROM exchange_end WHERE id = OLD.id)) >= (SELECT max(ended_before) FROM cutoff), 1)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: only what ended before the newest cutoff may be deleted'); END;

CREATE TRIGGER exchange_deleted AFTER DELETE ON exchange
BEGIN DELETE FROM exchange_end WHERE id = OLD.id; END;

CREATE TRIGGER exchange_end_delete BEFORE DELETE ON exchange_end
WHEN EXISTS (SELECT 1 FROM exchange WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: an ending is deleted with its exchange'); END;

CREATE TRIGGER request_delete BEFORE DELETE ON request
WHEN coalesce(OLD.ended_at >= (SELECT max(ended_before) FROM cutoff), 1)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: only what ended before the newest cutoff may be deleted'); END;

-- What people read.

CREATE VIEW exchanges AS
SELECT e.id,
       e.namespace,
       e.channel,
       coalesce(e.outcome, x.outcome, 'open')                                                    AS outcome,
       coalesce(e.bytes, x.bytes)                                                                AS bytes,
       e.content_type,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.matched_at / 1000.0, 'unixepoch')                        AS matched_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(e.ended_at, x.ended_at) / 1000.0, 'unixepoch')    AS ended_at,
       CASE WHEN x.outcome IS NOT 'interrupted'
            THEN coalesce(e.ended_at, x.ended_at) - e.matched_at END                             AS duration_ms,
       e.producer_wait_ms,
       e.consumer_wait_ms,
       e.producer_addr,
       e.consumer_addr,
       e.producer_agent,
       e.consumer_agent,
       e.life
FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id;

CREATE VIEW requests AS
SELECT namespace,
       channel,
       role,
       outcome,
       strftime('%Y-%m-%dT%H:%M:%fZ', arrived_at / 1000.0, 'unixepoch') AS arrived_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch')   AS ended_at,
       ended_at - arrived_at                                            AS wait_ms,
       addr,
       agent,
       id
FROM request;

-- A life that is still open is counted on the spot, among the exchanges younger than it (by their ids, which begin with
-- the time in milliseconds as 12 hexadecimal digits), with a day to spare for a clock that was set back.
CREATE VIEW channels AS
SELECT l.namespace,
       l.channel,
       strftime('%Y-%m-%dT%H:%M:%fZ', l.opened_at / 1000.0, 'unixepoch')                          AS opened_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(l.closed_at, x.closed_at) / 1000.0, 'unixepoch')   AS closed_at,
       coalesce(l.reason, x.reason)                                                               AS reason,
       coalesce(l.exchanges, x.exchanges, (
           SELECT count(*) FROM exchange e
           WHERE e.life = l.id
             AND e.id >= printf('%08x-%04x', (l.opened_at - 86400000) >> 16, (l.opened_at - 86400000) & 65535)
       ))                                                                                         AS exchanges,
       coalesce(l.bytes, x.bytes, (
           SELECT coalesce(sum(coalesce(e.bytes, d.bytes)), 0) FROM exchange e LEFT JOIN exchange_end d ON d.id = e.id
           WHERE e.life = l.id
             AND e.id >= printf('%08x-%04x', (l.opened_at - 86400000) >> 16, (l.opened_at - 86400000) & 65535)
       ))                                                                                         AS bytes,
       l.id
FROM life l LEFT JOIN life_end x ON x.id = l.id;

-- clean is 1 after an orderly stop, 0 after a crash, and NULL for the newest run until it stops or the next one starts:
-- while it runs nobody can know.
CREATE VIEW runs AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', x.stopped_at / 1000.0, 'unixepoch') AS stopped_at,
       CASE WHEN x.id IS NOT NULL THEN 1
            WHEN r.id < (SELECT max(id) FROM run) THEN 0 END              AS clean,
       r.version,
       x.lost,
       r.id
FROM run r LEFT JOIN run_end x ON x.id = r.id;

CREATE VIEW cutoffs AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ended_before / 1000.0, 'unixepoch') AS ended_before,
       strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at / 1000.0, 'unixepoch')  AS recorded_at
FROM cutoff;
