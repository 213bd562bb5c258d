package crash

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// A drive is a model of the disk on which a server keeps its audit log: what is certainly on it, and
// later changes of the server's that may be on it.
//
// A write is on disk for certain once an fsync of its file, which began after the write had returned, has
// returned without error. Until then each of its sectors may be there or not, whatever became of the
// others and of other writes. The same goes for changes of a file's length, and for the names in
// the directory (files made and removed) with an fsync of the directory; but those happen in order, as the
// journal of a file system has them.
//
// After an fsync that fails, the changes that it should have written stay in that state for ever: the kernel drops
// them, and later fsyncs succeed without them. (The kernel reports the error once through each descriptor of the file.
// strace makes one call fail, so only changes through its descriptor are dropped.)
//
// The -shm file is not modelled. It is memory that processes share, and SQLite makes it anew from the
// -wal when the first of them opens the log. The file of the audit key is not part of the log.
type drive struct {
	log   string // the path of the audit log; the others' begin with it
	root  inode  // the directory
	names map[string]*inode
	syncs map[string]int // by thread: up to which change goes the fsync that runs in it

	// rng decides what becomes of all that is not certain. Without one none of it is there.
	rng *rand.Rand

	// acknowledged are the exchanges whose producers were told that they are on disk, from the moment on
	// at which the server began to write the answer.
	acknowledged []string

	fsyncs, failedFsyncs int
}

// An inode is a file, or the directory.
type inode struct {
	content []byte            // a file's, as it is on disk for certain
	names   map[string]*inode // a directory's, as they are on disk for certain
	changes []change          // what is not known to be on disk, in order
	settled int               // how many changes there were before those
}

// A change is a write to a file, or a new length (no data), or a name for a file in a directory, or the
// loss of one (no file).
type change struct {
	offset int
	data   []byte

	name string
	file *inode

	through string // the descriptor
}

// sector is how much a disk writes whole.
const sector = 512

func newDrive(log string, rng *rand.Rand) *drive {
	return &drive{
		log:   log,
		root:  inode{names: make(map[string]*inode)},
		names: make(map[string]*inode),
		syncs: make(map[string]int),
		rng:   rng,
	}
}

// see takes notice of an event. It returns an error if that is something that the model does not know.
func (d *drive) see(e event) error {
	if e.call == "fsync" || e.call == "fdatasync" {
		return d.sync(e)
	}
	if !e.ends || e.result < 0 || !d.concerns(e) {
		return nil
	}
	unknown := fmt.Errorf("the model does not know %s(%.200s)", e.call, e.args)
	switch e.call {
	case "pwrite64":
		data, err := e.text()
		if err != nil || len(data) < e.result {
			return unknown
		}
		return d.change(e, change{offset: e.number(), data: data[:e.result]})
	case "ftruncate":
		return d.change(e, change{offset: e.number()})
	case "openat", "unlink", "unlinkat":
		name, err := e.text()
		if err != nil || strings.Contains(e.args, "O_TRUNC") {
			return unknown
		}
		switch made := strings.Contains(e.args, "O_CREAT"); {
		case e.call != "openat":
			d.rename(string(name), nil)
		case made && d.names[string(name)] == nil:
			d.rename(string(name), new(inode))
		}
	case "mmap":
		if strings.Contains(e.args, "MAP_SHARED") && strings.Contains(e.args, "PROT_WRITE") {
			return unknown
		}
	default:
		return unknown
	}
	return nil
}

// concerns reports whether the call is about a file of the log.
func (d *drive) concerns(e event) bool {
	where := e.args
	if strings.Contains(e.call, "write") || strings.Contains(e.call, "send") {
		where = e.file() // what follows is data
	}
	return strings.Contains(where, d.log) && !strings.Contains(where, d.log+"-shm") && !strings.Contains(where, d.log+".key")
}

func (d *drive) change(e event, c change) error {
	f, err := d.file(e)
	if f != nil {
		c.through = e.descriptor()
		f.changes = append(f.changes, c)
	}
	return err
}

func (d *drive) rename(name string, file *inode) {
	change{name: name, file: file}.on(&inode{names: d.names})
	d.root.changes = append(d.root.changes, change{name: name, file: file})
}

// file returns the file that a call is about, or nil if it is none of the log's, or has no name any more.
func (d *drive) file(e event) (*inode, error) {
	path := e.file()
	if path == filepath.Dir(d.log) {
		return &d.root, nil
	}
	f := d.names[path]
	if f == nil && strings.HasPrefix(path, d.log) && !strings.HasPrefix(path, d.log+".key") && !strings.Contains(e.args, "(deleted)") {
		return nil, fmt.Errorf("%s of a file that was never opened: %.200s", e.call, e.args)
	}
	return f, nil
}

// sync settles what an fsync is about.
func (d *drive) sync(e event) error {
	f, err := d.file(e)
	if f == nil {
		return err
	}
	if e.begins {
		d.syncs[e.thread] = f.settled + len(f.changes)
	}
	if !e.ends {
		return nil
	}
	n := max(0, d.syncs[e.thread]-f.settled)
	var kept, dropped []change
	d.fsyncs++
	if e.result < 0 {
		d.failedFsyncs++
	}
	for _, c := range f.changes[:n] {
		switch {
		case e.result == 0:
			c.on(f)
		case c.through == e.descriptor():
			dropped = append(dropped, c)
		default:
			kept = append(kept, c)
		}
	}
	d.some(f, dropped)
	f.changes = append(kept, f.changes[n:]...)
	f.settled += n - len(kept)
	return nil
}

// on makes the change certain.
func (c change) on(f *inode) {
	switch {
	case c.file != nil:
		f.names[c.name] = c.file
	case c.name != "":
		delete(f.names, c.name)
	case c.data == nil:
		f.content = append(f.content, make([]byte, max(0, c.offset-len(f.content)))...)[:c.offset]
	default:
		f.content = append(f.content, make([]byte, max(0, c.offset+len(c.data)-len(f.content)))...)
		copy(f.content[c.offset:], c.data)
	}
}

// some makes some of the changes certain. Which, is up to the drive's random numbers.
func (d *drive) some(f *inode, changes []change) {
	if d.rng == nil {
		return
	}
	if f.names != nil {
		for _, c := range changes[:d.rng.IntN(len(changes)+1)] {
			c.on(f)
		}
		return
	}
	share := d.rng.Float64()
	for _, c := range changes {
		for first := true; first || len(c.data) > 0; first = false {
			part := c
			part.data = c.data[:min(len(c.data), sector-c.offset%sector)]
			if d.rng.Float64() < share {
				part.on(f)
			}
			c.data, c.offset = c.data[len(part.data):], c.offset+len(part.data)
		}
	}
}

// copying reports whether the log has writes that are not synced. With a WAL only a checkpoint writes to the log itself.
func (d *drive) copying() bool {
	f := d.names[d.log]
	return f != nil && len(f.changes) > 0
}

// image writes into a directory what could be found on the drive if the power failed now.
func (d *drive) image(dir string) error {
	root := inode{names: maps.Clone(d.root.names)}
	d.some(&root, d.root.changes)
	for name, f := range root.names {
		left := inode{content: f.content}
		if d.rng != nil {
			left.content = bytes.Clone(f.content)
			d.some(&left, f.changes)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), left.content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// receipt is how the body of the answer to a producer begins in a trace. It says that the exchange is on disk.
const receipt = `{\"exchange\":\"`

// replay lets the drive see a trace, event by event.
func (d *drive) replay(trace io.Reader) iter.Seq2[event, error] {
	return func(yield func(event, error) bool) {
		for e, err := range events(trace) {
			if e.begins && (e.call == "write" || e.call == "sendto") {
				if _, id, found := strings.Cut(e.args, receipt); found {
					d.acknowledged = append(d.acknowledged, id[:len("01234567-0123-0123-0123-0123456789ab")])
				}
			}
			if err == nil {
				err = d.see(e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
