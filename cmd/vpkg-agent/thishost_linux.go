package main

import (
	"bufio"
	"cmp"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vpkg/vpkg/agent"
)

// thisHost is what the server is told of this machine. What cannot be found out
// is left empty.
func thisHost() agent.Host {
	h := agent.Host{Formats: formats("/usr/sbin", "/sbin", "/usr/bin", "/bin")}
	h.Name, _ = os.Hostname()
	f, err := os.Open("/etc/os-release")
	if err != nil {
		h.OSID = osID(strings.NewReader(""), runtime.GOARCH)
		return h
	}
	defer f.Close() // only read
	h.OSID = osID(f, runtime.GOARCH)
	return h
}

// osID gives DISTRIBUTION-ARCHITECTURE-VERSION of an os-release(5).
func osID(release io.Reader, arch string) string {
	values := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(release, 64<<10))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		values[key] = strings.Trim(value, `"'`)
	}
	if a, ok := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686"}[arch]; ok {
		arch = a
	}
	id := cmp.Or(values["ID"], "linux") + "-" + arch
	if v := cmp.Or(values["VERSION_ID"], values["VERSION_CODENAME"]); v != "" {
		id += "-" + v
	}
	return id
}

// formats are those of the rule sets that this host has a tool for.
func formats(folders ...string) []string {
	var found []string
	for _, tool := range []struct{ name, format string }{
		{"nft", agent.FormatNftables}, {"iptables-restore", agent.FormatIptables},
	} {
		for _, dir := range folders {
			if info, err := os.Stat(filepath.Join(dir, tool.name)); err == nil && info.Mode().IsRegular() {
				found = append(found, tool.format)
				break
			}
		}
	}
	return found
}
