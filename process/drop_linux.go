package process

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
)

// Drop makes a process that was started as root run as an ordinary user, for good. Call it before the process opens or
// listens on anything. It first makes that user the owner of those of the files that exist, and of the directory that
// contains them all, unless none has to be created there. A path that ends with a slash is a directory, whose files go with
// it. With the zero Account it does nothing.
//
// On success as root it does not return: it executes the program again, which then runs as that user. Without that,
// threads that already run would not get no_new_privs, and root's memory and descriptors would remain. A process of any
// other user keeps its user, as a container that is told to run as one: Drop checks that it cannot regain root's
// rights.
func Drop(to Account, files ...string) error {
	if to.Given == "" {
		return nil
	}
	drop := become
	if os.Geteuid() != 0 {
		drop = func(Account) error { return checkDropped() }
	} else if len(files) > 0 {
		if err := give(files, to); err != nil {
			return fmt.Errorf("--drop-to %s: %w", to.Given, err)
		}
	}
	if err := drop(to); err != nil {
		return fmt.Errorf("--drop-to %s: %w", to.Given, err)
	}
	return nil
}

// become switches to the account and executes the program again.
func become(to Account) error {
	runtime.LockOSThread() // the thread that calls execve needs no_new_privs
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(nil) },
		func() error { return syscall.Setresgid(to.GID, to.GID, to.GID) },
		func() error { return syscall.Setresuid(to.UID, to.UID, to.UID) },
		func() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("cannot switch to user %d, group %d: %w", to.UID, to.GID, err)
		}
	}
	// A path keeps the program's name in process lists, but the user may not be able to read it; and an empty root
	// file system has no /proc.
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
	return fmt.Errorf("user %d cannot execute %s: %w; make the file executable for everyone", to.UID, paths[len(paths)-1], err)
}

// checkDropped returns an error if the process can regain root's rights.
func checkDropped() error {
	uid := os.Geteuid()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var capabilities [2]unix.CapUserData
	if err := unix.Capget(&header, &capabilities[0]); err != nil {
		return fmt.Errorf("cannot read the capabilities of user %d: %w", uid, err)
	}
	if capabilities[0].Permitted|capabilities[1].Permitted != 0 {
		return fmt.Errorf("user %d has capabilities that belong to root; start httpipe without them", uid)
	}
	if syscall.Setuid(0) == nil {
		return errors.New("this process could regain root's rights")
	}
	return nil
}

// give makes the account the owner of the files that exist, and of their directory if one does not. It follows no links: once
// the user owns the directory, an attacker who has taken over the server could place links there for the next start. If the
// directory cannot be given away, no file is. The errors name the first file, which is the audit log if there is one.
func give(paths []string, to Account) error {
	path, err := filepath.Abs(paths[0])
	if err != nil {
		return fmt.Errorf("%s: %w", paths[0], err)
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("%s: %w; its directory must exist and must not be a link", path, err)
	}
	defer dir.Close()
	var files []string
	for _, path := range paths {
		files = append(files, filepath.Base(path))
	}
	needed, err := directoryNeeded(dir, files, to)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for i, file := range files {
		if err := giveFile(dir, file, strings.HasSuffix(paths[i], "/"), to); err != nil {
			return fmt.Errorf("%s: cannot make user %d the owner of %s: %w", path, to.UID, file, err)
		}
	}
	if !needed {
		return nil
	}
	if err := dir.Chown(to.UID, to.GID); err != nil {
		return fmt.Errorf("%s: cannot make user %d the owner of its directory: %w", path, to.UID, err)
	}
	return nil
}

// directoryNeeded reports whether the account must become the owner of the directory, to create those of the files that do
// not exist. It returns an error if the directory has other files: it may be / or root's home.
func directoryNeeded(dir *os.File, files []string, to Account) (bool, error) {
	entries, err := dir.Readdirnames(-1)
	if err != nil {
		return false, err
	}
	missing := func(file string) bool { return !slices.Contains(entries, file) }
	if !slices.ContainsFunc(files, missing) {
		return false, nil
	}
	var is unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &is); err != nil {
		return false, err
	}
	if int(is.Uid) == to.UID {
		return false, nil
	}
	others := slices.DeleteFunc(entries, func(entry string) bool { return entry == "lost+found" || slices.Contains(files, entry) })
	if len(others) > 0 {
		return false, fmt.Errorf("user %d does not own %s, which contains other files (%s); keep it in a directory of its own, or chown that directory",
			to.UID, dir.Name(), strings.Join(others[:min(len(others), 3)], ", "))
	}
	return true, nil
}

// giveFile makes the account the owner of a file in dir, or of a directory with its files, if it exists. It refuses a file with
// a second name, which could be in another directory.
func giveFile(dir *os.File, name string, isDir bool, to Account) error {
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
	if isDir {
		if err := giveFiles(fd, to); err != nil {
			return err
		}
	} else if is.Mode&unix.S_IFMT != unix.S_IFREG || is.Nlink != 1 {
		return errors.New("it is not a regular file, or has a second name (hard link)")
	}
	return unix.Fchownat(fd, "", to.UID, to.GID, unix.AT_EMPTY_PATH)
}

// giveFiles makes the account the owner of the files in a directory, of which fd is a descriptor.
func giveFiles(fd int, to Account) error {
	opened, err := unix.Openat(fd, ".", unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(opened), "")
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := giveFile(dir, name, false, to); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
