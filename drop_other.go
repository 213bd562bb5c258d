//go:build !linux

package main

import "errors"

// drop is for systems on which nobody has tried it.
func drop(c *config) error {
	if c.dropTo.given != "" {
		return errors.New("--drop-to works on Linux only; start httpipe as the user whom it should be")
	}
	return nil
}
