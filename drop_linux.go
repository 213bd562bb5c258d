package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"httpipe/access"
)

// drop makes a process that was started as root an ordinary user's, for good, before it opens anything or
// listens. That user gets the audit log before (see own).
//
// It does not return when it has worked: the program is executed once more, and finds then that it is that
// user. Only so do all threads have no_new_privs, which is each thread's own, and nothing of root's memory
// or descriptors is left. For a process that already is that user it makes sure that it cannot become
// another.
func drop(c *config) error {
	to := c.dropTo
	if to.given == "" {
		return nil
	}
	if os.Geteuid() != 0 {
		if err := stuck(to); err != nil {
			return fmt.Errorf("--drop-to %s: %w", to.given, err)
		}
		return nil
	}
	if c.audit != auditOff {
		if err := own(c.auditDB, to); err != nil {
			return err
		}
	}
	if err := become(to); err != nil {
		return fmt.Errorf("--drop-to %s: %w", to.given, err)
	}
	return nil
}

// become makes the process the user's, and executes the program again.
func become(to account) error {
	runtime.LockOSThread() // no_new_privs has to be on the thread that executes
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(nil) },
		func() error { return syscall.Setresgid(to.gid, to.gid, to.gid) },
		func() error { return syscall.Setresuid(to.uid, to.uid, to.uid) },
		func() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("root cannot become user %d, group %d here: %w", to.uid, to.gid, err)
		}
	}
	// By its path it keeps its name in lists of processes. The user may not see that, and in an empty root file
	// system there is no /proc.
	paths := []string{"/proc/self/exe"}
	if path, err := os.Executable(); err == nil {
		paths = slices.Insert(paths, 0, path)
	}
	if path, err := exec.LookPath(os.Args[0]); err == nil {
		paths = append(paths, path)
	}
	var err error
	for _, path := range paths {
		err = syscall.Exec(path, os.Args, os.Environ())
	}
	return fmt.Errorf("user %d cannot execute %s: %w; let everybody execute it", to.uid, paths[len(paths)-1], err)
}

// stuck returns an error unless the process is that user and will stay so.
func stuck(want account) error {
	var ids [6]int
	ids[0], ids[1], ids[2] = unix.Getresuid()
	ids[3], ids[4], ids[5] = unix.Getresgid()
	if ids != [6]int{want.uid, want.uid, want.uid, want.gid, want.gid, want.gid} {
		return fmt.Errorf("this process is user %d, group %d, and only root can become another; start it as root, or without this", ids[1], ids[4])
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var capabilities [2]unix.CapUserData
	if err := unix.Capget(&header, &capabilities[0]); err != nil {
		return fmt.Errorf("cannot find out what user %d may do: %w", want.uid, err)
	}
	if capabilities[0].Permitted|capabilities[1].Permitted != 0 {
		return fmt.Errorf("user %d has capabilities of root's; start it without", want.uid)
	}
	if syscall.Setuid(0) == nil {
		return errors.New("this process can become root again")
	}
	return nil
}

// own gives the audit log to the user: its directory, and its files as far as there are any, with that of the audit key. It follows no
// links, for as soon as the directory is the user's, anybody who has taken over the server may put links
// there for the next start.
func own(log string, to account) error {
	path, err := filepath.Abs(log)
	if err != nil {
		return fmt.Errorf("audit log %s: %w", log, err)
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("audit log %s: %w; its directory has to be there, and no link", path, err)
	}
	defer dir.Close()
	name := filepath.Base(path)
	files := append(access.KeyFiles(name+keySuffix), name, name+"-wal", name+"-shm", name+"-journal")
	for _, file := range files {
		if err := ownFile(dir, file, to); err != nil {
			return fmt.Errorf("audit log %s: %s cannot be given to user %d: %w", path, file, to.uid, err)
		}
	}
	var is unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &is); err != nil {
		return fmt.Errorf("audit log %s: %w", path, err)
	}
	if int(is.Uid) == to.uid {
		return nil
	}
	// A directory with other things in it is not ours to give away: it may be /, or root's home.
	entries, err := dir.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("audit log %s: %w", path, err)
	}
	others := slices.DeleteFunc(entries, func(entry string) bool { return entry == "lost+found" || slices.Contains(files, entry) })
	if len(others) > 0 {
		return fmt.Errorf("audit log %s: %s is not user %d's and holds other things (%s); keep the log in a directory of its own, or chown that yourself",
			path, dir.Name(), to.uid, strings.Join(others[:min(len(others), 3)], ", "))
	}
	if err := dir.Chown(to.uid, to.gid); err != nil {
		return fmt.Errorf("audit log %s: its directory cannot be given to user %d: %w", path, to.uid, err)
	}
	return nil
}

// ownFile gives the user a file of the directory, if it is there. It must be a file that has no other name:
// that could be one elsewhere.
func ownFile(dir *os.File, name string, to account) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var is unix.Stat_t
	if err := unix.Fstat(fd, &is); err != nil {
		return err
	}
	if is.Mode&unix.S_IFMT != unix.S_IFREG || is.Nlink != 1 {
		return errors.New("it is a link, or no file")
	}
	return unix.Fchownat(fd, "", to.uid, to.gid, unix.AT_EMPTY_PATH)
}
