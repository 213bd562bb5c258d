package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// healthTimeout is how long healthcheck waits for an answer.
const healthTimeout = 5 * time.Second

// healthcheck is for images without curl.
func healthcheck(c *Config) command {
	picked := pick(c, "port", "host", "config")
	picked[0].help = "port of the server to ask, unless a URL is given"
	picked[1].help = "address of the server to ask, if not 127.0.0.1"
	return command{
		name: "healthcheck", args: "[URL]", options: picked,
		help: "ask a server for its health; exit with 0 if it is healthy",
		more: "URL is the address of the server's /healthz. Without it, the options say where the server is.",
		run: func(ctx context.Context, args []string, _, _ io.Writer) error {
			url, err := c.healthURL()
			if len(args) > 0 {
				url, err = args[0], nil
			}
			if err != nil {
				return err
			}
			return askHealth(ctx, url, healthTimeout)
		},
	}
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
	return "http://" + net.JoinHostPort(host, strconv.Itoa(c.Port)) + "/healthz", nil
}

// askHealth returns nil if the answer to a GET is 200. It follows no redirect, because that leads to another server.
func askHealth(ctx context.Context, url string, timeout time.Duration) error {
	client := http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	why, _ := bufio.NewReader(io.LimitReader(resp.Body, 1000)).ReadString('\n')
	return errors.New(strings.TrimRight(fmt.Sprintf("%s: %s: %s", url, resp.Status, strings.TrimSpace(why)), ": "))
}
