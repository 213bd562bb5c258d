package client

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
)

// TestReplayOfAStream reads a stream to some point, and then again from its beginning, to its end.
func TestReplayOfAStream(t *testing.T) {
	const text = "0123456789"
	for _, first := range []int{0, 1, 10} {
		r := NewReplay(io.MultiReader(strings.NewReader(text[:5]), strings.NewReader(text[5:])))
		one, err := r.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(io.LimitReader(one, int64(first))); string(got) != text[:first] || err != nil {
			t.Fatalf("the first reader got %q, %v", got, err)
		}
		two, err := r.Open()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := one.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrClosed) {
			t.Errorf("beside the second reader the first one gets %d, %v", n, err)
		}
		if got, err := io.ReadAll(two); string(got) != text || err != nil {
			t.Errorf("after %d bytes the second reader got %q, %v", first, got, err)
		}
	}
}

// TestReplayIsSpent: what is too long to be kept can be read once only, and takes no more memory than the limit.
func TestReplayIsSpent(t *testing.T) {
	const size = 3*replayLimit + 5
	r := NewReplay(io.LimitReader(zeros{}, size))
	one, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, one); n != size || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if cap(r.kept) > 4*replayLimit {
		t.Errorf("%d bytes are kept", cap(r.kept))
	}
	if _, err := r.Open(); !errors.Is(err, ErrSpent) {
		t.Errorf("it can be read again: %v", err)
	}
}

// TestReplayCloseWakesReader: a reader that waits for a silent stream ends when it is closed, and the next reader gets what
// the stream sends then.
func TestReplayCloseWakesReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, stream := io.Pipe()
		r := NewReplay(source)
		one, _ := r.Open()
		ended := make(chan error)
		go func() {
			_, err := one.Read(make([]byte, 10))
			ended <- err
		}()
		synctest.Wait()
		one.Close()
		if err := <-ended; !errors.Is(err, os.ErrClosed) {
			t.Errorf("the reader ends with %v", err)
		}
		two, err := r.Open()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			io.WriteString(stream, "late")
			stream.CloseWithError(io.ErrNoProgress)
		}()
		if got, err := io.ReadAll(two); string(got) != "late" || !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("the second reader got %q, %v", got, err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
