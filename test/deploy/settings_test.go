package deploy

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"

	"httpipe/cli"
	"httpipe/process"
	"httpipe/test/kit"
)

// relayConfig returns what the environment starts the relay with.
func relayConfig() (got cli.Config, err error) {
	err = cli.Program{Serve: func(_ context.Context, _ string, c *cli.Config, _, _ io.Writer) error {
		got = *c
		return nil
	}}.Run(context.Background(), nil)
	return got, err
}

// TestFlySettings: what Fly does fits what the server does.
func TestFlySettings(t *testing.T) {
	fly := FlyEnvironment(t)
	c, err := relayConfig()
	if err != nil {
		t.Fatal(err)
	}
	service := fly.HTTPService
	if service.InternalPort != c.Port || c.Host != "" {
		t.Errorf("Fly goes to port %d, and the server listens on %q, port %d", service.InternalPort, c.Host, c.Port)
	}
	// The log is closed after the drain; a commit may take 5 s.
	if fly.KillTimeout.Duration < c.DrainTimeout+10*time.Second || fly.KillTimeout.Duration > 5*time.Minute {
		t.Errorf("it is killed after %v, and drains for %v", fly.KillTimeout, c.DrainTimeout)
	}
	if limits := service.Concurrency; limits.Type != "requests" || limits.Soft < 2*c.MaxWaiting || limits.Hard < limits.Soft {
		t.Errorf("Fly lets %+v in, and the server lets %d wait", limits, c.MaxWaiting)
	}
	if want := fmt.Sprintf("0.0.0.0:%d", fly.Metrics.Port); c.MetricsAddr != want || fly.Metrics.Port == c.Port || fly.Metrics.Path != "/metrics" {
		t.Errorf("Fly scrapes %+v, and the metrics are at %s", fly.Metrics, c.MetricsAddr)
	}
	if c.MaxWaitingPerClient <= 0 || c.MaxWaitingPerClient > c.MaxWaiting/2 {
		t.Errorf("of %d waiting requests, %d may be of one client", c.MaxWaiting, c.MaxWaitingPerClient)
	}
	if idle := time.Duration(service.Options.IdleTimeout) * time.Second; idle < 24*time.Hour {
		t.Errorf("Fly cuts waiting requests after %v", idle)
	}
	if service.Options.Compress == nil || *service.Options.Compress || service.Options.H2Backend != nil {
		t.Errorf("http_options are %+v", service.Options)
	}
	if c.ClientIPHeader != "Fly-Client-IP" || !c.RequireHTTPS || service.ForceHTTPS {
		t.Errorf("the client is in %q, the server requires https: %t, Fly forces it: %t", c.ClientIPHeader, c.RequireHTTPS, service.ForceHTTPS)
	}
	if len(service.Checks) != 1 || service.Checks[0].Path != "/healthz" || service.Checks[0].Timeout.Duration >= service.Checks[0].Interval.Duration {
		t.Errorf("the checks are %+v", service.Checks)
	}
	if len(fly.Mounts) != 1 || filepath.Dir(c.AuditDB) != fly.Mounts[0].Destination {
		t.Errorf("the log is %s, the mounts are %+v", c.AuditDB, fly.Mounts)
	} else if m := fly.Mounts[0]; m.Threshold == 0 || m.Increment == "" || m.Limit == "" {
		t.Errorf("the volume does not grow: %+v", m)
	}
	memory, err := humanize.ParseBytes(fly.VM[0].Memory)
	if err != nil {
		t.Fatal(err)
	}
	// What a waiter takes: its goroutines and connection, the read-ahead, the kernel's receive buffer.
	if most := int64(c.MaxWaiting) * (25_000 + c.ReadAhead + 128<<10); uint64(most) > memory {
		t.Errorf("%d waiting requests may take %d MB, of %s", c.MaxWaiting, most>>20, fly.VM[0].Memory)
	}
	if goes, err := humanize.ParseBytes(fly.Env["GOMEMLIMIT"]); err != nil || goes > memory/2 {
		t.Errorf("GOMEMLIMIT is %s of %s, %v", fly.Env["GOMEMLIMIT"], fly.VM[0].Memory, err)
	}
}

// TestUnitSettings: what systemd does fits what the server does.
func TestUnitSettings(t *testing.T) {
	for _, line := range Unit(t, "Environment") {
		for _, variable := range strings.Fields(line) {
			name, value, _ := strings.Cut(variable, "=")
			t.Setenv(name, value)
		}
	}
	c, err := relayConfig()
	if err != nil {
		t.Fatal(err)
	}
	if c.Host != "127.0.0.1" || c.ClientIPHeader != "X-Real-IP" || !c.RequireHTTPS {
		t.Errorf("behind the proxy it listens on %q, for clients of %q, and requires https: %t", c.Host, c.ClientIPHeader, c.RequireHTTPS)
	}
	if state := Unit(t, "StateDirectory")[0]; filepath.Dir(c.AuditDB) != "/var/lib/"+state {
		t.Errorf("the log is %s, and the directory that it may write is %s", c.AuditDB, state)
	}
	stop, err := time.ParseDuration(Unit(t, "TimeoutStopSec")[0] + "s")
	if err != nil || stop < c.DrainTimeout+10*time.Second {
		t.Errorf("it is killed after %v, and drains for %v, %v", stop, c.DrainTimeout, err)
	}
	files, err := strconv.Atoi(Unit(t, "LimitNOFILE")[0])
	if err != nil {
		t.Fatal(err)
	}
	if waiting, err := process.WaitingLimitOf(0, int64(files)); err != nil || waiting != process.MaxAutoWaiting {
		t.Errorf("with %d files %d may wait, %v", files, waiting, err)
	}
}

// TestComposeSettings: what Compose does fits what the server does.
func TestComposeSettings(t *testing.T) {
	compose := ReadCompose(t)
	relay := compose.Services["httpipe"]
	ImageEnvironment(t)
	for name, value := range relay.Environment {
		t.Setenv(name, value)
	}
	t.Setenv("HTTPIPE_AUTH_SECRET", kit.Secret)
	c, err := relayConfig()
	if err != nil {
		t.Fatal(err)
	}
	if c.ClientIPHeader != "X-Real-IP" || !c.RequireHTTPS {
		t.Errorf("behind Caddy its clients are in %q, and it requires https: %t", c.ClientIPHeader, c.RequireHTTPS)
	}
	if len(relay.Volumes) != 1 || relay.Volumes[0].Target != filepath.Dir(c.AuditDB) {
		t.Errorf("the log is %s, the volumes are %v", c.AuditDB, relay.Volumes)
	}
	for name, service := range compose.Services {
		if grace, err := time.ParseDuration(service.Grace); err != nil || grace < c.DrainTimeout+10*time.Second {
			t.Errorf("%s is killed after %v, and the relay drains for %v, %v", name, grace, c.DrainTimeout, err)
		}
	}
	if c.Port != 3000 {
		t.Errorf("Caddy goes to port 3000, and the relay listens on %d", c.Port)
	}
}

// TestImageSettings: what the Dockerfile says fits what the server does.
func TestImageSettings(t *testing.T) {
	ImageEnvironment(t)
	c, err := relayConfig()
	if err != nil || c.AuditDB != "/data/httpipe.db" || c.DropTo.UID != 65532 || c.DropTo.GID != 65532 {
		t.Errorf("in the image the log is %q, and the user %+v, %v", c.AuditDB, c.DropTo, err)
	}
	stages, err := ImageStages()
	if err != nil {
		t.Fatal(err)
	}
	if port := Argument(t, stages[len(stages)-1], "EXPOSE", ""); port != fmt.Sprint(c.Port) {
		t.Errorf("it exposes port %s, and listens on %d", port, c.Port)
	}
}
