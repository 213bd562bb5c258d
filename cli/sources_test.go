package cli

import (
	"reflect"
	"strings"
	"testing"
)

func TestConfigFile(t *testing.T) {
	noEnvironment(t)
	path := writeFile(t, "\ufeff# all of the format\r\n\n  --read-ahead 32KiB # a comment\n\tp\t8081\t# another\n"+
		"audit-db a b#c.db\n   # indented\nhost ::1")
	want := defaults()
	want.Port, want.AuditDB, want.Host, want.ConfigFile, want.ReadAhead = 8081, "a b#c.db", "::1", path, 32<<10

	got, err := parseConfig([]string{"--config", path})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("by flag: got %+v, %v\nwant %+v", got, err, want)
	}
	t.Setenv("HTTPIPE_CONFIG", path)
	got, err = parseConfig(nil)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("by variable: got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestUnknownVariables(t *testing.T) {
	for entry, want := range map[string]string{
		"HTTPIPE_PORT=80":                         "",
		"HTTPIPE_AUTH_SECRET=x":                   "",
		"PORT=80":                                 "",
		"PATH=/bin":                               "",
		"HTTPIPE_PORT=tcp://10.0.0.1:80":          "",
		"HTTPIPE_PORT_3000_TCP=tcp://10.0.0.1:80": "",
		"HTTPIPE_PORT_3000_TCP_ADDR=10.0.0.1":     "",
		"HTTPIPE_SERVICE_HOST=10.0.0.1":           "",
		"HTTPIPE_SERVICE_PORT_HTTP=80":            "",
		"HTTPIPE_PROT=80":                         "variable HTTPIPE_PROT is ignored: there is no such option (did you mean HTTPIPE_PORT?)",
		"HTTPIPE_P=80":                            "variable HTTPIPE_P is ignored: there is no such option",
		"HTTPIPE_=hunter2":                        "variable HTTPIPE_ is ignored: there is no such option",
		"HTTPIPE_AUTH_SECRETS=hunter2":            "variable HTTPIPE_AUTH_SECRETS is ignored: there is no such option (did you mean HTTPIPE_AUTH_SECRET?)",
		"HTTPIPE_TOKENS=hunter2":                  "variable HTTPIPE_TOKENS is ignored: there is no such option (did you mean HTTPIPE_TOKEN?)",
		"HTTPIPE_TOKEN=hunter2":                   "",
	} {
		if got := strings.Join(UnknownVariables([]string{entry}), "|"); got != want {
			t.Errorf("%s: %s, want %s", entry, got, want)
		}
	}
}
