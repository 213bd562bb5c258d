-- Indexes for whoever reads the log page by page: the last exchanges of a channel or a namespace, those that failed, and
-- requests by all that one may ask of them. Every entry of an index ends with the id, so each of these also has what it
-- finds in the order of time.
--
-- None of them has what was delivered, which is nearly everything: an index on all exchanges is in another order than
-- they come in, and would cost each of them a tenth of its processor time and 7 KB of WAL. Requests that were never
-- matched are not in a hurry.

CREATE INDEX exchange_outcome     ON exchange     (outcome) WHERE outcome <> 'delivered';
CREATE INDEX exchange_end_outcome ON exchange_end (outcome) WHERE outcome <> 'delivered';

-- Which exchanges a channel had is therefore written down some thousands at a time, once these have been recorded: they
-- make up a block, in which they are sorted by channel. So this index only grows at its end. To find a channel's exchanges
-- one looks into each block, and through the ids behind the last one.
--
-- An exchange is in the first block whose last id is not below its own; if there is none, it is in no block yet. One that
-- comes late, because a clock was set back, is entered into its block by itself.
CREATE TABLE block (
    id   INTEGER PRIMARY KEY,
    last TEXT    NOT NULL UNIQUE -- exchange.id, or what was one
) STRICT;

CREATE TABLE block_entry (
    block     INTEGER NOT NULL, -- block.id
    namespace TEXT    NOT NULL,
    channel   TEXT    NOT NULL,
    exchange  TEXT    NOT NULL, -- exchange.id
    PRIMARY KEY (block, namespace, channel, exchange)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER block_update       BEFORE UPDATE ON block       BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;
CREATE TRIGGER block_entry_update BEFORE UPDATE ON block_entry BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;

CREATE TRIGGER block_insert BEFORE INSERT ON block
WHEN NEW.id <= (SELECT max(id) FROM block) OR NEW.last <= (SELECT max(last) FROM block)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: a block comes behind all others'); END;

-- An entry goes with its exchange, and a block when it is empty. The newest stays: it says where the next one begins.
CREATE TRIGGER block_delete BEFORE DELETE ON block
WHEN EXISTS (SELECT 1 FROM block_entry WHERE block = OLD.id) OR OLD.id = (SELECT max(id) FROM block)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: only an empty block that is not the newest may be deleted'); END;

CREATE TRIGGER block_entry_delete BEFORE DELETE ON block_entry
WHEN EXISTS (SELECT 1 FROM exchange WHERE id = OLD.exchange)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only: an entry is deleted with its exchange'); END;

DROP TRIGGER exchange_deleted;

CREATE TRIGGER exchange_deleted AFTER DELETE ON exchange
BEGIN
    DELETE FROM exchange_end WHERE id = OLD.id;
    DELETE FROM block_entry
    WHERE block = (SELECT id FROM block WHERE last >= OLD.id ORDER BY last LIMIT 1)
      AND namespace = OLD.namespace AND channel = OLD.channel AND exchange = OLD.id;
END;

CREATE INDEX request_channel   ON request (namespace, channel);
CREATE INDEX request_namespace ON request (namespace);
CREATE INDEX request_outcome   ON request (outcome);
CREATE INDEX request_role      ON request (role);

DROP VIEW exchanges;

-- An ending is looked up only for those that have none of their own.
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
       e.producer_subject,
       e.consumer_subject,
       e.producer_request_id,
       e.consumer_request_id,
       e.life
FROM exchange e LEFT JOIN exchange_end x ON x.id = CASE WHEN e.ended_at IS NULL THEN e.id END;

-- The same, for whoever asks by namespace and channel: quick for a channel that has few among many. Of one that has many, the
-- newest are found faster in exchanges.
CREATE VIEW exchanges_by_channel AS
SELECT e.* FROM exchanges e WHERE e.id > coalesce((SELECT max(last) FROM block), '')
UNION ALL
SELECT e.*
FROM block b
CROSS JOIN block_entry x ON x.block = b.id
CROSS JOIN exchanges e ON e.id = x.exchange AND e.namespace = x.namespace AND e.channel = x.channel;
