package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpkg/vpkg/library/authority"
)

// welcome says where the server is, how it is trusted, and the first time also the
// administrator's password and what to do next.
func (o *serveOptions) welcome(cmd *cobra.Command, d *data, t transport, at net.Addr) error {
	dir, err := filepath.Abs(d.dir)
	if err != nil {
		return err
	}
	server := t.server(at, len(o.hosts) > 0)
	b := new(bytes.Buffer)
	scheme := "https"
	if t.certs == nil {
		scheme = "http"
	}
	fmt.Fprintf(b, "Library    %s\nAddress    %s://%s/\n", dir, scheme, server)
	if t.ca != nil {
		writeFingerprints(b, t.ca)
	}
	has, err := d.HasAdmin(cmd.Context())
	if err != nil {
		return err
	}
	password := ""
	if os.Getenv("JOURNAL_STREAM") == "" { // in the journal a password would stay
		if password, err = d.EnsureAdmin(cmd.Context()); err != nil {
			return err
		}
	}
	if !has {
		writeFirst(b, dir, server, password, t.ca != nil)
	}
	_, err = cmd.OutOrStdout().Write(b.Bytes())
	return err
}

// writeFingerprints writes what people know an authority by, PEM: the SHA-256 of the
// file, and of the first certificate that is in it.
func writeFingerprints(w io.Writer, ca []byte) {
	first, _ := pem.Decode(ca)
	sum := sha256.Sum256(first.Bytes)
	colons := new(strings.Builder)
	for i, c := range sum {
		if i > 0 {
			colons.WriteByte(':')
		}
		colons.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
	}
	fmt.Fprintf(w, "Authority  %s  sha256sum of /ca.crt\n           %s  SHA-256 fingerprint\n", authority.SHA256(ca), colons)
}

func writeFirst(w io.Writer, dir, server, password string, offers bool) {
	data := " --data " + quote(dir)
	if password != "" {
		fmt.Fprintf(w, "Password   %s  of the console; shown this once\n", password)
	} else {
		fmt.Fprintf(w, "Password   none yet: vpkg-library password%s\n", data)
	}
	fmt.Fprintf(w, `
Next, packages:
  vpkg build --os all --arch all
  vpkg-library import%s dist
and a line that pairs a machine, from the console or by
  vpkg-library profile create%s default
  vpkg-library key create 1 --one-liner linux --server %s%s
`, data, data, server, data)
	if offers {
		fmt.Fprintf(w, `The authority, for machines that are to trust this server:
  vpkg-library ca%s
`, data)
	}
}

// quote makes s one word of a shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(`/._-\:`, r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// server is this server as machines call it: HOST:PORT.
func (t transport) server(at net.Addr, named bool) string {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return at.String()
	}
	if ip := net.ParseIP(host); (named || ip == nil || ip.IsUnspecified()) && len(t.hosts) > 0 {
		host = t.hosts[0]
	}
	return net.JoinHostPort(host, port)
}
