//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A loop waits for what servers send on many connections, and for the ticks of a timer, in one thread. So a load generator
// takes little of the time that it measures.
type loop struct {
	epoll  int
	timer  int    // a timerfd
	buffer []byte // for one read
}

// patience is how long a load generator waits for anything to happen.
const patience = 20 * time.Second

// timerToken stands for the timer in an event. Other tokens are not negative.
const timerToken = -1

// newLoop makes a loop. The caller closes it, also after an error.
func newLoop() (l loop, err error) {
	l = loop{epoll: -1, timer: -1, buffer: make([]byte, 64<<10)}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return l, err
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return l, err
	}
	return l, l.watch(l.timer, timerToken)
}

func (l *loop) watch(fd, token int) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(token)})
}

func (l *loop) close() {
	unix.Close(l.timer)
	unix.Close(l.epoll)
}

// pace starts the timer, with that many ticks a second, or stops it if the rate is 0.
func (l *loop) pace(rate float64) error {
	var every unix.Timespec
	if rate > 0 {
		every = unix.NsecToTimespec(int64(float64(time.Second) / rate))
	}
	return unix.TimerfdSettime(l.timer, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil)
}

// ticks returns how many ticks there have been since the last call.
func (l *loop) ticks() int {
	var count [8]byte
	if _, err := unix.Read(l.timer, count[:]); err != nil {
		return 0 // the timer was set anew meanwhile
	}
	return int(binary.NativeEndian.Uint64(count[:]))
}

// while calls event for each event as long as waiting returns more than 0: the number of clients that expect something.
func (l *loop) while(waiting func() int, event func(token int) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events := make([]unix.EpollEvent, 256)
	answered := time.Now()
	for waiting() > 0 {
		n, err := unix.EpollWait(l.epoll, events, int(patience.Milliseconds()))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n > 0 && (n > 1 || events[0].Fd != timerToken):
			answered = time.Now()
		case time.Since(answered) >= patience:
			return fmt.Errorf("%d clients got no answer within %v", waiting(), patience)
		}
		for _, e := range events[:n] {
			if err := event(int(e.Fd)); err != nil {
				return err
			}
		}
	}
	return nil
}
