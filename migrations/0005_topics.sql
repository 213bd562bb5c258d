-- Topics: what was published, and who was subscribed.
--
-- As with exchanges, what begins and ends has its beginning in one table and its end in another, and the beginning's row
-- carries the end too if both were recorded by the same commit. All ids are UUIDs of version 7, made under one lock: those of
-- a topic's publications ascend in the order in which it sent them, and the id of a subscription lies between those of
-- the publications before and after its arrival.
--
-- A subscription has no gap, so its first and its last publication say which ones it took. There is no row for a delivery.

CREATE TABLE publication (
    id           TEXT    PRIMARY KEY,
    run          INTEGER NOT NULL, -- run.id
    namespace    TEXT    NOT NULL,
    topic        TEXT    NOT NULL,
    bytes        INTEGER NOT NULL,
    content_type TEXT    NOT NULL,
    published_at INTEGER NOT NULL,
    subscribers  INTEGER NOT NULL,
    addr         TEXT    NOT NULL,
    agent        TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    request_id   TEXT    NOT NULL,
    outcome      TEXT,
    delivered    INTEGER,
    ended_at     INTEGER,
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE publication_end (
    id        TEXT    PRIMARY KEY,
    outcome   TEXT    NOT NULL,
    delivered INTEGER, -- NULL if nobody knows: the process died
    ended_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription (
    id            TEXT    PRIMARY KEY,
    run           INTEGER NOT NULL, -- run.id
    namespace     TEXT    NOT NULL,
    topic         TEXT    NOT NULL,
    subscribed_at INTEGER NOT NULL,
    addr          TEXT    NOT NULL,
    agent         TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    request_id    TEXT    NOT NULL,
    outcome       TEXT,
    messages      INTEGER,
    bytes         INTEGER,
    first         TEXT, -- publication.id; NULL if there was none
    last          TEXT,
    ended_at      INTEGER,
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription_end (
    id       TEXT    PRIMARY KEY,
    outcome  TEXT    NOT NULL,
    messages INTEGER, -- this and the next three are NULL if nobody knows: the process died
    bytes    INTEGER,
    first    TEXT,
    last     TEXT,
    ended_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- There are few topics for many rows, so these indexes grow in few places. The first one also counts what a subscriber that
-- comes back has missed.
CREATE INDEX publication_topic  ON publication  (namespace, topic);
CREATE INDEX subscription_topic ON subscription (namespace, topic);

ALTER TABLE request ADD COLUMN shape TEXT NOT NULL DEFAULT 'channel';

CREATE TRIGGER publication_update      BEFORE UPDATE ON publication      BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER publication_end_update  BEFORE UPDATE ON publication_end  BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER subscription_update     BEFORE UPDATE ON subscription     BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER subscription_end_update BEFORE UPDATE ON subscription_end BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;

CREATE TRIGGER publication_insert BEFORE INSERT ON publication
WHEN EXISTS (SELECT 1 FROM publication WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: this publication is already there'); END;

CREATE TRIGGER publication_end_insert BEFORE INSERT ON publication_end
WHEN EXISTS (SELECT 1 FROM publication_end WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM publication WHERE id = NEW.id AND ended_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: no such publication, or it has already ended'); END;

CREATE TRIGGER subscription_insert BEFORE INSERT ON subscription
WHEN EXISTS (SELECT 1 FROM subscription WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: this subscription is already there'); END;

CREATE TRIGGER subscription_end_insert BEFORE INSERT ON subscription_end
WHEN EXISTS (SELECT 1 FROM subscription_end WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM subscription WHERE id = NEW.id AND ended_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: no such subscription, or it has already ended'); END;

CREATE TRIGGER publication_delete BEFORE DELETE ON publication
WHEN coalesce(coalesce(OLD.ended_at, (SELECT ended_at FROM publication_end WHERE id = OLD.id)) >= (SELECT max(ended_before) FROM cutoff), 1)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: only what ended before the newest cutoff may be deleted'); END;

CREATE TRIGGER publication_deleted AFTER DELETE ON publication
BEGIN DELETE FROM publication_end WHERE id = OLD.id; END;

CREATE TRIGGER publication_end_delete BEFORE DELETE ON publication_end
WHEN EXISTS (SELECT 1 FROM publication WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: an ending is deleted with its publication'); END;

CREATE TRIGGER subscription_delete BEFORE DELETE ON subscription
WHEN coalesce(coalesce(OLD.ended_at, (SELECT ended_at FROM subscription_end WHERE id = OLD.id)) >= (SELECT max(ended_before) FROM cutoff), 1)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: only what ended before the newest cutoff may be deleted'); END;

CREATE TRIGGER subscription_deleted AFTER DELETE ON subscription
BEGIN DELETE FROM subscription_end WHERE id = OLD.id; END;

CREATE TRIGGER subscription_end_delete BEFORE DELETE ON subscription_end
WHEN EXISTS (SELECT 1 FROM subscription WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: an ending is deleted with its subscription'); END;
