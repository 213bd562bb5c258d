// Package packages tests what scripts/release makes: it installs, upgrades, removes and purges the packages, in a Debian of
// their own that systemd boots. scripts/packages runs it: its files have a build tag, because it needs root.
package packages
