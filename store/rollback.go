package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
)

// A start that is interrupted can leave a rollback journal: while it creates the log, or while it migrates a backup or
// turns its WAL on. SQLite rolls back whatever journal lies beside a file, and one from before a restore destroys what
// was restored. So the journal must match the file before SQLite sees both.

// rollback is what a journal says about the file for which it was written.
type rollback struct {
	pages  uint32 // of the file before the transaction; 0: the transaction creates the log
	header []byte // of the file before the transaction; nil: the journal does not have the first page
}

// journalMagic is the beginning of a journal that SQLite rolls back.
const journalMagic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"

// hasJournal reports whether there is a rollback journal.
func (l *logFile) hasJournal() bool {
	_, err := os.Stat(l.path + "-journal")
	return err == nil
}

// readJournal returns what the journal says, or nil if there is none that SQLite would roll back. It looks at the records
// up to the first one of another transaction or another header, which are enough to find the first page.
func (l *logFile) readJournal() (*rollback, error) {
	file, err := os.Open(l.path + "-journal")
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, l.explain("its -journal cannot be read", err)
	}
	defer file.Close()
	var head [28]byte
	if _, err := io.ReadFull(file, head[:]); err != nil || string(head[:8]) != journalMagic {
		return nil, nil
	}
	j := &rollback{pages: binary.BigEndian.Uint32(head[16:])}
	sector, page := int64(binary.BigEndian.Uint32(head[20:])), int64(binary.BigEndian.Uint32(head[24:]))
	if page != pageSize {
		return j, nil
	}
	var record [4 + headerSize]byte
	for offset := sector; ; offset += 4 + page + 4 { // number, page, checksum
		if _, err := file.ReadAt(record[:], offset); err != nil {
			return j, nil
		}
		switch binary.BigEndian.Uint32(record[:]) {
		case 0:
			return j, nil
		case 1:
			j.header = record[4:]
			return j, nil
		}
	}
}

// checkJournal returns an error if there is a journal that does not match the file with this header.
func (l *logFile) checkJournal(header []byte) error {
	j, err := l.readJournal()
	switch {
	case j == nil:
		return err
	case j.pages == 0:
		if l.hasRuns() {
			return l.wrongJournal("it is from the first start of another log, and the file has records")
		}
	case len(header) < headerSize:
		return l.wrongJournal("the file is empty")
	case j.header != nil:
		before, now := fingerprint{header: j.header}, fingerprint{header: header}
		if changes := now.counter() - before.counter(); changes > 1 { // the transaction counts as one
			return l.wrongJournal("the file has other changes than those that the -journal would undo")
		}
	}
	return nil
}

// hasRuns reports whether the file has a run if its journal is ignored. The first run is recorded after the log was
// created, without a journal.
func (l *logFile) hasRuns() bool {
	db, err := sql.Open("sqlite3", dsn(l.path, "ro", 0)+"&immutable=1")
	if err != nil {
		return false
	}
	defer db.Close()
	var found bool
	return db.QueryRowContext(context.Background(), "SELECT EXISTS (SELECT 1 FROM run)").Scan(&found) == nil && found
}

// wrongJournal returns the error for a file that lies beside the journal of another file.
func (l *logFile) wrongJournal(why string) error {
	base := filepath.Base(l.path)
	return fileErrorf("audit log %s: its -journal belongs to another state of the log (%s); nothing was changed; "+
		"if %s was restored from a backup, move %s-journal away; otherwise move %s, its -wal, -shm and -journal away and restore a backup",
		l.path, why, base, base, base)
}
