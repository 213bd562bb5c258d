package cli

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"httpipe/client"
)

// healthTimeout is how long healthcheck waits for an answer.
const healthTimeout = 5 * time.Second

// healthcheck is for images without curl.
func healthcheck(c *Config) command {
	picked := pick(c, "port", "host", "tls-cert", "tls-domain", "config")
	reword(picked, "port", "port of the server to ask, unless a URL is given")
	reword(picked, "host", "address of the server to ask, if not 127.0.0.1")
	reword(picked, "tls-cert", "certificate of the server; makes the check use TLS")
	reword(picked, "tls-domain", "name in the server's certificate; makes the check use TLS")
	return command{
		name: "healthcheck", args: "[URL]", options: picked,
		help: "ask a server for its health; exit with 0 if healthy",
		more: "URL is the address of the server or of its /healthz. Without it, the options say where it is.\nA certificate is verified only if a URL is given.",
		run: func(ctx context.Context, args []string, _, _ io.Writer) error {
			address, err := c.healthURL()
			// The server on this machine is asked by its IP address, which is not in its certificate.
			trust := &tls.Config{InsecureSkipVerify: true, ServerName: c.TLSDomain}
			if len(args) > 0 {
				address, err = healthAddress(args[0])
				trust = nil
			}
			if err != nil {
				return err
			}
			return askHealth(ctx, address, trust, healthTimeout)
		},
	}
}

// healthAddress returns the address of /healthz for the URL that the user gave: of a server, or of /healthz. Any other
// path could answer 200 and say nothing about the health. A URL without a scheme is one of http.
func healthAddress(text string) (string, error) {
	address := text
	if !strings.Contains(text, "://") {
		address = "http://" + text
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", usageErrorf("%q is not a URL; write the address of /healthz, such as http://localhost:3000/healthz", text)
	}
	if err := client.CheckPort(u); err != nil {
		return "", usageError{err}
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/healthz"
	}
	if !strings.HasSuffix(u.Path, "/healthz") {
		return "", usageErrorf("%s is not the address of /healthz; write %s://%s/healthz", text, u.Scheme, u.Host)
	}
	return u.String(), nil
}

// healthURL returns the address of /healthz of a server that has these options and runs on this machine.
func (c *Config) healthURL() (string, error) {
	if c.Port == 0 {
		return "", errors.New("--port 0 does not say which port the server chose; give the URL of its /healthz")
	}
	host := c.Host
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http://"
	if c.TLS() {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, strconv.Itoa(c.Port)) + "/healthz", nil
}

// askHealth returns nil if the answer to a GET is 200. It follows no redirect, because that leads to another server. A
// trust of nil verifies certificates as usual.
func askHealth(ctx context.Context, url string, trust *tls.Config, timeout time.Duration) error {
	asker := http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust},
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := asker.Do(req)
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		return fmt.Errorf("%s: no answer within %v", url, timeout)
	}
	if err != nil {
		return fmt.Errorf("%s: %s", url, client.Explain(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	why, _ := bufio.NewReader(io.LimitReader(resp.Body, 1000)).ReadString('\n')
	return errors.New(strings.TrimRight(fmt.Sprintf("%s: %s: %s", url, resp.Status, strings.TrimSpace(why)), ": "))
}
