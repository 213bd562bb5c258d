package nodes

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"text/template"
)

// A Balancer describes an HAProxy in front of the nodes of a table.
type Balancer struct {
	Table *Table
	// Certificate is the file of the PEM certificate and its key for TLS; "": plain HTTP.
	Certificate string
	// Listen is the address that HAProxy listens on, such as ":80".
	Listen string
	// Resolver is the address of a name server that HAProxy asks for the addresses of the nodes again and again; "": it
	// looks them up at its start.
	Resolver string
}

// Config returns a configuration for HAProxy 2.6 or later.
func (b Balancer) Config() (string, error) {
	if strings.ContainsAny(b.Certificate+b.Listen+b.Resolver, " \t\n\"'\\#") {
		return "", errors.New("a file name or address must not contain spaces, quotes, \\ or #")
	}
	var config strings.Builder
	if err := haproxyConfig.Execute(&config, b); err != nil {
		panic(err) // a bug in the template; the tests execute all its branches
	}
	return config.String(), nil
}

// A pair is an owner and its stand-in, with the slots that they serve.
type pair struct {
	Owner, StandIn Node
	Slots          []int
}

// Name returns the name of the backend.
func (p pair) Name() string { return p.Owner.Name + "_" + p.StandIn.Name }

// Lines returns the slots as text, some on each line: HAProxy takes 64 words on a line.
func (p pair) Lines() (lines []string) {
	for some := range slices.Chunk(p.Slots, 20) {
		lines = append(lines, strings.Trim(fmt.Sprint(some), "[]"))
	}
	return lines
}

// Pairs returns the pairs of nodes that serve slots, sorted.
func (b Balancer) Pairs() (pairs []pair) {
	for number, s := range b.Table.Slots {
		i := slices.IndexFunc(pairs, func(p pair) bool { return p.Owner.Name == s.Owner && p.StandIn.Name == s.StandIn })
		if i < 0 {
			owner, _ := b.Table.Node(s.Owner)
			standIn, _ := b.Table.Node(s.StandIn)
			i, pairs = len(pairs), append(pairs, pair{Owner: owner, StandIn: standIn})
		}
		pairs[i].Slots = append(pairs[i].Slots, number)
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.Name(), b.Name()) })
	return pairs
}

// Server returns the part of a server line with the address of a node and the check of its health.
func (b Balancer) Server(n Node) string {
	u, err := url.Parse(n.URL)
	if err != nil {
		panic(err) // newNode has parsed it
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	line := n.Name + " " + net.JoinHostPort(u.Hostname(), port) + " check"
	if u.Scheme == "https" {
		line += " ssl verify required ca-file @system-ca sni str(" + u.Hostname() + ") check-sni " + u.Hostname() + " verifyhost " + u.Hostname()
	}
	if b.Resolver != "" && net.ParseIP(u.Hostname()) == nil {
		line += " resolvers names init-addr last,none"
	}
	return line
}

var haproxyConfig = template.Must(template.New("haproxy").Parse(`# HAProxy (2.6 or later) in front of {{len .Table.Nodes}} nodes of httpipe, printed by "httpipe nodes haproxy". It sends every request for a
# name to the owner of the name's slot, and to the stand-in of that owner while the owner does not serve. After a change
# of the table: print it again, and reload HAProxy.

# A request that waits takes two of HAProxy's open files. Their limit (LimitNOFILE of systemd, ulimit -n) says how many can.

global
	tune.bufsize 65536 # for the largest head of a request; with a larger --max-header, 8 KiB more than that
	tune.http.maxhdr 288 # httpipe takes 256 headers, and adds some to those that it passes on; 101 otherwise
	hard-stop-after 5s # after a reload no request may keep waiting by the old table
{{if .Resolver}}
resolvers names
	nameserver first {{.Resolver}}
	hold valid 1s
{{end}}
defaults httpipe
	mode http
	timeout connect 2s
	timeout http-request 10s
	timeout http-keep-alive 60s
	timeout client 25h # longer than a request can wait
	timeout server 25h
	option http-no-delay # bytes go as they come
	option abortonclose  # when a waiting client hangs up, HAProxy hangs up at the node
	option clitcpka      # finds clients that vanished
	clitcpka-idle 15s
	clitcpka-intvl 15s
	clitcpka-cnt 4
	retries 0 # a GET takes a message: no request is sent twice
	retry-on none

	# HAProxy's own errors have no body: what a consumer prints must be a message. For a request head that
	# HAProxy cannot parse, or that does not come in time, it uses none of these lines, but a page in HTML.
	http-error status 400 hdr Httpipe-Error bad_request
	http-error status 408 hdr Httpipe-Error timed_out
	http-error status 413 hdr Httpipe-Error bad_request
	http-error status 500 hdr Httpipe-Error node_unreachable hdr Retry-After 1
	http-error status 502 hdr Httpipe-Error node_unreachable hdr Retry-After 1
	http-error status 503 hdr Httpipe-Error node_unreachable hdr Retry-After 1
	http-error status 504 hdr Httpipe-Error node_unreachable hdr Retry-After 1

frontend httpipe from httpipe
	bind {{.Listen}}{{with .Certificate}} ssl crt {{.}} alpn http/1.1{{end}}
	# Behind another proxy, which sets such headers itself, remove these two lines.
	http-request set-header X-Real-IP %[src] # for --client-ip-header X-Real-IP
	http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
	http-request del-header Httpipe-Owner
	http-request del-header Httpipe-Stand-In

	# HTTP/1.0 marks the end of a chunked message by closing the connection, and HAProxy closes it in the same way when the
	# message was cut off. So a client of HTTP/1.0 may send messages, but not receive them.
	http-request return status 505 content-type text/plain string "bad_request: use HTTP/1.1 to receive messages: over HTTP/1.0 a message that is cut off looks whole behind this proxy\n" hdr Httpipe-Error bad_request if HTTP_1.0 { method GET } { path_reg ^/(channels|topics|work)/[^/]+/[^/]+ } or HTTP_1.0 { path_beg /services/ }

	# An EventSource tries again after a 200 only.
	http-request set-var(txn.events) bool(true) if { path_beg /topics/ } { req.hdr(Accept) -m sub text/event-stream }
	http-after-response set-status 200 if { var(txn.events) -m bool } { res.hdr(Httpipe-Error) node_unreachable }
	http-after-response set-header Content-Type text/event-stream if { var(txn.events) -m bool } { res.hdr(Httpipe-Error) node_unreachable }

	# The slot of /channels/NAMESPACE/NAME, and the like. Any node answers all other paths.
	http-request set-var(txn.slot) path,field(3,/,2),crc32(1),mod({{len .Table.Slots}}) if { path_reg ^/(channels|topics|services|work)/[^/]+/[^/]+ }
{{- range .Pairs}}{{$name := .Name}}{{range .Lines}}
	acl {{$name}} var(txn.slot) -m int {{.}}{{end}}{{end}}
{{- range .Pairs}}
	use_backend {{.Name}} if {{.Name}}{{end}}
	default_backend any

# A backend for each owner and its stand-in. The health of a node is whether it serves the owner's slots now: 404 while it
# drains, and 503 from a stand-in whose own probes of the owner succeed. When the owner goes or comes back, the requests
# that run on the other side are cut, so that all clients of a name meet on one node.
defaults slots from httpipe
	option httpchk
	http-check disable-on-404
	default-server inter 500ms fall 2 rise 2
{{range .Pairs}}
backend {{.Name}} from slots
	http-check send meth GET uri /healthz/nodes/{{.Owner.Name}} ver HTTP/1.1 hdr Host {{.Owner.Name}}
	http-request set-header Httpipe-Owner {{.Owner.Name}}
	http-request set-header Httpipe-Stand-In {{.StandIn.Name}}
	use-server {{.Owner.Name}} if { path_reg ^/work/[^/]+/[^/]+/[^/] } # an answer goes to the node that has the call, also while it drains
	http-response return status 503 hdr Httpipe-Error misdirected hdr Retry-After 1 if { status 421 } { res.hdr(Httpipe-Error) misdirected }
	server {{$.Server .Owner}} on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions
	server {{$.Server .StandIn}} fall 1 rise 1 on-marked-down shutdown-sessions backup
{{end}}
backend any from httpipe
	balance source # one client's requests go to one node, as the pages need it
	option httpchk GET /healthz
	default-server inter 1s fall 2 rise 2
{{- range .Table.Nodes}}
	server {{$.Server .}}{{end}}
`))
