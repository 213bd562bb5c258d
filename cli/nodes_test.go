package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"httpipe/test/kit"
)

// TestNodes: the two commands print the same table in two forms, from a file too, and refuse what cannot be one.
func TestNodes(t *testing.T) {
	noEnvironment(t)
	const three = " --node n1=http://10.0.0.1:3000 --node n2=http://10.0.0.2:3000 --node n3=https://relay.example"
	table, err := runWith(t, "nodes table --slots 9"+three)
	if err != nil || !strings.Contains(table, "node n3 https://relay.example\n") || strings.Count(table, "\nslot ") != 9 {
		t.Fatalf("%v, printed %s", err, table)
	}
	file := kit.WriteFile(t, filepath.Join(t.TempDir(), "nodes.txt"), table)
	fromNodes, err := runWith(t, "nodes haproxy --slots 9"+three)
	if err != nil || !strings.Contains(fromNodes, "\tbind :80\n") || !strings.Contains(fromNodes, "server n3 relay.example:443 check ssl verify required") {
		t.Errorf("%v, printed %s", err, fromNodes)
	}
	if fromFile, err := runWith(t, "nodes haproxy --nodes "+file); err != nil || fromFile != fromNodes {
		t.Errorf("from the file: %v, printed %s", err, fromFile)
	}
	if secure, err := runWith(t, "nodes haproxy --tls-cert relay.pem --nodes "+file); err != nil || !strings.Contains(secure, "\tbind :443 ssl crt relay.pem alpn http/1.1\n") {
		t.Errorf("with a certificate: %v, printed %s", err, secure)
	}
	for args, want := range map[string]string{
		"nodes table":                                       "--node is missing",
		"nodes haproxy":                                     "--node is missing",
		"nodes table --node n1=http://a":                    "a table needs two nodes or more, and has 1; a single server needs no table",
		"nodes table --node n1=http://a n2=http://b":        `unexpected argument "n2=http://b"`,
		"nodes table --node n1=http://a --node n1=http://b": "two nodes are called n1",
		"nodes table --node n1=http://a --node n2=http://a": "nodes n1 and n2 have the same URL",
		"nodes table --node n1=a:1 --node n2=b:1":           `the address "a:1" of node n1 is not a URL: want http:// or https://`,
		"nodes table --node http://a --node http://b":       "want NAME=URL",
		"nodes table --slots 1" + three:                     "1 slots for 3 nodes: want from 3 to 1024",
		"nodes haproxy --nodes no-such-file":                "no-such-file: no such file or directory; httpipe nodes table prints one",
		"nodes haproxy --nodes " + file + three:             "--nodes and --node are both set",
		"nodes haproxy --slots 8 --nodes " + file:           "--nodes and --slots are both set",
		"nodes haproxy --nodes " + filepath.Dir(file):       filepath.Dir(file) + ": is a directory",
		"nodes haproxy --tls-cert a#b" + three:              `must not contain spaces, quotes, \ or #`,
		"nodes haproxy --listen 80" + three:                 "want an address with its port",
	} {
		if _, err := runWith(t, args); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v\nwant %s", args, err, want)
		}
	}
}
