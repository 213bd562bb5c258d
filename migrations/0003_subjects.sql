-- What access control adds to the log: the name of the token that each side had, and why somebody was refused.

ALTER TABLE exchange ADD COLUMN producer_subject TEXT NOT NULL DEFAULT '';
ALTER TABLE exchange ADD COLUMN consumer_subject TEXT NOT NULL DEFAULT '';
ALTER TABLE request  ADD COLUMN subject          TEXT NOT NULL DEFAULT '';
ALTER TABLE request  ADD COLUMN reason           TEXT NOT NULL DEFAULT '';

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
       e.producer_subject,
       e.consumer_subject,
       e.producer_request_id,
       e.consumer_request_id,
       e.life
FROM exchange e LEFT JOIN exchange_end x ON x.id = e.id;

DROP VIEW requests;

-- reason is the limit that the request met, or its permission and why it has not got it (produce: expired). role is empty
-- for one that would have been neither, which is on record only if it had no permission for what it wanted.
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
       subject,
       reason,
       request_id,
       count,
       id
FROM request;
