package store

import "os"

// A Status is how a log is doing.
type Status struct {
	Err     error // as Log.Err returns it
	Waiting int   // rows that are in memory and not yet on disk
	Lost    int64 // as Log.Lost returns it

	File, WAL int64 // bytes of the file and of its WAL; 0 for what is not there
}

// Status returns how the log is doing. It looks at the files, for which a disk that does not answer can make it
// block; nobody else waits for that.
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
