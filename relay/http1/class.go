package http1

// The classes of bytes, as bits of classOf.
const (
	token   = 1 << iota // RFC 9110 5.6.2: methods and field names
	plain               // a path carries it unescaped
	query               // of a query, in which the escapes stay as they are
	host                // RFC 3986 3.2.2 and 3.2.3, with a port
	control             // never in a head, except for the blank that a tab is
	hex
)

var classOf = classes()

func classes() (table [256]uint8) {
	for _, class := range []struct {
		bit   uint8
		bytes string
	}{
		{token | plain | query | host | hex, "0123456789ABCDEFabcdef"},
		{token | plain | query | host, "GHIJKLMNOPQRSTUVWXYZghijklmnopqrstuvwxyz"},
		{token, "!#$%&'*+-.^_`|~"},
		{plain, "-._~!$&'()*+,;=:@/"},
		{query, "-._~!$&'()*+,;=:@/?%"},
		{host, "-._~!$&'()*+,;=:%[]"},
	} {
		for _, b := range []byte(class.bytes) {
			table[b] |= class.bit
		}
	}
	for b := range 0x20 {
		table[b] |= control
	}
	table['\t'] &^= control
	table[0x7f] |= control
	return table
}

// all reports whether every byte of b is of the class.
func all(b []byte, class uint8) bool {
	for _, c := range b {
		if classOf[c]&class == 0 {
			return false
		}
	}
	return true
}

// some reports whether a byte of b is of the class.
func some(b []byte, class uint8) bool {
	for _, c := range b {
		if classOf[c]&class != 0 {
			return true
		}
	}
	return false
}

// equalFold reports whether a and b, of which b is ASCII, are the same but for the case of ASCII letters.
func equalFold[T []byte | string](a T, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(b) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

func upper(b byte) byte {
	if 'a' <= b && b <= 'z' {
		b -= 'a' - 'A'
	}
	return b
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' }

// trim returns s without the blanks around it.
func trim[T []byte | string](s T) T {
	for len(s) > 0 && isBlank(s[0]) {
		s = s[1:]
	}
	return trimRight(s)
}

// trimRight returns s without the blanks at its end.
func trimRight[T []byte | string](s T) T {
	for len(s) > 0 && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}
