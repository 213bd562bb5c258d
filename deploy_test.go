package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"httpipe/test/deploy"
)

// TestFlySettings: what Fly does fits what the server does.
func TestFlySettings(t *testing.T) {
	noEnvironment(t)
	fly := deploy.FlyEnvironment(t)
	c, err := parseConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	service := fly.HTTPService
	if service.InternalPort != c.port || c.host != "" {
		t.Errorf("Fly goes to port %d, and the server listens on %q, port %d", service.InternalPort, c.host, c.port)
	}
	// The log is closed after the drain; a commit may take 5 s.
	if fly.KillTimeout.Duration < c.drainTimeout+10*time.Second || fly.KillTimeout.Duration > 5*time.Minute {
		t.Errorf("it is killed after %v, and drains for %v", fly.KillTimeout, c.drainTimeout)
	}
	if limits := service.Concurrency; limits.Type != "requests" || limits.Soft < 2*c.maxWaiting || limits.Hard < limits.Soft {
		t.Errorf("Fly lets %+v in, and the server lets %d wait", limits, c.maxWaiting)
	}
	if want := fmt.Sprintf("0.0.0.0:%d", fly.Metrics.Port); c.metricsAddr != want || fly.Metrics.Port == c.port || fly.Metrics.Path != "/metrics" {
		t.Errorf("Fly scrapes %+v, and the metrics are at %s", fly.Metrics, c.metricsAddr)
	}
	if c.maxWaitingPerClient <= 0 || c.maxWaitingPerClient > c.maxWaiting/2 {
		t.Errorf("of %d who wait, %d may be one client", c.maxWaiting, c.maxWaitingPerClient)
	}
	if idle := time.Duration(service.Options.IdleTimeout) * time.Second; idle < 24*time.Hour {
		t.Errorf("Fly cuts who waits after %v", idle)
	}
	if service.Options.Compress == nil || *service.Options.Compress || service.Options.H2Backend != nil {
		t.Errorf("http_options are %+v", service.Options)
	}
	if c.clientIPHeader != "Fly-Client-IP" || !c.requireHTTPS || service.ForceHTTPS {
		t.Errorf("the client is in %q, the server requires https: %t, Fly forces it: %t", c.clientIPHeader, c.requireHTTPS, service.ForceHTTPS)
	}
	if len(service.Checks) != 1 || service.Checks[0].Path != "/healthz" || service.Checks[0].Timeout.Duration >= service.Checks[0].Interval.Duration {
		t.Errorf("the checks are %+v", service.Checks)
	}
	if len(fly.Mounts) != 1 || filepath.Dir(c.auditDB) != fly.Mounts[0].Destination {
		t.Errorf("the log is %s, the mounts are %+v", c.auditDB, fly.Mounts)
	} else if m := fly.Mounts[0]; m.Threshold == 0 || m.Increment == "" || m.Limit == "" {
		t.Errorf("the volume does not grow: %+v", m)
	}
	memory, err := parseSize(fly.VM[0].Memory)
	if err != nil {
		t.Fatal(err)
	}
	// What a waiter takes: its goroutines and connection, the read-ahead, the kernel's receive buffer.
	if most := int64(c.maxWaiting) * (25_000 + c.readAhead + 128<<10); most > memory {
		t.Errorf("%d who wait may take %d MB, of %s", c.maxWaiting, most>>20, fly.VM[0].Memory)
	}
	if goes, err := parseSize(fly.Env["GOMEMLIMIT"]); err != nil || goes > memory/2 {
		t.Errorf("GOMEMLIMIT is %s of %s, %v", fly.Env["GOMEMLIMIT"], fly.VM[0].Memory, err)
	}
}

// TestUnitSettings: what systemd does fits what the server does.
func TestUnitSettings(t *testing.T) {
	noEnvironment(t)
	for _, line := range deploy.Unit(t, "Environment") {
		for _, variable := range strings.Fields(line) {
			name, value, _ := strings.Cut(variable, "=")
			t.Setenv(name, value)
		}
	}
	c, err := parseConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.host != "127.0.0.1" || c.clientIPHeader != "X-Real-IP" || !c.requireHTTPS {
		t.Errorf("behind the proxy it listens on %q, for clients of %q, and requires https: %t", c.host, c.clientIPHeader, c.requireHTTPS)
	}
	if state := deploy.Unit(t, "StateDirectory")[0]; filepath.Dir(c.auditDB) != "/var/lib/"+state {
		t.Errorf("the log is %s, and the directory that it may write is %s", c.auditDB, state)
	}
	stop, err := parseDuration(deploy.Unit(t, "TimeoutStopSec")[0])
	if err != nil || stop < c.drainTimeout+10*time.Second {
		t.Errorf("it is killed after %v, and drains for %v, %v", stop, c.drainTimeout, err)
	}
	files, err := parseCount(deploy.Unit(t, "LimitNOFILE")[0])
	if err != nil {
		t.Fatal(err)
	}
	if waiting, err := waitingLimitOf(0, int64(files)); err != nil || waiting != mostWaiting {
		t.Errorf("with %d files %d may wait, %v", files, waiting, err)
	}
}

// TestComposeSettings: what Compose does fits what the server does.
func TestComposeSettings(t *testing.T) {
	compose := deploy.ReadCompose(t)
	relay := compose.Services["httpipe"]
	noEnvironment(t)
	deploy.ImageEnvironment(t)
	for name, value := range relay.Environment {
		t.Setenv(name, value)
	}
	t.Setenv("HTTPIPE_AUTH_SECRET", aSecret)
	c, err := parseConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.clientIPHeader != "X-Real-IP" || !c.requireHTTPS {
		t.Errorf("behind Caddy its clients are in %q, and it requires https: %t", c.clientIPHeader, c.requireHTTPS)
	}
	if len(relay.Volumes) != 1 || relay.Volumes[0].Target != filepath.Dir(c.auditDB) {
		t.Errorf("the log is %s, the volumes are %v", c.auditDB, relay.Volumes)
	}
	for name, service := range compose.Services {
		if grace, err := time.ParseDuration(service.Grace); err != nil || grace < c.drainTimeout+10*time.Second {
			t.Errorf("%s is killed after %v, and the relay drains for %v, %v", name, grace, c.drainTimeout, err)
		}
	}
	if c.port != 3000 {
		t.Errorf("Caddy goes to port 3000, and the relay listens on %d", c.port)
	}
}

// TestImageSettings: what the Dockerfile says fits what the server does.
func TestImageSettings(t *testing.T) {
	noEnvironment(t)
	deploy.ImageEnvironment(t)
	c, err := parseConfig(nil)
	if err != nil || c.auditDB != "/data/httpipe.db" || c.dropTo.uid != 65532 || c.dropTo.gid != 65532 {
		t.Errorf("in the image the log is %q, and the user %+v, %v", c.auditDB, c.dropTo, err)
	}
	stages, err := deploy.ImageStages()
	if err != nil {
		t.Fatal(err)
	}
	if port := deploy.Argument(t, stages[len(stages)-1], "EXPOSE", ""); port != fmt.Sprint(c.port) {
		t.Errorf("it exposes port %s, and listens on %d", port, c.port)
	}
}
