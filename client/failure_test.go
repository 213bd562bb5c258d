package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"
)

// TestNoAnswer: the failure of a request without an answer says whether anything was sent, in words that users know.
func TestNoAnswer(t *testing.T) {
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 20100}
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: at, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	const broke = "the connection broke before the answer"
	for _, test := range []struct {
		err   error
		begun bool
		want  string
	}{
		{refused, false, "unreachable: cannot connect to 127.0.0.1:20100: connect: connection refused"},
		{refused, true, "unanswered: " + broke + "; cannot connect to 127.0.0.1:20100: connect: connection refused"},
		{io.EOF, true, "unanswered: " + broke + ": the server closed the connection"},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, true, "unanswered: " + broke + ": the server closed the connection"},
		{&net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}, true, "unanswered: " + broke + ": the server closed the connection"},
		{fmt.Errorf("http: %w", net.ErrClosed), true, "unanswered: " + broke + ": the server closed the connection"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Name: "relay.test", Err: "no such host"}}, false,
			"unreachable: cannot find the address of relay.test: no such host"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, false,
			"unreachable: the server does not speak TLS; if that is right, write http:// in the URL"},
		{errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP status code "i"`), true,
			"unanswered: " + broke + ": the server does not speak HTTP; check the URL"},
		{errors.New("odd\nlines"), true, "unanswered: " + broke + ": odd"},
	} {
		if got := noAnswer(t.Context(), &url.Error{Op: "Post", URL: "/", Err: test.err}, test.begun).Error(); got != test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
}
