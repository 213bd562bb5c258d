// Package browser tests the pages in a real Chromium, as a person uses them.
package browser
