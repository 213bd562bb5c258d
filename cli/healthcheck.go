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

// healthPatience is how long healthcheck waits for an answer.
const healthPatience = 5 * time.Second

// healthcheck is for images without curl.
func healthcheck(c *Config) command {
	return command{
		name: "healthcheck", args: "[URL]", options: pick(c, "port", "host", "config"),
		help: "ask /healthz; exit with 0 if it is well",
		run: func(ctx context.Context, args []string, _, _ io.Writer) error {
			url, err := c.healthURL()
			if len(args) > 0 {
				url, err = args[0], nil
			}
			if err != nil {
				return err
			}
			return askHealth(ctx, url, healthPatience)
		},
	}
}

// healthURL is where a server with these options is asked for its health on the same machine.
func (c *Config) healthURL() (string, error) {
	if c.Port == 0 {
		return "", errors.New("which port the server took is not known (--port 0); give the URL of its /healthz")
	}
	host := c.Host
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(c.Port)) + "/healthz", nil
}

// askHealth returns nil if the answer to a GET is 200. A redirect is not followed: what it leads to is
// somebody else's health.
func askHealth(ctx context.Context, url string, patience time.Duration) error {
	client := http.Client{
		Timeout:       patience,
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
