// Package store is the audit log: one SQLite file that says what every run of the server did, and in particular how every
// exchange ended. A producer's 200 is sent only after its exchange's row is on disk; this package is what it waits for.
//
// # The way of a row
//
//	ExchangeEnded ──▶ queue ──▶ batch ──▶ BEGIN … COMMIT (fsync) ──▶ still our file? ──▶ Commit.Wait returns nil
//	 any goroutine    mutex     one goroutine, the writer
//
// The five methods that hand in a row append it to a queue in memory and return. The writer takes the whole queue and
// commits it as one transaction, so that all who came while the last fsync ran share the next one, and nobody is ever made
// to linger. Rows are written in the order in which they were handed in; a beginning and its ending that meet in a batch
// become one row.
//
// # When the log cannot be written
//
// A transaction that fails (disk full, read-only, locked by another process, file deleted) begins an outage. Err says why.
// Every row that was waiting is told so at once, and stays in memory for later: up to a bound, beyond which rows are lost and
// counted. The writer closes its connection and tries again by itself, until all that is kept is on disk. A failed COMMIT
// may have worked nevertheless, so during an outage the writer looks for each row before it inserts it. What an fsync has
// failed to write may be gone from the disk though everybody still reads it; so after an I/O error, and at each start, the
// WAL is written once more before anything depends on it.
//
// An ending whose Commit has failed is written with its End.OutcomeIfFailed (`unrecorded` for `delivered`): the producer was
// told that there is no record, and the row must not contradict that. Whether the Commit has failed and what the row says are
// decided together under Log.mu. Only a COMMIT that was already running when its rows were given up can still write
// `delivered`; the bytes had all been sent in that case too, and a producer without a 200 knows nothing.
//
// A row that the database refuses for its content is a bug, here or in the caller: it is logged, counted and left out,
// and the rest of its transaction goes on.
//
// # The file
//
// The schema and its rules (append-only, one ending for each thing) are in package migrations. From Open to Close the file is
// locked against other servers, not against readers: sqlite3 may look at any time. The file is never recreated: a log that is
// deleted under a running server is an outage until the very file is back. One that another program has truncated or overwritten is an
// outage until a restart, and nothing more is written to it; see same and end. Open refuses a file that lies beside the WAL of another
// state of the log, as a backup does that was put back without removing the WAL; see ownWAL and ownRuns.
//
// Open closes the books of a run that crashed: what it left open has ended as `interrupted`. Old rows are removed
// only if Config.Retention says so, and a row in cutoff says what was removed.
//
// # Reading
//
// A History answers what people ask of exchanges, requests and lives of channels, in the server and beside it. It goes through
// the ids from the newest to the oldest by whichever index has the fewest for a filter, in steps of a few milliseconds each, and
// stops after some of them: a filter that no index serves is answered in parts.
//
// Backup and Check are for another process than the server's: they look at its log, copy it and examine it while it works, and
// change nothing. Neither they nor a History of that process need to be able to write anything; see how.
package store
