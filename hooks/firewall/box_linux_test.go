package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// envInside says that this process is in a box: the test binary runs there again,
// because connection tracking is spoken to from inside the namespace.
const envInside = "VPKG_FIREWALL_BOX"

func TestMain(m *testing.M) {
	if os.Getenv(envInside) != "" {
		os.Exit(m.Run()) //nolint:forbidigo // what a TestMain does
	}
	testbed.Main(m, testbed.Setup{Suites: []testbed.Suite{testbed.Trixie, testbed.Bookworm}})
}

// A scenario is run in a box, where it can do to the network what it likes.
type scenario struct {
	name string
	run  func(t *testing.T)
	once bool // in one suite only: it takes long, and is not about the tools
}

// TestReal runs each scenario in a box of each suite.
func TestReal(t *testing.T) {
	if os.Getenv(envInside) != "" {
		needBox(t)
		for _, s := range scenarios {
			t.Run(s.name, s.run)
		}
		return
	}
	testbed.Need(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range []testbed.Suite{testbed.Trixie, testbed.Bookworm} {
		for _, s := range scenarios {
			if s.once && suite.Name != testbed.Trixie.Name {
				continue
			}
			t.Run(suite.Name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				b := testbed.New(t, suite)
				program := b.Copy(t, "/firewall", self)[0]
				if err := os.Chmod(b.Path(program), 0o755); err != nil {
					t.Fatal(err)
				}
				r := b.Env(t, []string{envInside + "=1"}, program, "-test.v", "-test.run", "^TestReal$/^"+s.name+"$", "-test.timeout=150s")
				if r.Code != 0 || !strings.Contains(r.Stdout, "--- PASS: TestReal/"+s.name) {
					t.Error(r)
				} else if testing.Verbose() {
					t.Log(r.Stdout)
				}
			})
		}
	}
}

// needBox refuses to go on anywhere but in a box: testbed writes this file there.
func needBox(t *testing.T) {
	t.Helper()
	if b, err := os.ReadFile("/run/testbed"); err != nil || string(b) != "ready\n" {
		t.Fatal("not in a box: refusing to touch a firewall")
	}
}

// local is the box as a System.
type local struct {
	hide []string // programs that are not there
	fail string   // how a command begins that fails

	killAt  int    // the effect, from 1, at which everything ends; 0 for never
	effects int    // that were done, and the one that was not
	last    string // the effect that was not done
}

// effect does something unless the kill comes first.
func (l *local) effect(what string, do func() error) error {
	if l.killAt == 0 {
		return do()
	}
	if l.killed() {
		return errKilled
	}
	if l.effects++; l.effects == l.killAt {
		l.last = what
		return errKilled
	}
	return do()
}

func (l *local) killed() bool { return l.last != "" }

func (l *local) Run(ctx context.Context, argv ...string) (string, error) {
	return l.Feed(ctx, "", argv...)
}

func (l *local) Feed(ctx context.Context, input string, argv ...string) (out string, err error) {
	if slices.Contains(l.hide, argv[0]) {
		return "", &exec.Error{Name: argv[0], Err: exec.ErrNotFound}
	}
	if l.fail != "" && strings.HasPrefix(strings.Join(argv, " "), l.fail) {
		return "", errors.New("exit status 1")
	}
	run := func() error {
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
		err := cmd.Run()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
		}
		out = stdout.String()
		return err
	}
	looks := []string{"-V", "-w", "-t", "list", "save", "--test", "-c", "-s"}
	if len(argv) == 1 || slices.Contains(looks, argv[1]) {
		if l.killed() && l.killAt != 0 {
			return "", errKilled
		}
		err = run()
		return out, err
	}
	err = l.effect(strings.Join(argv, " "), run)
	return out, err
}

func (l *local) ReadFile(path string) ([]byte, error) { return os.ReadFile(ofThread(path)) }

// ofThread is a file of /proc in the network namespace of the thread, which a test
// may have changed; without it it is that of the process.
func ofThread(path string) string {
	return strings.Replace(path, "/proc/net/", "/proc/thread-self/net/", 1)
}

func (l *local) WriteFile(path string, b []byte, perm fs.FileMode) error {
	return l.effect("write "+path, func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, b, perm)
	})
}

func (l *local) Remove(path string) error {
	return l.effect("remove "+path, func() error { return os.Remove(path) })
}

func newFirewall(t *testing.T) (*Firewall, *local) {
	t.Helper()
	l := new(local)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	return &Firewall{Sys: l, Dir: filepath.Join(t.TempDir(), "firewall"), Log: log}, l
}

// sh runs a shell script and returns what it printed.
func sh(t *testing.T, script string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", script)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s%s", err, script, out, stderr.String())
	}
	return string(out)
}

// rules is everything that is in the kernel, counters and times aside.
func rules(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, tool := range []string{"iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save", "ip6tables-legacy-save"} {
		names := map[string]string{"iptables-legacy-save": "/proc/net/ip_tables_names", "ip6tables-legacy-save": "/proc/net/ip6_tables_names"}[tool]
		if text, err := os.ReadFile(ofThread(names)); names != "" && (err != nil || len(text) == 0) {
			continue
		}
		b.WriteString("== " + tool + "\n" + plain(sh(t, tool+" 2>/dev/null")))
	}
	tables := tablesOf(sh(t, "nft -s list ruleset"))
	slices.Sort(tables)
	for _, text := range tables {
		w := strings.Fields(text)
		if w[1] != "inet" && slices.Contains(xtablesTables, w[2]) && !strings.Contains(text, "chain native") {
			continue
		}
		b.WriteString("== " + text)
	}
	b.WriteString("== ipset\n" + sh(t, "ipset save | sort"))
	return b.String()
}
