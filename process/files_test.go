package process

import (
	"strings"
	"testing"
)

func TestWaitingLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want  int
		files int64
		got   int // 0: refused
	}{
		{want: 0, files: 1024, got: 720},
		{want: 0, files: 1 << 20, got: MaxAutoWaiting},
		{want: 0, files: reservedFiles + 4, got: 3},
		{want: 0, files: reservedFiles, got: 0},
		{want: 864, files: 1024, got: 864},
		{want: 865, files: 1024, got: 0},
		{want: 20_000, files: 1 << 20, got: 20_000},
	} {
		got, err := WaitingLimitOf(test.want, test.files)
		if got != test.got || (err == nil) != (test.got > 0) {
			t.Errorf("%d waiters wanted with %d files: %d, %v; want %d", test.want, test.files, got, err, test.got)
		}
	}
	_, err := WaitingLimitOf(1000, 1024)
	if err == nil || !strings.Contains(err.Error(), "--max-waiting 1000 needs 1176 open files, and this process may open 1024") {
		t.Errorf("error %v", err)
	}
	if _, err := WaitingLimitOf(1000, 1176); err != nil {
		t.Errorf("with the files that the error asks for: %v", err)
	}
}
