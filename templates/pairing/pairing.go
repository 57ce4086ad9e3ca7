// Package pairing has the scripts that pair a machine with its server, and the lines
// with which people start them. They are the text that a library server sends and
// its console shows; the steps are in the scripts themselves, pair.sh and pair.ps1.
package pairing

import (
	"regexp"
	"strconv"
	"strings"
)

// A Script is what a pairing script is filled in with.
type Script struct {
	API     int    // the N of /api/vN that it was asked for with, and asks with
	Profile int64  // of its address; 0 means none
	Product string // the package's name: "illumio-ven"
	Version string // the release that machines get: "25.2.20-10"
	Images  []Image
}

// An Image is a package of that release, for one system.
type Image struct {
	OS       string // the target's label: "el8"
	Arch     string // in the format's spelling: "x86_64"
	Format   string // "rpm", "deb" or "msi"
	Version  string // the package's own: "25.2.20-10.el8"
	FileName string
	Size     int64  // bytes
	SHA256   string // 64 hexadecimal digits
}

// A Line is what a one-liner is made of.
type Line struct {
	API     int    // the N of /api/vN
	Server  string // HOST:PORT, of which IsServer is true
	Profile int64
	Code    string
	// CA is the SHA-256 of the file /ca.crt, 64 hexadecimal digits: the line has a step
	// that fetches and checks it first. Empty means that machines trust the server.
	CA string
}

var server = regexp.MustCompile(`^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]):([1-9][0-9]{0,4})$`)

// IsServer reports whether s is HOST:PORT as the scripts take it: a name, an IPv4
// address or an IPv6 address in brackets.
func IsServer(s string) bool {
	m := server.FindStringSubmatch(s)
	if m == nil || strings.Contains(s, "..") {
		return false
	}
	_, err := strconv.ParseUint(m[1], 10, 16)
	return err == nil
}
