-- Services. The request that a worker takes is an exchange with a method, from the caller to the worker. Its answer is an
-- exchange with reply_to, from the worker to the caller. Both columns are NULL in any other exchange.

ALTER TABLE exchange ADD COLUMN method   TEXT;
ALTER TABLE exchange ADD COLUMN reply_to TEXT; -- exchange.id of the request

-- The end of a call: of a request and its answer. A call begins with its request, and may end long after it.
CREATE TABLE call (
    id          TEXT    PRIMARY KEY, -- exchange.id of the request
    outcome     TEXT    NOT NULL,
    status      INTEGER,             -- of the answer; NULL if none began
    answered_at INTEGER,             -- when the answer began; NULL if none did
    ended_at    INTEGER NOT NULL,
    CHECK ((status IS NULL) = (answered_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX exchange_call ON exchange (id) WHERE method IS NOT NULL;

CREATE TRIGGER call_update BEFORE UPDATE ON call BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;

CREATE TRIGGER call_insert BEFORE INSERT ON call
WHEN EXISTS (SELECT 1 FROM call WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM exchange WHERE id = NEW.id AND method IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: no such call, or it has already ended'); END;

-- The request of a call is kept as long as the end of the call.
DROP TRIGGER exchange_delete;

CREATE TRIGGER exchange_delete BEFORE DELETE ON exchange
WHEN coalesce(
    CASE WHEN OLD.method IS NULL THEN coalesce(OLD.ended_at, (SELECT ended_at FROM exchange_end WHERE id = OLD.id))
         ELSE (SELECT ended_at FROM call WHERE id = OLD.id) END >= (SELECT max(ended_before) FROM cutoff), 1)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: only what ended before the newest cutoff may be deleted'); END;

CREATE TRIGGER call_delete BEFORE DELETE ON call
WHEN EXISTS (SELECT 1 FROM exchange WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: the end of a call is deleted with its request'); END;

CREATE TRIGGER call_deleted AFTER DELETE ON exchange
WHEN OLD.method IS NOT NULL
BEGIN DELETE FROM call WHERE id = OLD.id; END;
