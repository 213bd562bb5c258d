-- What limits and proxies add to the log: the id under which a platform knows a request, and how many refusals one row
-- stands for.

ALTER TABLE exchange ADD COLUMN producer_request_id TEXT NOT NULL DEFAULT '';
ALTER TABLE exchange ADD COLUMN consumer_request_id TEXT NOT NULL DEFAULT '';
ALTER TABLE request  ADD COLUMN request_id          TEXT NOT NULL DEFAULT '';
ALTER TABLE request  ADD COLUMN count               INTEGER NOT NULL DEFAULT 1;

DROP VIEW exchanges;

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
       e.producer_request_id,
       e.consumer_request_id,
       e.life
FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id;

DROP VIEW requests;

-- count is how many requests the row stands for: 1, or more where many of one client were refused within a minute; such
-- a row tells of the last of them.
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
       request_id,
       count,
       id
FROM request;
