//go:build linux

package pairing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// These tests run the script in boxes, with the tests' server in the same box.

const (
	boxServer = "127.0.0.1:8443"
	boxCode   = "1c0dec0dec0de"
	boxDir    = "/opt/illumio_ven_data/tmp"
)

func TestMain(m *testing.M) {
	testbed.Main(m, testbed.Setup{Suites: []testbed.Suite{testbed.Bookworm}, Before: buildServer})
}

func buildServer(ctx context.Context, dir string) error {
	if _, err := fetchParser(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err) // TestWindowsSyntax is skipped, or fails
	}
	if _, err := os.ReadDir("../../e2e/pce"); err != nil { // an input, for go's cache of results
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "pce"), "../../e2e/pce")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// A host is a box with a server that offers the release of example, whose packages
// are none, and knows boxCode.
type host struct{ *testbed.Box }

func newHost(t *testing.T, s testbed.Suite) host {
	t.Helper()
	h := host{testbed.New(t, s)}
	h.Copy(t, "/pce", filepath.Join(testbed.Dir(t), "pce"))
	type entry struct {
		Name, Format, Version, OS, Arch, SHA256 string
		Size                                    int64
	}
	var entries []entry
	for _, i := range example().Images {
		body := bytes.Repeat([]byte(i.FileName+"\n"), 4000)
		h.Write(t, "/pce/dist/"+i.FileName, string(body))
		entries = append(entries, entry{i.FileName, i.Format, i.Version, i.OS, i.Arch, fmt.Sprintf("%x", sha256.Sum256(body)), int64(len(body))})
	}
	list, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	h.Write(t, "/pce/dist/artifacts.json", string(list))
	h.Write(t, "/pce/codes", boxCode+"\n")
	h.serve(t)
	return h
}

// serve starts the server.
func (h host) serve(t *testing.T, options ...string) {
	t.Helper()
	h.Write(t, "/pce/run", `cd /pce
chmod 755 pce
: >out
setsid ./pce --listen `+boxServer+` --code-file codes --ca-out ca.pem --images dist --calls calls "$@" >out 2>&1 </dev/null &
echo $! >pid
i=0
until grep -q listening out; do i=$((i + 1)); [ $i -lt 100 ] || { cat out >&2; exit 1; }; sleep 0.1; done
curl -sS --cacert ca.pem 'https://`+boxServer+`/api/v18/software/ven/image?pair_script=pair.sh&profile_id=2' >pair.sh
chmod 755 pair.sh
`)
	h.Run(t, append([]string{"sh", "/pce/run"}, options...)...).OK(t)
}

// pair runs the script in a shell.
func (h host) pair(t *testing.T, shell []string, options ...string) testbed.Result {
	t.Helper()
	argv := append(append([]string{}, shell...), "/pce/pair.sh", "--management-server", boxServer, "--ca-file", "/pce/ca.pem")
	return h.Run(t, append(argv, options...)...)
}
