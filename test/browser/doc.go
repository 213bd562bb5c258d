// Package browser uses the pages as people do, in a real Chromium.
package browser
