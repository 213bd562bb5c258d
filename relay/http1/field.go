package http1

import "bytes"

// field reads a line of the head that is neither the first nor empty.
func (p *Parser) field(line []byte) error {
	name, value, found := bytes.Cut(line, []byte(":"))
	switch {
	case isBlank(line[0]):
		return errFold
	case some(line, control):
		return errControl
	case found && len(name) > 0 && isBlank(name[len(name)-1]):
		return errBlank
	case !found || len(name) == 0 || !all(name, token):
		return errFieldName
	}
	if len(p.spans) == maxFields {
		return errFields
	}
	s := span{name: p.line - len(line) - len("\r\n")}
	s.nameEnd = s.name + len(name)
	s.valueEnd = s.nameEnd + len(":") + len(trimRight(value))
	value = trim(value)
	s.value = s.valueEnd - len(value)
	p.spans = append(p.spans, s)
	switch {
	case equalFold(name, "Host"):
		return p.host(value)
	case equalFold(name, "Content-Length"):
		return p.contentLength(value)
	case equalFold(name, "Transfer-Encoding"):
		return p.coding(value)
	case equalFold(name, "Connection"):
		p.connection(value)
	case equalFold(name, "Expect"):
		p.expects++
		p.notPlain = p.notPlain || p.expects > 1 || !equalFold(value, "100-continue")
	case equalFold(name, "Upgrade"), equalFold(name, "Trailer"):
		p.notPlain = true
	}
	return nil
}

func (p *progress) host(value []byte) error {
	if p.hosts++; p.hosts > 1 {
		return errHosts
	}
	if !all(value, host) {
		return errHost
	}
	return nil
}

func (p *progress) contentLength(value []byte) error {
	if p.lengths++; p.lengths > 1 {
		return errLengths
	}
	if len(value) == 0 || len(value) > 18 {
		return errLength
	}
	for _, b := range value {
		if !isDigit(b) {
			return errLength
		}
		p.length = 10*p.length + int64(b-'0')
	}
	return nil
}

func (p *progress) coding(value []byte) error {
	if p.codings++; p.codings > 1 || !equalFold(value, "chunked") {
		return errCoding
	}
	return nil
}

func (p *progress) connection(value []byte) {
	p.connections++
	switch {
	case p.connections > 1:
		p.notPlain = true
	case equalFold(value, "close"):
		p.closes = true
	case equalFold(value, "keep-alive"):
		p.keepsAlive = true
	default:
		p.notPlain = true
	}
}
