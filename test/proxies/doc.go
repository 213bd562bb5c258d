// Package proxies tests the relay behind nginx, Caddy and HAProxy as deploy/ configures them.
package proxies
