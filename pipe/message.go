package pipe

import "io"

// Messages are held in memory, whole. Every byte of memory that a message takes is counted in Broker.messageMemory, from
// before it is taken until Release: its body, and the forms in which subscribers get it.

// messageOverhead is added to the size of each message, so that the number of empty messages is bounded too.
const messageOverhead = 1 << 10

// firstMessageBuffer is the size of the first buffer for a body.
const firstMessageBuffer = 4 << 10

// Read reads the body. It blocks until the body has ended. If it returns an error, the publication has ended: with the
// Outcome that the error wraps.
func (p *Publication) Read() error {
	outcome := p.read()
	if outcome == "" {
		p.bodyRead = true
		return nil
	}
	b := p.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	p.endUnmatchedLocked(outcome)
	return outcome
}

// read reads the body and returns "", or why it cannot.
func (p *Publication) read() Outcome {
	limit := p.broker.config.MaxMessage
	if limit > 0 && p.Length > limit {
		return TooLarge
	}
	if !p.hold(messageOverhead) {
		return Refused
	}
	for {
		if len(p.Body) == cap(p.Body) && !p.grow() {
			return Refused
		}
		n, err := p.source.Read(p.Body[len(p.Body):cap(p.Body)])
		p.Body = p.Body[:len(p.Body)+n]
		switch {
		case limit > 0 && int64(len(p.Body)) > limit:
			return TooLarge
		case err == io.EOF:
			return ""
		case err != nil:
			return bodyOutcome(err, ProducerLeft)
		}
	}
}

// grow gives the body a larger buffer, and reports whether the memory limit allows it. The buffer is at most one byte
// larger than the announced length: that byte makes the last Read return the end.
func (p *Publication) grow() bool {
	size := max(2*cap(p.Body), firstMessageBuffer)
	if p.Length >= 0 && int64(len(p.Body)) <= p.Length {
		size = min(size, int(p.Length)+1)
	}
	if limit := p.broker.config.MaxMessage; limit > 0 {
		size = min(size, int(limit)+1)
	}
	if !p.hold(int64(size - cap(p.Body))) {
		return false
	}
	larger := make([]byte, len(p.Body), size)
	copy(larger, p.Body)
	p.Body = larger
	return true
}

// hold counts n bytes for p, unless that is more than the limit, and reports whether it has.
func (p *Publication) hold(n int64) bool {
	memory, limit := &p.broker.messageMemory, p.broker.config.MaxMessageMemory
	if total := memory.Add(n); limit > 0 && total > limit {
		memory.Add(-n)
		p.reason = LimitMessageMemory
		return false
	}
	p.held += n
	return true
}

// Release frees the memory of the message. Nothing may use Body afterwards.
func (p *Publication) Release() {
	p.broker.messageMemory.Add(-p.held)
	p.held, p.Body, p.encoded = 0, nil, nil
}

// MessageMemory returns how many bytes of memory messages take now.
func (b *Broker) MessageMemory() int64 { return b.messageMemory.Load() }

// A Form is one of the ways in which subscribers receive a message. Forms are compared with ==.
type Form interface {
	// Encode returns the message in this form. The result may share memory with p.Body.
	Encode(p *Publication) []byte
}

type encoded struct {
	form Form
	text []byte
}

// In returns the message in a form. All subscribers share the result, which must not be changed. Only Subscriber.Offer may
// call it.
func (p *Publication) In(f Form) []byte {
	for i := range p.encoded {
		if p.encoded[i].form == f {
			return p.encoded[i].text
		}
	}
	text := f.Encode(p)
	if len(text) > 0 && (len(p.Body) == 0 || &text[0] != &p.Body[0]) {
		// It is too late to refuse p, so this may exceed the limit; then other messages are refused.
		p.broker.messageMemory.Add(int64(len(text)))
		p.held += int64(len(text))
	}
	p.encoded = append(p.encoded, encoded{f, text})
	return text
}
