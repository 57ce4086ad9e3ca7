package firewall

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A restSystem is a host with iptables-nft, and with a table nat as it says.
type restSystem struct {
	files  map[string]string
	nat    string // what iptables-nft-save prints
	loaded string // by iptables-nft-restore
}

func (s *restSystem) Run(_ context.Context, argv ...string) (string, error) {
	switch strings.Join(argv[:min(2, len(argv))], " ") {
	case "nft list", "iptables-nft -V":
		return "", nil
	case "iptables-nft-save":
		return s.nat, nil
	case "iptables-nft-restore --noflush":
		s.loaded += s.files[argv[2]]
		return "", nil
	}
	return "", exec.ErrNotFound
}

func (s *restSystem) ReadFile(name string) ([]byte, error) {
	text, ok := s.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

func (s *restSystem) WriteFile(name string, b []byte, _ fs.FileMode) error {
	s.files[name] = string(b)
	return nil
}

func (s *restSystem) Remove(name string) error {
	delete(s.files, name)
	return nil
}

// TestLoadRest loads, after a start of the host, what was saved besides filter
// rules, without other programs' chains, and not over what is there.
func TestLoadRest(t *testing.T) {
	const saved = `*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:mine - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A PREROUTING -j mine
-A DOCKER -i docker0 -j RETURN
-A mine -d 192.0.2.1/32 -j DNAT --to-destination 192.0.2.2
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
COMMIT
*filter
:INPUT DROP [0:0]
COMMIT
`
	for _, c := range []struct{ name, now, want string }{
		{"nothing is there", "", `*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:mine - [0:0]
-A PREROUTING -j mine
-A mine -d 192.0.2.1/32 -j DNAT --to-destination 192.0.2.2
COMMIT
`},
		{"empty chains are there", "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j CT\nCOMMIT\n", `*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:mine - [0:0]
-A PREROUTING -j mine
-A mine -d 192.0.2.1/32 -j DNAT --to-destination 192.0.2.2
COMMIT
`},
		{"somebody has been faster", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j ACCEPT\nCOMMIT\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			const dir = "/state"
			s := &restSystem{nat: c.now, files: map[string]string{filepath.Join(dir, "000001", "iptables-nft.rules"): saved}}
			f := &Firewall{Sys: s, Dir: dir}
			set := Set{ID: "000001", Parts: []Part{{View: "iptables-nft", File: "iptables-nft.rules"}}}
			if err := f.LoadRest(t.Context(), set); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, s.loaded); diff != "" {
				t.Errorf("what is loaded (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("programs that are gone", func(t *testing.T) {
		s := &restSystem{files: map[string]string{"/state/000001/x": saved}}
		err := (&Firewall{Sys: s, Dir: "/state"}).LoadRest(t.Context(), Set{ID: "000001", Parts: []Part{{View: "ip6tables-nft", File: "x"}}})
		if err == nil || errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "ip6tables-nft") {
			t.Errorf("want an error about ip6tables-nft, not %v", err)
		}
	})
}
