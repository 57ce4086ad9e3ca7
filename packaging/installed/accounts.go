package installed

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/vpkg/vpkg/packaging"
)

// maxAccounts is the most that is read of passwd and group, in bytes.
const maxAccounts = 64 << 20

// Accounts are the users, or the groups, of a host.
type accounts struct {
	ctx  context.Context // of one verification
	host *Host
	file string // "passwd" or "group"

	mu      sync.Mutex
	numbers map[string]string // by name; "" for one that there is not
	names   map[string]string // by number, the first; "" as above
}

func (h *Host) accounts(ctx context.Context, s *packaging.Scan, file string) *accounts {
	a := &accounts{ctx: ctx, host: h, file: file, numbers: map[string]string{}, names: map[string]string{}}
	b, err := s.ReadFile("/etc/"+file, maxAccounts)
	if err != nil {
		return a // there are none then: numbers are shown
	}
	for line := range strings.Lines(string(b)) {
		a.add(line)
	}
	return a
}

// add notes a line of passwd(5) or group(5).
func (a *accounts) add(line string) {
	f := strings.Split(strings.TrimSpace(line), ":")
	if len(f) < 3 {
		return
	}
	if _, err := strconv.ParseUint(f[2], 10, 32); err != nil {
		return
	}
	if a.numbers[f[0]] == "" {
		a.numbers[f[0]] = f[2]
	}
	if a.names[f[2]] == "" {
		a.names[f[2]] = f[0]
	}
}

// ask asks the other databases of the running host, such as a directory service.
func (a *accounts) ask(key string, known map[string]string) string {
	got, ok := known[key]
	if !ok && a.host.Root == "" && key != "" {
		if line, err := a.host.run(a.ctx, "getent", a.file, "--", key); err == nil {
			a.add(line)
			got = known[key]
		}
		known[key] = got
	}
	return got
}

// name implements packaging.Scan's User and Group.
func (a *accounts) name(number uint32, want string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := strconv.FormatUint(uint64(number), 10)
	if n == want || a.ask(want, a.numbers) == n {
		return want
	}
	if name := a.ask(n, a.names); name != "" {
		return name
	}
	if n == "0" {
		return "root"
	}
	return n
}

// has reports whether there is an account of that name, or it is a number.
func (a *accounts) has(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := strconv.ParseUint(name, 10, 32)
	return err == nil || name == "root" || a.ask(name, a.numbers) != ""
}
