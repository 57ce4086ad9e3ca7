package library_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/folder"
	"github.com/vpkg/vpkg/library/sqlite"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

// clock is a time that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// newLibrary is an empty one that reads fake packages.
func newLibrary(t *testing.T) (*library.Library, *clock) {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "library.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &clock{time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	return &library.Library{
		Store: db, Packages: folder.Packages(filepath.Join(dir, "packages")),
		Secret: bytes.Repeat([]byte{7}, 32), Read: readFake, Compare: rpm.CompareEVR, Now: c.now,
	}, c
}

// readFake reads a package of one line: "fake FORMAT NAME VERSION RELEASE ARCH", in
// which a release of "-" means none.
func readFake(_ context.Context, r io.ReaderAt, size int64) (*packaging.Package, string, error) {
	b := make([]byte, size)
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, "", err
	}
	f := strings.Fields(string(b))
	if len(f) != 6 || f[0] != "fake" {
		return nil, "", errors.New("its digest is wrong")
	}
	return &packaging.Package{Name: f[2], Version: f[3], Release: strings.Trim(f[4], "-"), Arch: f[5]}, f[1], nil
}

func newProfile(t *testing.T, l *library.Library, change func(*library.Profile)) library.Profile {
	t.Helper()
	p := library.NewProfile("servers")
	if change != nil {
		change(&p)
	}
	p, err := l.SaveProfile(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newKey(t *testing.T, l *library.Library, profile int64) (library.Key, string) {
	t.Helper()
	k, code, err := l.NewKey(t.Context(), profile)
	if err != nil {
		t.Fatal(err)
	}
	return k, code
}

func activation(code, request string) library.Activation {
	return library.Activation{Code: code, Request: request, Hostname: "web1", OS: "debian-x86_64-13", Version: "25.2.20-10", Formats: []string{"nftables", "iptables"}}
}

// lastEvents gives kind and reason of the newest n events, the newest first.
func lastEvents(t *testing.T, l *library.Library, n int) []string {
	t.Helper()
	es, err := l.Events(t.Context(), 0, n)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range es {
		got = append(got, strings.TrimSpace(e.Kind+" "+string(e.Reason)))
	}
	return got
}

func TestActivate(t *testing.T) {
	l, c := newLibrary(t)
	p := newProfile(t, l, func(p *library.Profile) {
		p.Mode, p.ModeLock, p.AppLock = library.ModeSelective, false, false
		p.Labels = library.Labels{Role: "Web", App: "Shop"}
	})
	k, code := newKey(t, l, p.ID)
	if len(code) != 80 || strings.Trim(code, "0123456789abcdef") != "" {
		t.Errorf("code %q is not 80 hexadecimal digits", code)
	}
	a := activation(code, "r1")
	a.Mode, a.Labels = library.ModeFull, library.Labels{Role: "DB", App: "Bank", Loc: "Vienna"}
	w, token, err := l.Activate(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	want := library.Workload{
		ID: 1, UUID: w.UUID, Key: k.ID, Request: "r1", Status: library.StatusActive, Profile: p.ID, Hostname: "web1",
		OS: "debian-x86_64-13", Version: "25.2.20-10", Formats: []string{"nftables", "iptables"}, Paired: c.t,
		Mode: library.ModeFull, Labels: library.Labels{Role: "Web", App: "Bank"}, // the role and the location are locked
	}
	if d := cmp.Diff(want, w); d != "" {
		t.Errorf("workload (-want +got):\n%s", d)
	}
	if got := lastEvents(t, l, 1); got[0] != library.EventActivate {
		t.Errorf("event %q, want %q", got, library.EventActivate)
	}

	again, token2, err := l.Activate(t.Context(), a)
	if err != nil || again.ID != w.ID || token2 != token {
		t.Errorf("the same request gave workload %d and %v, want %d, the same token and no error", again.ID, err, w.ID)
	}
	other, token3, err := l.Activate(t.Context(), activation(code, "r2"))
	if err != nil || other.ID == w.ID || token3 == token {
		t.Errorf("another request gave workload %d and %v, want another, another token and no error", other.ID, err)
	}
	ks, err := l.Keys(t.Context(), p.ID)
	if err != nil || len(ks) != 1 || ks[0].Used != 2 {
		t.Errorf("keys %+v, %v; want one that was used twice", ks, err)
	}
	if p, err = l.Profile(t.Context(), p.ID); err != nil || p.UseCount != 2 || p.LastPair != c.t || p.LastKeyBy != "local" {
		t.Errorf("profile %+v, %v; want 2 uses", p, err)
	}
}

// Whatever is wrong with a code, the caller is told the same; the event says what.
func TestRefusedCodes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spoil  func(t *testing.T, l *library.Library, c *clock, k library.Key, a *library.Activation)
		reason library.Reason
	}{
		{"unknown", func(_ *testing.T, _ *library.Library, _ *clock, _ library.Key, a *library.Activation) {
			a.Code = strings.Repeat("0", 80)
		}, library.ReasonUnknown},
		{"empty", func(_ *testing.T, _ *library.Library, _ *clock, _ library.Key, a *library.Activation) { a.Code = "" }, library.ReasonUnknown},
		{"expired in this moment", func(_ *testing.T, _ *library.Library, c *clock, _ library.Key, _ *library.Activation) {
			c.t = c.t.Add(time.Hour)
		}, library.ReasonExpired},
		{"used up", func(t *testing.T, l *library.Library, _ *clock, _ library.Key, a *library.Activation) {
			for i := range 2 {
				if _, _, err := l.Activate(t.Context(), activation(a.Code, fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
		}, library.ReasonUsedUp},
		{"revoked", func(t *testing.T, l *library.Library, _ *clock, k library.Key, _ *library.Activation) {
			if err := l.RevokeKey(t.Context(), k.ID); err != nil {
				t.Fatal(err)
			}
		}, library.ReasonRevoked},
		{"another profile's", func(_ *testing.T, _ *library.Library, _ *clock, k library.Key, a *library.Activation) {
			a.Profile = k.Profile + 1
		}, library.ReasonWrongProfile},
		{"profile not enabled", func(t *testing.T, l *library.Library, _ *clock, k library.Key, _ *library.Activation) {
			p, err := l.Profile(t.Context(), k.Profile)
			if err == nil {
				p.Enabled = false
				_, err = l.SaveProfile(t.Context(), p)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, library.ReasonDisabled},
		{"profile removed", func(t *testing.T, l *library.Library, _ *clock, k library.Key, _ *library.Activation) {
			if err := l.RemoveProfile(t.Context(), k.Profile); err != nil {
				t.Fatal(err)
			}
		}, library.ReasonUnknown},
		{"workload deactivated", func(t *testing.T, l *library.Library, _ *clock, _ library.Key, a *library.Activation) {
			w, token, err := l.Activate(t.Context(), *a)
			if err == nil {
				err = l.Deactivate(t.Context(), w.ID, token)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, library.ReasonDeactivated},
		{"another secret", func(_ *testing.T, l *library.Library, _ *clock, _ library.Key, _ *library.Activation) {
			l.Secret = bytes.Repeat([]byte{8}, 32)
		}, library.ReasonUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, c := newLibrary(t)
			p := newProfile(t, l, func(p *library.Profile) { p.UsesPerKey, p.KeyLifespan = 2, 3600 })
			k, code := newKey(t, l, p.ID)
			a := activation(code, "r")
			tt.spoil(t, l, c, k, &a)
			_, token, err := l.Activate(t.Context(), a)
			if err != library.ErrCode || token != "" { //nolint:errorlint // nothing may be wrapped around it
				t.Errorf("got token %q and error %v, want none and %v", token, err, library.ErrCode)
			}
			want := library.EventActivate + " " + string(tt.reason)
			if got := lastEvents(t, l, 1); got[0] != want {
				t.Errorf("event %q, want %q", got[0], want)
			}
		})
	}
}

func TestActivateAtOnce(t *testing.T) {
	l, _ := newLibrary(t)
	p := newProfile(t, l, func(p *library.Profile) { p.UsesPerKey = 5 })
	k, code := newKey(t, l, p.ID)
	const tries = 50
	errs := make([]error, tries)
	ids := make([]int64, tries)
	var wg sync.WaitGroup
	for i := range tries {
		wg.Go(func() {
			w, _, err := l.Activate(t.Context(), activation(code, fmt.Sprint(i)))
			errs[i], ids[i] = err, w.ID
		})
	}
	wg.Wait()
	paired := map[int64]bool{}
	for i, err := range errs {
		switch {
		case err == nil:
			paired[ids[i]] = true
		case !errors.Is(err, library.ErrCode):
			t.Errorf("try %d: %v, want %v", i, err, library.ErrCode)
		}
	}
	if len(paired) != 5 {
		t.Errorf("%d workloads were paired, want 5", len(paired))
	}
	ws, err := l.Workloads(t.Context(), 0, 100)
	if err != nil || len(ws) != 5 {
		t.Errorf("there are %d workloads (%v), want 5", len(ws), err)
	}
	if ks, err := l.Keys(t.Context(), p.ID); err != nil || ks[0].ID != k.ID || ks[0].Used != 5 {
		t.Errorf("keys %+v, %v; want 5 uses", ks, err)
	}
	if p, err = l.Profile(t.Context(), p.ID); err != nil || p.UseCount != 5 {
		t.Errorf("profile: %d uses, %v; want 5", p.UseCount, err)
	}
}

func TestWorkload(t *testing.T) {
	l, c := newLibrary(t)
	p := newProfile(t, l, nil)
	_, code := newKey(t, l, p.ID)
	w, token, err := l.Activate(t.Context(), activation(code, ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Policy(t.Context(), w.ID, token); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("policy without one: %v, want %v", err, library.ErrNotFound)
	}
	for _, format := range []string{"", "iptables"} {
		q := library.Policy{Mode: w.Mode, Format: format}
		if format != "" {
			q.IPv4 = "*filter\nCOMMIT\n"
		}
		if _, err := l.SetPolicy(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	c.t = c.t.Add(time.Minute)
	version, err := l.Heartbeat(t.Context(), w.ID, token, library.Beat{Version: "25.2.30-1", State: "degraded", PolicyError: "line 3"})
	if err != nil || version != "2" { // the second policy, of the second of its formats
		t.Errorf("heartbeat: policy %q, %v; want 2", version, err)
	}
	if got, err := l.Policy(t.Context(), w.ID, token); err != nil || got.Format != "iptables" || got.Version != version {
		t.Errorf("policy: %+v, %v", got, err)
	}
	if err := l.Goodbye(t.Context(), w.ID, token); err != nil {
		t.Fatal(err)
	}
	ws, err := l.Workloads(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	want := w
	want.Status, want.Version, want.State, want.PolicyError = library.StatusOff, "25.2.30-1", "degraded", "line 3"
	want.Heartbeat, want.Goodbye = c.t, c.t
	if d := cmp.Diff([]library.Workload{want}, ws); d != "" {
		t.Errorf("workloads (-want +got):\n%s", d)
	}
	beat := library.Beat{Version: "1", State: "suspended"}
	if _, err := l.Heartbeat(t.Context(), w.ID, token+"x", beat); !errors.Is(err, library.ErrToken) {
		t.Errorf("heartbeat with another token: %v, want %v", err, library.ErrToken)
	}
	if _, err := l.Heartbeat(t.Context(), w.ID+1, token, beat); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("heartbeat of another: %v, want %v", err, library.ErrNotFound)
	}
	if _, err := l.Heartbeat(t.Context(), w.ID, token, beat); err != nil {
		t.Error(err)
	}
	if ws, err = l.Workloads(t.Context(), 0, 10); err != nil || ws[0].Status != library.StatusSuspended {
		t.Errorf("workloads %+v, %v; want a suspended one", ws, err)
	}
	if err := l.Deactivate(t.Context(), w.ID, token); err != nil {
		t.Fatal(err)
	}
	if err := l.Deactivate(t.Context(), w.ID, token); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("deactivating twice: %v, want %v", err, library.ErrNotFound)
	}
}

func TestInvalidInput(t *testing.T) {
	l, _ := newLibrary(t)
	_, _, err := l.Activate(t.Context(), library.Activation{
		Hostname: "a\nb", Request: strings.Repeat("r", 65), OS: "", Version: "1 2", Mode: "on", Labels: library.Labels{Env: "\x1b"},
		Formats: []string{""},
	})
	wantAll(t, err, "hostname", "request_id", "os_id", "version", "enforcement_mode", "label env", "formats")
	_, err = l.Heartbeat(t.Context(), 1, "", library.Beat{State: "well", PolicyVersion: "a b", PolicyError: strings.Repeat("x", 5000)})
	wantAll(t, err, "version", "state", "policy_version", "policy_error")
	_, err = l.SetPolicy(t.Context(), library.Policy{Mode: "idle", Format: "nftables", IPv4: "\x00"})
	wantAll(t, err, "enforcement_mode", "not of the format", "not text")
}

// wantAll wants an ErrInvalid that names all of these.
func wantAll(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, library.ErrInvalid) {
		t.Errorf("got %v, want %v", err, library.ErrInvalid)
		return
	}
	for _, s := range parts {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not speak of %q", err, s)
		}
	}
}

func TestProfile(t *testing.T) {
	l, c := newLibrary(t)
	p := newProfile(t, l, nil)
	for _, tt := range []struct {
		name, json string
		want       []string // in the error; nil means none
	}{
		{"limits", `{"allowed_uses_per_key": 2147483647, "key_lifespan": "unlimited"}`, nil},
		{
			"all at once", `{"name": " ", "enforcement_mode": "on", "visibility_level": "", "ven_type": "x",
			"agent_software_release": "a b", "labels": {"role": "a\nb"}, "external_data_set": "\u0007"}`,
			[]string{"name", "enforcement_mode", "visibility_level", "ven_type", "agent_software_release", "label role", "external_data_set"},
		},
		{"unknown field", `{"enforcment_mode": "full"}`, []string{"enforcment_mode"}},
		{"two objects", `{} {}`, []string{"more than one"}},
		{"no uses", `{"allowed_uses_per_key": 0}`, []string{"1 to 2147483647"}},
		{"too many uses", `{"allowed_uses_per_key": 2147483648}`, []string{"1 to 2147483647"}},
		{"a fraction", `{"key_lifespan": 1.5}`, []string{"1 to 2147483647"}},
		{"another word", `{"key_lifespan": "one_use"}`, []string{"1 to 2147483647"}},
		{"a number as text", `{"key_lifespan": "5"}`, []string{"1 to 2147483647"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := library.ParseProfile(p, []byte(tt.json))
			if tt.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantAll(t, err, tt.want...)
		})
	}

	_, _ = newKey(t, l, p.ID)
	c.t = c.t.Add(time.Hour)
	changed, err := library.ParseProfile(p, []byte(`{"description": "two\nlines", "total_use_count": 9, "key_lifespan": 60}`))
	if err != nil {
		t.Fatal(err)
	}
	if changed, err = l.SaveProfile(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	got, err := l.Profile(t.Context(), p.ID)
	want := p
	want.Description, want.KeyLifespan, want.Updated = "two\nlines", 60, c.t
	want.LastKey, want.LastKeyBy = p.Created, "local" // kept, though the caller did not know them
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("profile (-want +got), %v:\n%s", err, d)
	}
	if d := cmp.Diff(want, changed); d != "" {
		t.Errorf("returned profile (-want +got):\n%s", d)
	}
	if _, err := l.SaveProfile(t.Context(), library.NewProfile("servers")); !errors.Is(err, library.ErrExists) {
		t.Errorf("the same name twice: %v, want %v", err, library.ErrExists)
	}
	if _, err := l.UpdateProfile(t.Context(), p.ID, func(p *library.Profile) error { p.Mode = "off"; return nil }); !errors.Is(err, library.ErrInvalid) {
		t.Errorf("a mode that there is not: %v, want %v", err, library.ErrInvalid)
	}
	if _, err := l.UpdateProfile(t.Context(), p.ID, func(p *library.Profile) error { p.Name = "x"; return io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("a change that is refused: %v, want %v", err, io.EOF)
	}
	if got, err := l.Profile(t.Context(), p.ID); cmp.Diff(want, got) != "" || err != nil {
		t.Errorf("profile %+v (%v) after refused changes, want %+v", got, err, want)
	}
	p.Version = "9"
	if _, err := l.SaveProfile(t.Context(), p); !errors.Is(err, library.ErrInvalid) {
		t.Errorf("a release that there is not: %v, want %v", err, library.ErrInvalid)
	}
	if err := l.RemoveProfile(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := l.SaveProfile(t.Context(), changed); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("saving a removed one: %v, want %v", err, library.ErrNotFound)
	}
	if _, err := l.UpdateProfile(t.Context(), p.ID, func(*library.Profile) error { return nil }); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("changing a removed one: %v, want %v", err, library.ErrNotFound)
	}
}

func TestAPIKeys(t *testing.T) {
	l, _ := newLibrary(t)
	l.Rand = rand.Reader
	k, secret, err := l.NewAPIKey(t.Context(), "ci")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.CheckAPIKey(t.Context(), k.ID, secret); err != nil || got.Name != "ci" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range [][2]string{{k.ID, "x"}, {"api_x", secret}, {"", ""}} {
		if _, err := l.CheckAPIKey(t.Context(), bad[0], bad[1]); !errors.Is(err, library.ErrToken) {
			t.Errorf("%q: %v, want %v", bad, err, library.ErrToken)
		}
	}
	if err := l.RemoveAPIKey(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := l.CheckAPIKey(t.Context(), k.ID, secret); !errors.Is(err, library.ErrToken) {
		t.Errorf("a removed key: %v, want %v", err, library.ErrToken)
	}
	if err := l.RemoveAPIKey(t.Context(), k.ID); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("removing twice: %v, want %v", err, library.ErrNotFound)
	}
}

// Neither the state nor the log holds what opens something.
func TestNoSecrets(t *testing.T) {
	l, _ := newLibrary(t)
	p := newProfile(t, l, nil)
	k, code := newKey(t, l, p.ID)
	w, token, err := l.Activate(t.Context(), activation(code, "r"))
	if err != nil {
		t.Fatal(err)
	}
	api, secret, err := l.NewAPIKey(t.Context(), "ci")
	if err != nil {
		t.Fatal(err)
	}
	es, err := l.Events(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	state := fmt.Sprintf("%v %v %v %v", es, k, w, api)
	for _, s := range []string{code, token, secret} {
		if strings.Contains(state, s) {
			t.Errorf("%q is in %s", s, state)
		}
	}
}
