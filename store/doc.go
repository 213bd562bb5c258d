// Package store is the audit log: one SQLite file with the runs of the server, the lives of channels, every exchange
// and how it ended, the calls of services, the publications and subscriptions of topics, and the requests that were
// never matched. A producer or a publisher gets its 200 only after the row of its exchange or publication is on disk.
//
// # What the log promises
//
//   - A row whose [Commit] has returned nil is durable, in a file that is still at its path.
//   - A row has the outcome that the client received. An exchange whose Commit failed is not recorded as delivered, with the exception
//     below.
//   - Rows are in the order in which they were handed in; a row with a beginning and an ending has the place of the beginning. None
//     is changed; none is deleted unless a retention is configured, and then the table cutoff says so.
//   - Everything that begins ends once. What a crash left open ends as Interrupted at the next start.
//
// The schema enforces the last two against any program that opens the file; see package migrations.
//
// # From an event to the disk
//
//	ExchangeEnded, or any other recording method
//	  │   any goroutine; never waits for the disk
//	  ▼
//	queue in memory (queue.go)
//	  │   the writer, a single goroutine, takes the queue as a batch (writer.go) when a caller waits for one of the
//	  │   rows, or 50 ms after the oldest was handed in
//	  ▼
//	BEGIN IMMEDIATE, then take the rows, INSERT, check the files, COMMIT with fsync
//	  │   one transaction per batch: all rows that arrive during one fsync share the next;
//	  │   SQLite calls fsync, because session.go sets synchronous=FULL
//	  ▼
//	check the files again (tampering.go)
//	  │
//	  ▼
//	settle: Commit.Then calls back, Commit.Wait returns (outage.go)
//
// A beginning that no caller waits for stays in the queue for up to 50 ms if its ending has not come yet. An ending that comes
// before the writer has taken the beginning joins its row (record.go). So a small exchange is one row, which also records the life
// of a channel that had no other (isWholeInExchange). It shares a commit with all that ended at the same time. A crash loses
// the rows in the queue; none of them is behind a 200.
//
// # Sessions and outages
//
// A session (session.go) is the writer's connection to the database, and a second one for a goroutine that
// runs checkpoints (checkpoint.go). If a transaction fails (the disk is full, another process holds the lock, the file was
// deleted), or a row is not on disk after 5 s, an outage begins: [Log.Err] returns the reason, and every
// pending Commit fails at once. The rows stay in memory; beyond a limit, further rows are lost and counted. The
// writer tries again with a new session until all rows in memory are on disk.
//
// A COMMIT that failed may have taken effect. So during an outage the writer looks up each row before it
// inserts it. After a failed fsync, data may be missing on disk that still can be read. So after an I/O
// error, and at each start, the WAL is written again before anything depends on it. After an I/O error all of it
// is also copied into the file again (wal.go).
//
// An ending whose Commit has failed is written with its OutcomeIfFailed ("unrecorded" for "delivered"),
// because its producer received an error. Log.mu guards both decisions, so they agree. The exception is a COMMIT that takes
// effect although its rows fail: they time out while it runs, or it reports an error, or the check after it finds that a file was
// deleted. The row may then say "delivered". All bytes had been sent in that case too, and a producer without a 200 cannot assume
// the contrary.
//
// A row that the database rejects because of its content is a bug, here or in the caller. It is logged,
// counted as lost and left out, and the transaction continues.
//
// # The file
//
// From Open to Close the file is locked against other servers (lock_unix.go), but not against readers:
// sqlite3 can query it at any time. The file is never created again while the server runs. If it is deleted
// or renamed, the outage lasts until the same file is back. If another program truncates or overwrites it,
// nothing more is written to it, and the outage lasts until a restart. Open refuses a file that lies beside
// the WAL of another state of the log, such as a backup that was restored without removing the WAL.
//
// # Reading
//
// A [History] answers queries, in the server or in another process. The planner (plan.go) chooses the index
// with the fewest ids for a filter, and a scan (scan.go) visits these ids from the newest to the oldest in
// steps of a few milliseconds, so that it delays neither the writer nor checkpoints. After about 50 ms a
// page ends, even if it is not full: a filter without an index is answered in parts. An index by channel on
// each insert would be expensive, so it is built later, in blocks of exchanges (blocks.go).
//
// A log of an older version is read as if it had been migrated (older.go). A [Summary] counts the exchanges that match a
// filter (summary.go), and beside them requests and publications (side_count.go).
//
// [Check] and [Backup] examine and copy the log of a running server from another process. Like
// [OpenHistory] they change nothing, and need no permission to write; see reader.chooseDSN. [Merge] writes the logs of several
// nodes into one, for reading (merge.go opens and checks the logs, mergerows.go copies their rows).
//
// # Size
//
// All of this is one package because its parts share the file's rules: which descriptor may be closed and
// when, which connection may write, and what to check before content is trusted. The reading half
// (history.go, page.go, scan.go, lives.go, plan.go, kind.go, filter.go, summary.go, side_count.go, older.go) meets the writing
// half in History.with and Log.runningIDs only.
package store
