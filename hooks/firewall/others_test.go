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

// savedOthers is what iptables-nft-save 1.8.9 printed of a host with Docker.
const savedOthers = `*mangle
:PREROUTING ACCEPT [1:2]
:INPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
COMMIT
*raw
:PREROUTING DROP [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
*nat
:PREROUTING ACCEPT [3:4]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:mine - [0:0]
:to-docker - [0:0]
[1:60] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A PREROUTING -p tcp -m comment --comment "not -j DOCKER" -j mine
-A POSTROUTING -o eth9 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A mine -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080
-A to-docker -g DOCKER
COMMIT
*filter
:INPUT DROP [0:0]
:DOCKER - [0:0]
-A INPUT -j DOCKER
COMMIT
*security
:INPUT ACCEPT [0:0]
:DOCKER-SEC - [0:0]
-A INPUT -j DOCKER-SEC
-A DOCKER-SEC -j RETURN
COMMIT
`

func TestOtherTables(t *testing.T) {
	for _, c := range []struct {
		table string
		acts  bool
		want  string
	}{
		{"mangle", false, "*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n"},
		{"raw", true, "*raw\n:PREROUTING DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"},
		{"nat", true, `*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:mine - [0:0]
:to-docker - [0:0]
-A PREROUTING -p tcp -m comment --comment "not -j DOCKER" -j mine
-A POSTROUTING -o eth9 -j MASQUERADE
-A mine -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080
COMMIT
`},
		{"security", false, "*security\n:INPUT ACCEPT [0:0]\nCOMMIT\n"},
		{"none", false, "*none\nCOMMIT\n"},
	} {
		t.Run(c.table, func(t *testing.T) {
			x, _ := parseSection(savedOthers, c.table)
			before := x.section(c.table)
			x2 := x.withoutForeign()
			if diff := cmp.Diff(c.want, x2.section(c.table)); diff != "" {
				t.Errorf("without other programs' (-want +got):\n%s", diff)
			}
			if got := x2.acts(); got != c.acts {
				t.Errorf("it does something: %v, want %v", got, c.acts)
			}
			if after := x.section(c.table); after != before {
				t.Errorf("what was parsed is changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

func TestListingText(t *testing.T) {
	want := strings.ReplaceAll(listed, "\n\n", "\n")
	if diff := cmp.Diff(want, parseListing(listed).text()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// A oneSystem is a host with iptables-nft, and with a table nat as it says.
type oneSystem struct {
	files  map[string]string
	nat    string // what iptables-nft-save prints
	bridge bool   // there is a table that nft cannot list
	loaded string // by iptables-nft-restore
}

func (s *oneSystem) Run(ctx context.Context, argv ...string) (string, error) {
	return s.Feed(ctx, "", argv...)
}

func (s *oneSystem) Feed(_ context.Context, input string, argv ...string) (string, error) {
	switch strings.Join(argv[:min(2, len(argv))], " ") {
	case "nft list":
		return "", nil
	case "nft -s":
		if s.bridge && len(argv) == 4 {
			return "table bridge b {\n}\n", errors.New("exit status 1")
		}
		if s.nat != "" && (len(argv) == 4 || argv[4] == "ip") {
			return "table ip nat {\n}\n", nil
		}
		return "", nil
	case "iptables-nft -V":
		return "", nil
	case "iptables-nft-save", "iptables-nft-save -t":
		return s.nat, nil
	case "iptables-nft-restore --noflush":
		s.loaded += input
		return "", nil
	}
	return "", exec.ErrNotFound
}

func (s *oneSystem) ReadFile(name string) ([]byte, error) {
	text, ok := s.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

func (s *oneSystem) WriteFile(name string, b []byte, _ fs.FileMode) error {
	s.files[name] = string(b)
	return nil
}

func (s *oneSystem) Remove(name string) error {
	delete(s.files, name)
	return nil
}

// TestLoadOthers loads, after a start of the host, what was saved besides filter
// rules, without other programs' chains, and not over what is there.
func TestLoadOthers(t *testing.T) {
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
			set := Set{ID: "000001", Parts: []Part{{View: "iptables-nft", File: "iptables-nft.rules"}}}
			for _, bridge := range []bool{false, true} {
				s := &oneSystem{nat: c.now, bridge: bridge, files: map[string]string{filepath.Join(dir, "000001", "iptables-nft.rules"): saved}}
				f := &Firewall{Sys: s, Dir: dir}
				if err := f.LoadOthers(t.Context(), set); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, s.loaded); diff != "" {
					t.Errorf("with a table that cannot be listed %t, what is loaded (-want +got):\n%s", bridge, diff)
				}
			}
		})
	}
	t.Run("programs that are gone", func(t *testing.T) {
		s := &oneSystem{files: map[string]string{"/state/000001/x": saved}}
		err := (&Firewall{Sys: s, Dir: "/state"}).LoadOthers(t.Context(), Set{ID: "000001", Parts: []Part{{View: "ip6tables-nft", File: "x"}}})
		if err == nil || errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "ip6tables-nft") {
			t.Errorf("want an error about ip6tables-nft, not %v", err)
		}
	})
}
