-- The views of the audit log: what people query. This is their only current definition. They are created anew, in the
-- transaction of the last step, whenever a log is brought up to the newest version (see package migrations), so a new step
-- contains no view. A change here needs a new step, which may be empty but for a comment, or existing logs would not get it.
--
-- The steps up to 0004 contain views too, in their state of that time. They have been released and stay as they are.

DROP VIEW IF EXISTS exchanges_by_channel;
DROP VIEW IF EXISTS exchanges;
DROP VIEW IF EXISTS calls;
DROP VIEW IF EXISTS requests;
DROP VIEW IF EXISTS channels;
DROP VIEW IF EXISTS lives_with_row;
DROP VIEW IF EXISTS lives_in_exchange;
DROP VIEW IF EXISTS runs;
DROP VIEW IF EXISTS cutoffs;
DROP VIEW IF EXISTS deliveries;
DROP VIEW IF EXISTS publications;
DROP VIEW IF EXISTS subscriptions;

-- One row for each exchange. The CASE in the join makes SQLite look up an end only for exchanges whose own row has none. The node,
-- here and below, is that of the run, whose id is part of the id of a life or a request: see 0007_nodes.sql.
CREATE VIEW exchanges AS
SELECT e.id,
       e.namespace,
       e.channel,
       coalesce(e.outcome, x.outcome, 'open')                                                    AS outcome,
       coalesce(e.bytes, x.bytes)                                                                AS bytes,
       CASE e.content_type WHEN '' THEN 'application/octet-stream' ELSE e.content_type END       AS content_type,
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
       e.life,
       CASE WHEN e.method IS NULL AND e.reply_to IS NULL THEN 'channel' ELSE 'service' END       AS shape,
       e.reply_to,
       (SELECT r.node FROM run r WHERE r.id = CASE WHEN EXISTS (SELECT 1 FROM origin WHERE run = 1) THEN e.life & 1048575 ELSE e.life >> 32 END) AS node
FROM exchange e LEFT JOIN exchange_end x ON x.id = CASE WHEN e.ended_at IS NULL THEN e.id END;

-- The same rows, for queries by namespace and channel: fast for a channel that has few of many exchanges. For a channel that
-- has many, the newest are found faster in exchanges.
CREATE VIEW exchanges_by_channel AS
SELECT e.* FROM exchanges e WHERE e.id > coalesce((SELECT max(last) FROM block), '')
UNION ALL
SELECT e.*
FROM block b
CROSS JOIN block_entry x ON x.block = b.id
CROSS JOIN exchanges e ON e.id = x.exchange AND e.namespace = x.namespace AND e.channel = x.channel;

-- One row for each request to a service that a worker took. id is that of the request's exchange.
CREATE VIEW calls AS
SELECT e.id,
       e.namespace,
       e.channel                                                                        AS service,
       e.method,
       coalesce(c.outcome, 'open')                                                      AS outcome,
       c.status,
       strftime('%Y-%m-%dT%H:%M:%fZ', (e.matched_at - e.producer_wait_ms) / 1000.0, 'unixepoch') AS called_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.matched_at / 1000.0, 'unixepoch')               AS taken_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', c.answered_at / 1000.0, 'unixepoch')              AS answered_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', c.ended_at / 1000.0, 'unixepoch')                 AS ended_at,
       e.producer_addr                                                                  AS caller_addr,
       e.consumer_addr                                                                  AS worker_addr,
       (SELECT r.node FROM run r WHERE r.id = CASE WHEN EXISTS (SELECT 1 FROM origin WHERE run = 1) THEN e.life & 1048575 ELSE e.life >> 32 END) AS node
FROM exchange e LEFT JOIN call c ON c.id = e.id
WHERE e.method IS NOT NULL;

-- One row for each request that was never matched. count is the number of requests that the row stands for: more than 1 if many
-- requests of one client were refused within a minute; the row then has the times of the last, and a column is empty where they
-- differed. reason is the option whose limit the request exceeded, or the permission that it lacked and why (produce: expired).
-- role is empty for a request in neither role, which is recorded only if it lacked a permission. shape says of what kind the thing
-- is whose name is in channel: a channel, a topic or a service.
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
       id,
       shape,
       (SELECT r.node FROM run r WHERE r.id = CASE WHEN EXISTS (SELECT 1 FROM origin WHERE run = 1) THEN request.id & 1048575 ELSE request.id >> 32 END) AS node
FROM request;

-- One row for each life of a channel that has a row of its own. While it is open, its exchanges are counted by the query, among those
-- younger than the life (an id begins with the time in milliseconds as 12 hexadecimal digits), with a margin of one day for a clock
-- that was set back.
CREATE VIEW lives_with_row AS
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
       l.id,
       (SELECT r.node FROM run r WHERE r.id = CASE WHEN EXISTS (SELECT 1 FROM origin WHERE run = 1) THEN l.id & 1048575 ELSE l.id >> 32 END) AS node
FROM life l LEFT JOIN life_end x ON x.id = l.id;

-- One row for each life of a channel that is recorded with its only exchange: see 0008_shorter_rows.sql.
CREATE VIEW lives_in_exchange AS
SELECT e.namespace,
       e.channel,
       strftime('%Y-%m-%dT%H:%M:%fZ', (e.matched_at - e.opened_before_ms) / 1000.0, 'unixepoch') AS opened_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.ended_at / 1000.0, 'unixepoch')                           AS closed_at,
       'idle'                                                                                     AS reason,
       1                                                                                          AS exchanges,
       e.bytes,
       e.life                                                                                     AS id,
       (SELECT r.node FROM run r WHERE r.id = CASE WHEN EXISTS (SELECT 1 FROM origin WHERE run = 1) THEN e.life & 1048575 ELSE e.life >> 32 END) AS node,
       e.id                                                                                       AS exchange
FROM exchange e
WHERE e.opened_before_ms IS NOT NULL;

-- One row for each life of a channel.
CREATE VIEW channels AS
SELECT namespace, channel, opened_at, closed_at, reason, exchanges, bytes, id, node FROM lives_with_row
UNION ALL
SELECT namespace, channel, opened_at, closed_at, reason, exchanges, bytes, id, node FROM lives_in_exchange;

-- One row for each run of the server. clean is 1 after a clean stop and 0 after a crash. It is NULL for the newest run (in a merged
-- log: of each node) until that stops or the next one starts, since nothing in the file tells a running server from a crashed one.
CREATE VIEW runs AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', x.stopped_at / 1000.0, 'unixepoch') AS stopped_at,
       CASE WHEN x.id IS NOT NULL THEN 1
            WHEN r.id < coalesce((SELECT max(n.run) FROM origin o JOIN origin n ON n.log = o.log WHERE o.run = r.id),
                                 (SELECT max(id) FROM run)) THEN 0 END    AS clean,
       r.version,
       x.lost,
       r.id,
       r.node
FROM run r LEFT JOIN run_end x ON x.id = r.id;

-- One row for each removal of old rows (--audit-retention).
CREATE VIEW cutoffs AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ended_before / 1000.0, 'unixepoch') AS ended_before,
       strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at / 1000.0, 'unixepoch')  AS recorded_at
FROM cutoff;

-- One row for each message that a topic accepted. delivered is how many of the subscribers took all of it.
CREATE VIEW publications AS
SELECT p.id,
       p.namespace,
       p.topic,
       coalesce(p.outcome, x.outcome, 'open')                                                    AS outcome,
       p.bytes,
       p.content_type,
       strftime('%Y-%m-%dT%H:%M:%fZ', p.published_at / 1000.0, 'unixepoch')                      AS published_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(p.ended_at, x.ended_at) / 1000.0, 'unixepoch')    AS ended_at,
       p.subscribers,
       coalesce(p.delivered, x.delivered)                                                        AS delivered,
       p.addr       AS producer_addr,
       p.agent      AS producer_agent,
       p.subject    AS producer_subject,
       p.request_id AS producer_request_id,
       (SELECT r.node FROM run r WHERE r.id = p.run)                                             AS node
FROM publication p LEFT JOIN publication_end x ON x.id = CASE WHEN p.ended_at IS NULL THEN p.id END;

-- One row for each subscription. first and last are the ids of the publications that it took first and last.
CREATE VIEW subscriptions AS
SELECT s.id,
       s.namespace,
       s.topic,
       strftime('%Y-%m-%dT%H:%M:%fZ', s.subscribed_at / 1000.0, 'unixepoch')                     AS subscribed_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(s.ended_at, x.ended_at) / 1000.0, 'unixepoch')    AS ended_at,
       coalesce(s.outcome, x.outcome, 'open')                                                    AS outcome,
       coalesce(s.messages, x.messages)                                                          AS messages,
       coalesce(s.bytes, x.bytes)                                                                AS bytes,
       coalesce(s.first, x.first)                                                                AS first,
       coalesce(s.last, x.last)                                                                  AS last,
       s.addr,
       s.agent,
       s.subject,
       s.request_id,
       (SELECT r.node FROM run r WHERE r.id = s.run)                                             AS node
FROM subscription s LEFT JOIN subscription_end x ON x.id = CASE WHEN s.ended_at IS NULL THEN s.id END;

-- One row for each message that a subscription took whole. A subscription has no gap: it took what its topic sent from its first
-- publication to its last. What was withheld, because there was no record of it, has 0 in delivered. A subscription that is
-- still open, or was interrupted, has no rows.
CREATE VIEW deliveries AS
SELECT p.id AS publication,
       s.id AS subscription
FROM subscriptions s
JOIN publications p ON p.namespace = s.namespace AND p.topic = s.topic AND p.id BETWEEN s.first AND s.last
WHERE p.delivered IS NOT 0;
