package store

import "os"

// Status is the state of a log.
type Status struct {
	Err     error // see Log.Err
	Waiting int   // rows in memory that are not yet durable
	Lost    int64 // see Log.Lost

	File, WAL int64 // sizes in bytes; 0 if the file does not exist
}

// Status returns the state of the log. It reads the sizes of the files and can block if the disk does not
// respond; other callers are not held up.
func (l *Log) Status() Status {
	l.mu.Lock()
	s := Status{Err: l.errLocked(), Waiting: len(l.batch) + len(l.queue), Lost: l.lost}
	l.mu.Unlock()
	s.File, s.WAL = size(l.file.path), size(l.file.path+"-wal")
	return s
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
