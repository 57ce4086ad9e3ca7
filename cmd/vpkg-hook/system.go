//go:build !killpoints

package main

import "github.com/vpkg/vpkg/hooks"

// system is the host that is changed. In a program built for tests it ends the
// process before or after one of its effects: see killpoints.go.
func system(h hooks.Host) hooks.System { return h }
