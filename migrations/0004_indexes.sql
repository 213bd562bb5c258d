-- Indexes for whoever reads the log page by page: the last exchanges of a channel or a namespace, those that failed, and
-- requests by all that one may ask of them. Every entry of an index ends with the id, so each of these also has what it
-- finds in the order of time.
--
-- The two on all exchanges are what an exchange pays for it: some 10 % of its processor time for both, up to 20 % on many
-- channels, 7 KB of WAL, most of it for the channel's, and half as much space again. The other two have none of what was
-- delivered, which is nearly everything, and requests that were never matched are not in a hurry.

CREATE INDEX exchange_channel     ON exchange     (namespace, channel);
CREATE INDEX exchange_namespace   ON exchange     (namespace);
CREATE INDEX exchange_outcome     ON exchange     (outcome) WHERE outcome <> 'delivered';
CREATE INDEX exchange_end_outcome ON exchange_end (outcome) WHERE outcome <> 'delivered';

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

DROP VIEW channels;

-- A life that is still open is counted on the spot, among the exchanges of its channel that are younger than it (by their
-- ids, which begin with the time in milliseconds as 12 hexadecimal digits), with a day to spare for a clock that was set back.
CREATE VIEW channels AS
SELECT l.namespace,
       l.channel,
       strftime('%Y-%m-%dT%H:%M:%fZ', l.opened_at / 1000.0, 'unixepoch')                          AS opened_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(l.closed_at, x.closed_at) / 1000.0, 'unixepoch')   AS closed_at,
       coalesce(l.reason, x.reason)                                                               AS reason,
       coalesce(l.exchanges, x.exchanges, (
           SELECT count(*) FROM exchange e
           WHERE e.namespace = l.namespace AND e.channel = l.channel AND e.life = l.id
             AND e.id >= printf('%08x-%04x', (l.opened_at - 86400000) >> 16, (l.opened_at - 86400000) & 65535)
       ))                                                                                         AS exchanges,
       coalesce(l.bytes, x.bytes, (
           SELECT coalesce(sum(coalesce(e.bytes, d.bytes)), 0) FROM exchange e LEFT JOIN exchange_end d ON d.id = e.id
           WHERE e.namespace = l.namespace AND e.channel = l.channel AND e.life = l.id
             AND e.id >= printf('%08x-%04x', (l.opened_at - 86400000) >> 16, (l.opened_at - 86400000) & 65535)
       ))                                                                                         AS bytes,
       l.id
FROM life l LEFT JOIN life_end x ON x.id = l.id;
