//go:build !linux

package process

import "errors"

// Drop returns an error if there is an account: only Linux is supported.
func Drop(to Account, _ ...string) error {
	if to.Given != "" {
		return errors.New("--drop-to works on Linux only; start httpipe as the user it should run as")
	}
	return nil
}
