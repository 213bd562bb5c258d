package crash

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"httpipe/test/kit"
)

// strace has two uses here: it records all that a server does to its files (TestPowerCut), and it makes
// some calls fail (TestFailingDisk, TestDiskFailsOnce).

// tracing returns an error if strace does not work on this machine.
var tracing = sync.OnceValue(func() error {
	out, err := exec.Command("strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w %s", err, out)
	}
	return nil
})

func needStrace(t *testing.T) {
	t.Helper()
	kit.NeedTool(t, "strace")
	if err := tracing(); err != nil {
		t.Skipf("this test needs the permission to use ptrace: %v", err)
	}
}

// recorded is what a trace has: each call that can change what a file or a directory holds, or answer a
// client. Those with a question mark do not exist on every machine.
const recorded = "trace=openat,?open,?creat,openat2,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendfile,splice," +
	"copy_file_range,ftruncate,truncate,fallocate,fsync,fdatasync,?sync_file_range,msync,mmap," +
	"?rename,?renameat,renameat2,?link,linkat,?unlink,unlinkat"

// A traced is a server that strace has started and watches. The embedded process is strace's.
type traced struct {
	*kit.Server
	server int    // the server's process id
	trace  string // strace's output
}

// startTraced starts a server under strace with the options given, and returns when it listens. The program is the
// product unless another is given.
func startTraced(t *testing.T, program, dir string, options ...string) *traced {
	t.Helper()
	s := &traced{trace: filepath.Join(t.TempDir(), "trace")}
	by := append([]string{"strace", "-f", "--seccomp-bpf", "-y", "-s", "70000", "-o", s.trace}, options...)
	if program != "" {
		by = append(by, "sh", "-c", `shift; exec "$0" "$@"`, program) // in the product's place
	}
	s.Server = kit.StartBy(t, dir, by)
	trace, err := os.Open(s.trace)
	if err != nil {
		t.Fatal(err)
	}
	defer trace.Close()
	if _, err := fmt.Fscan(trace, &s.server); err != nil {
		t.Fatalf("strace wrote nothing: %v", err)
	}
	t.Cleanup(func() { // or it would outlive strace
		select {
		case <-s.Exited:
		default:
			s.end(t, syscall.SIGKILL)
		}
	})
	return s
}

// end sends a signal to the server and waits until the trace is complete.
func (s *traced) end(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.server, signal); err != nil {
		t.Fatal(err)
	}
	<-s.Exited
}

// An event is the beginning or the end of a system call, or both if nothing came in between.
type event struct {
	thread string
	call   string
	args   string // as strace prints them; all of them at the end, and at the beginning those that go in
	begins bool
	ends   bool
	result int // at the end; -1 is a failure
}

// events reads a trace.
func events(r io.Reader) iter.Seq2[event, error] {
	return func(yield func(event, error) bool) {
		lines := bufio.NewReaderSize(r, 1<<20)
		unfinished := make(map[string]event) // by thread
		for {
			line, err := lines.ReadString('\n')
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(event{}, err)
				return
			}
			e, ok, err := parseEvent(strings.TrimSuffix(line, "\n"), unfinished)
			if (ok || err != nil) && !yield(e, err) {
				return
			}
		}
	}
}

// parseEvent reads one line of a trace, and returns false if it is not about a call.
func parseEvent(line string, unfinished map[string]event) (e event, ok bool, err error) {
	e.thread, line, _ = strings.Cut(line, " ")
	line = strings.TrimLeft(line, " ")
	if strings.HasPrefix(line, "---") || strings.HasPrefix(line, "+++") {
		return event{}, false, nil // a signal, an exit
	}
	if rest, resumes := strings.CutPrefix(line, "<... "); resumes {
		_, rest, _ = strings.Cut(rest, " resumed>")
		e = unfinished[e.thread]
		e.begins = false
		line = rest
	} else {
		e.call, line, _ = strings.Cut(line, "(")
		e.begins = true
	}
	if args, found := strings.CutSuffix(line, "<unfinished ...>"); found {
		e.args = strings.TrimRight(args, " ")
		unfinished[e.thread] = e
		return e, true, nil
	}
	end := strings.LastIndex(line, " = ")
	if end < 0 {
		return e, false, fmt.Errorf("a line of strace that is not understood: %.200q", line)
	}
	e.args += strings.TrimSuffix(strings.TrimRight(line[:end], " "), ")")
	word, _, _ := strings.Cut(line[end+len(" = "):], " ")
	word, _, _ = strings.Cut(word, "<")
	if word == "?" {
		return e, true, nil // the process was killed in it
	}
	result, err := strconv.ParseInt(word, 0, 64)
	if err != nil {
		return e, false, fmt.Errorf("a result of strace that is not understood: %.200q", line[end:])
	}
	e.result, e.ends = int(result), true
	return e, true, nil
}

// descriptor returns the descriptor that is the first argument.
func (e event) descriptor() string {
	fd, _, _ := strings.Cut(e.args, "<")
	return fd
}

// file returns the path of the descriptor that is the first argument.
func (e event) file() string {
	_, rest, _ := strings.Cut(e.args, "<")
	path, _, _ := strings.Cut(rest, ">")
	return path
}

// number returns the last argument.
func (e event) number() int {
	n, err := strconv.Atoi(e.args[strings.LastIndexByte(e.args, ' ')+1:])
	if err != nil {
		panic(fmt.Sprintf("%s(%.200s): %v", e.call, e.args, err))
	}
	return n
}

// text returns the first string among the arguments.
func (e event) text() ([]byte, error) {
	from, to := strings.IndexByte(e.args, '"'), strings.LastIndexByte(e.args, '"')
	if from < 0 || from == to || strings.HasPrefix(e.args[to+1:], "...") {
		return nil, fmt.Errorf("%s without a whole string: %.200s", e.call, e.args)
	}
	return unescape(e.args[from+1 : to]), nil
}

// unescape undoes strace's escapes: those of C, with as few octal digits as will do.
func unescape(s string) []byte {
	escapes := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'f': '\f', 'v': '\v', 'a': '\a', 'b': '\b'}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		if plain, ok := escapes[s[i]]; ok {
			out = append(out, plain)
			continue
		}
		if s[i] < '0' || s[i] > '7' {
			out = append(out, s[i]) // a quote, a backslash
			continue
		}
		octal := 0
		for n := 0; n < 3 && i < len(s) && '0' <= s[i] && s[i] <= '7'; n++ {
			octal = octal<<3 | int(s[i]-'0')
			i++
		}
		i--
		out = append(out, byte(octal))
	}
	return out
}
