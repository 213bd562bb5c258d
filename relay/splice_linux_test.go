package relay

import (
	"syscall"
	"testing"

	"httpipe/pipe"
)

// Urgent data (RFC 9293 3.8.5), which is obsolete, costs the producer its message, and affects no other client.
func TestUrgentData(t *testing.T) {
	r := start(t)
	p, body := r.halfway(spliced, "GET "+here+" HTTP/1.1\r\nHost: relay\r\n\r\n")
	raw, err := p.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = syscall.Sendto(int(fd), []byte("!"), syscall.MSG_OOB, nil) })
	if err != nil {
		t.Fatal(err)
	}
	p.Say("more")
	reads(t, body, "more")
	p.HangUp()
	r.Ended(pipe.ProducerLeft)
}
