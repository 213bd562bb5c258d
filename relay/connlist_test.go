package relay

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A list of connections is like a slice of them. A connection may be removed more than once, as Close and breakOff do.
func TestConnList(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var list connList
	var want []*Conn
	out := []*Conn{new(Conn)} // never added
	for range 10_000 {
		if n := rng.IntN(len(out) + 1); n > 0 && len(want) < 5 {
			list.add(out[n-1])
			want, out = append(want, out[n-1]), slices.Delete(out, n-1, n)
		} else if n := rng.IntN(len(want) + 1); n > 0 {
			c := want[n-1]
			want, out = slices.Delete(want, n-1, n), append(out, c)
			list.remove(c)
		} else {
			list.remove(out[rng.IntN(len(out))])
		}
		if len(out) == 0 {
			out = append(out, new(Conn))
		}
		var forth, back []*Conn
		for c := list.first; c != nil; c = c.newer {
			forth = append(forth, c)
		}
		for c := list.last; c != nil; c = c.older {
			back = append(back, c)
		}
		if slices.Reverse(back); !slices.Equal(forth, want) || !slices.Equal(back, want) || list.length != len(want) {
			t.Fatalf("%d connections: %v forth, %v back, want %v", list.length, forth, back, want)
		}
	}
}

func TestAddrOf(t *testing.T) {
	for end, want := range map[string]string{
		"192.0.2.1:80":          "192.0.2.1",
		"[2001:db8::1]:80":      "2001:db8::1",
		"[fe80::1%eth0]:80":     "fe80::1",
		"[::ffff:192.0.2.1]:80": "192.0.2.1",
		"pipe":                  "pipe", // not TCP
		"":                      "",
	} {
		if got := AddrOf(end); got != want {
			t.Errorf("AddrOf(%q) = %q, want %q", end, got, want)
		}
	}
}
