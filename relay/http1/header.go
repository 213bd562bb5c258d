package http1

import (
	"iter"
	"slices"
)

// A Field is one header field.
type Field struct{ Name, Value string }

// A Header is the fields of a head. Names are compared without regard to case.
type Header struct {
	// Fields are all fields in the order in which they came, names as they were sent, values without the blanks around
	// them.
	Fields []Field

	lengths uint64 // bit n%64 is set if a name has n bytes: so most lookups of a missing name compare nothing
}

// HeaderOf returns the header of a map of values by name, such as http.Header.
func HeaderOf(values map[string][]string) (h Header) {
	for name, all := range values {
		for _, value := range all {
			h.add(Field{name, value})
		}
	}
	return h
}

func (h *Header) add(f Field) {
	h.Fields = append(h.Fields, f)
	h.lengths |= lengthBit(f.Name)
}

func lengthBit(name string) uint64 { return 1 << (len(name) % 64) }

// Get returns the value of the first field of that name, or "".
func (h *Header) Get(name string) string {
	value, _ := h.Lookup(name)
	return value
}

// Lookup returns the value of the first field of that name, and whether there is one.
func (h *Header) Lookup(name string) (value string, ok bool) {
	if h.lengths&lengthBit(name) == 0 {
		return "", false
	}
	for i := range h.Fields {
		if f := &h.Fields[i]; equalFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

// Values yields the value of each field of that name, in the order in which they came.
func (h *Header) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if h.lengths&lengthBit(name) == 0 {
			return
		}
		for i := range h.Fields {
			if f := &h.Fields[i]; equalFold(f.Name, name) && !yield(f.Value) {
				return
			}
		}
	}
}

// Joined returns the values of the fields of that name, which is that of a list, as one list, or "".
func (h *Header) Joined(name string) string {
	if h.lengths&lengthBit(name) == 0 {
		return ""
	}
	joined, found := "", false
	for i := range h.Fields {
		switch f := &h.Fields[i]; {
		case !equalFold(f.Name, name):
		case found:
			joined += ", " + f.Value
		default:
			joined, found = f.Value, true
		}
	}
	return joined
}

// Delete removes the fields of that name, in the array of Fields.
func (h *Header) Delete(name string) {
	if h.lengths&lengthBit(name) != 0 {
		h.Fields = slices.DeleteFunc(h.Fields, func(f Field) bool { return equalFold(f.Name, name) })
	}
}
