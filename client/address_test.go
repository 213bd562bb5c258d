package client

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"http://localhost:3000/channels/demo/hello":           "http://localhost:3000/channels/demo/hello?wait=1s demo/hello",
		"localhost:3000/channels/demo/hello/":                 "http://localhost:3000/channels/demo/hello?wait=1s demo/hello",
		"https://relay.example/under/channels/demo/a(b)!'*$&": "https://relay.example/under/channels/demo/a(b)!'*$&?wait=1s demo/a(b)!'*$&",
		"relay.example/channels/demo/hello?headers&x=%41":     "http://relay.example/channels/demo/hello?headers&x=%41&wait=1s demo/hello",
		"http://localhost:3000/#hello":                        "http://localhost:3000/channels/v1/hello?wait=1s v1/hello",
		"http://localhost:3000/#demo/hello":                   "http://localhost:3000/channels/demo/hello?wait=1s demo/hello",
		"http://localhost:3000/channels/demo/a%2fb":           "http://localhost:3000/channels/demo/a%2fb?wait=1s demo/a%2fb",
	} {
		a, err := ParseAddress(text, Channel)
		if got := a.waiting(1e9) + " " + a.Name(); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                                   `"" is not the URL of a channel`,
		"localhost:3000":                     "such as http://localhost:3000/channels/demo/hello",
		"localhost:3000/channels/demo":       "is not the URL of a channel",
		"localhost:3000/channels/demo/a/b":   "is not the URL of a channel",
		"localhost:3000/channels//a":         "is not the URL of a channel",
		"localhost:99999/channels/a/b":       "the port 99999 in the URL must be from 1 to 65535",
		"localhost:0/channels/a/b":           "the port 0 in the URL must be from 1 to 65535",
		"ftp://host/channels/demo/a":         "is not the URL of a channel",
		"host/channels/a/b?token=hunter2":    "--token-file",
		"host/channels/a/b?x;token=hunter2":  "cannot be parsed",
		"host:port/channels/a?token=hunter2": "is not the URL of a channel",
		"http://:hunter2@host/channels/a/b":  "HTTPIPE_TOKEN",
		"http://:hunter2@h:x/channels/a/b":   "is not the URL of a channel",
		"host/channels/a/b?wait=3":           "use --wait instead",
	} {
		_, err := ParseAddress(text, Channel)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}
