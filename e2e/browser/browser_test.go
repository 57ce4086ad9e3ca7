package browser

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/console"
	"github.com/vpkg/vpkg/library/folder"
	"github.com/vpkg/vpkg/library/server"
	"github.com/vpkg/vpkg/library/sqlite"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

const password = "correct horse battery"

//go:embed testdata/accessible.js
var accessible string

// A site is a server with its console, and a browser that looks at it.
type site struct {
	t   *testing.T
	lib *library.Library
	at  string // "https://127.0.0.1:PORT"
	api *http.Client
	ctx context.Context // the browser's
	mu  sync.Mutex
	bad []string // what the browser has complained of
}

func open(t *testing.T) *site {
	t.Helper()
	oracle.Need(t, "chromium")
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &site{t: t, lib: &library.Library{
		Store: db, Packages: folder.Packages(filepath.Join(dir, "packages")), Secret: make([]byte, 32), Compare: rpm.CompareEVR,
	}}
	if err := s.lib.SetAdmin(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	pages := console.Console{Library: s.lib, Product: "illumio-ven", CA: strings.Repeat("0123456789abcdef", 4)}
	all := server.Server{Library: s.lib, Product: "illumio-ven", Console: pages.Handler(), CA: []byte("a certificate")}
	web := httptest.NewUnstartedServer(nil)
	web.Config = all.HTTPServer()
	web.StartTLS()
	t.Cleanup(func() { web.CloseClientConnections(); web.Close() })
	s.at, s.api = web.URL, web.Client()
	s.start()
	return s
}

// start starts the browser. As root it has no sandbox, which is why it sees nothing but
// this server.
func (s *site) start() {
	s.t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(2*time.Minute), chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewExecAllocator(s.t.Context(), opts...)
	s.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	s.t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	s.t.Cleanup(cancel)
	s.ctx = ctx
	chromedp.ListenTarget(ctx, func(event any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			s.bad = append(s.bad, e.ExceptionDetails.Error())
		case *cdplog.EventEntryAdded:
			// That a page came with a status that says so is no complaint.
			if e.Entry.Level == cdplog.LevelError && e.Entry.Source != cdplog.SourceNetwork || e.Entry.Source == cdplog.SourceSecurity {
				s.bad = append(s.bad, e.Entry.Text)
			}
		}
	})
	s.do(cdplog.Enable(), cdpbrowser.GrantPermissions([]cdpbrowser.PermissionType{
		cdpbrowser.PermissionTypeClipboardReadWrite, cdpbrowser.PermissionTypeClipboardSanitizedWrite,
	}))
}

func (s *site) do(actions ...chromedp.Action) {
	s.t.Helper()
	if err := chromedp.Run(s.ctx, actions...); err != nil {
		var page string
		_ = chromedp.Run(s.ctx, chromedp.OuterHTML("html", &page)) // which tells more, if it is there
		s.t.Fatalf("%v, at\n%s", err, page)
	}
}

func (s *site) visit(path string) {
	s.t.Helper()
	s.do(chromedp.Navigate(s.at+path), chromedp.WaitVisible("main"))
}

// text is what a person reads there.
func (s *site) text(selector string) (text string) {
	s.t.Helper()
	s.do(chromedp.Text(selector, &text, chromedp.ByQuery))
	return text
}

func (s *site) where() (path string) {
	s.t.Helper()
	s.do(chromedp.Evaluate("location.pathname", &path))
	return path
}

// await waits until the page's text has it, on this page or on the next.
func (s *site) await(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var has bool
		err := chromedp.Run(s.ctx, chromedp.Evaluate("document.readyState === 'complete' && document.body.innerText.includes("+quote(text)+")", &has))
		if err == nil && has {
			return
		}
		if time.Now().After(deadline) || s.ctx.Err() != nil {
			s.do(chromedp.Evaluate("document.body.innerText", &text)) // fails with the page, if it can be had at all
			s.t.Fatalf("the page does not say so, %v, but\n%s", err, text)
		}
	}
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // it is a string
	}
	return string(b)
}

// keys types into what has the focus.
func (s *site) keys(keys ...string) {
	s.t.Helper()
	s.do(chromedp.KeyEvent(strings.Join(keys, "")))
}

// press moves the focus with the keyboard alone to what has this name, and presses Enter.
func (s *site) press(name string) {
	s.t.Helper()
	s.focus(name)
	s.keys(kb.Enter)
}

func (s *site) focus(name string) {
	s.t.Helper()
	for range 80 {
		s.keys(kb.Tab)
		var has string
		s.do(chromedp.Evaluate(`(e => (e.getAttribute("aria-label") || e.labels?.[0]?.innerText || e.innerText || "").trim())(document.activeElement)`, &has))
		if strings.HasPrefix(has, name) {
			return
		}
	}
	s.t.Fatalf("the keyboard does not lead to %q", name)
}

// check looks at a page, as it is, in the dark and on a phone.
func (s *site) check(name, path string) {
	s.t.Helper()
	for _, as := range []struct {
		name          string
		scheme        string
		width, height int64
	}{{"light", "light", 1280, 900}, {"dark", "dark", 1280, 900}, {"phone", "light", 390, 844}} {
		s.do(
			emulation.SetDeviceMetricsOverride(as.width, as.height, 1, as.name == "phone").WithScreenWidth(as.width).WithScreenHeight(as.height),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: as.scheme}}),
		)
		if path != "" {
			s.visit(path)
		}
		var found []string
		s.do(chromedp.Evaluate(accessible, &found))
		if len(found) > 0 {
			s.t.Errorf("%s, %s:\n%s", name, as.name, strings.Join(found, "\n"))
		}
		if dir := os.Getenv("VPKG_TEST_SCREENSHOTS"); dir != "" {
			var png []byte
			s.do(chromedp.FullScreenshot(&png, 100))
			if err := os.WriteFile(filepath.Join(dir, name+"-"+as.name+".png"), png, 0o644); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	s.do(emulation.SetDeviceMetricsOverride(1280, 900, 1, false))
}

// activate pairs a machine over the API, as its agent does.
func (s *site) activate(code, host string) agent.Activation {
	s.t.Helper()
	var a agent.Activation
	s.call("/api/v1/ven/activate", "", agent.ActivateRequest{
		Code: code, RequestID: host, Hostname: host, OSID: "debian-x86_64-13", Version: "25.2.20-10", Formats: []string{"nftables"},
		Labels: agent.Labels{App: "Shop"},
	}, http.StatusCreated, &a)
	return a
}

func (s *site) call(path, token string, body any, want int, answer any) {
	s.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.at+path, bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.api.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		s.t.Fatalf("%s gives %s, want %d", path, resp.Status, want)
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		s.t.Fatal(err)
	}
}

// offer makes two releases, of which the older has all systems.
func (s *site) offer() {
	s.t.Helper()
	err := s.lib.Store.Update(s.t.Context(), func(tx library.Tx) error {
		n := byte(0)
		for _, release := range []string{"25.2.20-10", "25.2.30-4"} {
			for _, i := range []library.Image{
				{OS: "el8", Arch: "x86_64", Format: "rpm"},
				{OS: "el9", Arch: "x86_64", Format: "rpm"},
				{OS: "el9", Arch: "aarch64", Format: "rpm"},
				{OS: "debian12", Arch: "amd64", Format: "deb"},
				{OS: "ubuntu22", Arch: "amd64", Format: "deb"},
				{OS: "windows", Arch: "x64", Format: "msi"},
			} {
				if i.OS == "windows" && release == "25.2.30-4" {
					continue
				}
				n++
				i.Product, i.Release, i.Version, i.Imported = "illumio-ven", release, release+"."+i.OS, time.Now()
				i.FileName = fmt.Sprintf("illumio-ven-%s.%s.%s", i.Version, i.Arch, i.Format)
				i.Size, i.SHA256 = 2_600_000+int64(n)*1000, packaging.Digest{n}
				if err := tx.AddImage(i); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestConsole goes the whole way, from the password to a machine that is paired.
func TestConsole(t *testing.T) {
	s := open(t)
	s.visit("/")
	if got := s.where(); got != "/login" {
		t.Fatalf("without a login one is at %s", got)
	}
	s.check("login", "/login")
	s.keys("wrong", kb.Enter) // the field has the focus
	s.await("That is not the password.")
	s.check("login-wrong", "")
	s.visit("/login")
	s.keys(password, kb.Enter)
	s.await("No machine is paired yet")
	s.check("workloads-none", "/workloads")
	s.check("releases-none", "/releases")
	s.check("profiles-none", "/profiles")
	s.offer()

	// A profile, with the keyboard alone.
	s.visit("/profiles")
	s.press("Make the first one")
	s.await("What machines become")
	s.check("profile-new", "/profiles/new")
	s.focus("Name")
	s.keys("Web servers")
	s.focus("Machines that a key pairs")
	s.keys("2")
	s.press("Make the profile")
	s.await("Web servers is made.")
	s.press("Make a key")
	s.await("These lines are shown this once.")
	line, code := s.text("#linux"), strings.TrimSpace(s.text("#code"))
	if !strings.Contains(line, "pair_script=pair.sh&profile_id=1") || !strings.Contains(line, code) || len(code) != 80 {
		t.Errorf("the line is\n%s\nand the code %q", line, code)
	}
	s.press("Copy")
	s.await("Copied.")
	var copied string
	s.do(chromedp.Evaluate("navigator.clipboard.readText()", &copied, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithAwaitPromise(true)
	}))
	if strings.TrimSpace(copied) != strings.TrimSpace(line) {
		t.Errorf("the clipboard has\n%s\nwant\n%s", copied, line)
	}
	s.check("key", "")
	s.visit("/profiles/1/key")
	if strings.Contains(s.text("main"), code) {
		t.Error("the code is shown a second time")
	}

	// Machines, live.
	s.visit("/workloads")
	s.do(chromedp.Evaluate("window.samePage = 1", nil))
	web := s.activate(code, "web1.example.com")
	s.await("web1.example.com")
	var beat agent.Heartbeat
	at := "/api/v1/ven/agents/" + web.AgentID + "/heartbeat"
	s.call(at, web.Token, agent.HeartbeatRequest{Version: "25.2.20-10", State: "degraded", PolicyError: "nft: line 3: syntax error"}, http.StatusOK, &beat)
	s.await("degraded")
	s.activate(code, "db1.example.com")
	s.await("db1.example.com")
	var same int
	s.do(chromedp.Evaluate("window.samePage || 0", &same))
	if same != 1 {
		t.Error("the page was loaded again")
	}
	s.check("workloads", "/workloads")
	s.check("workload", "/workloads/1")
	if !strings.Contains(s.text("main"), "nft: line 3: syntax error") {
		t.Error("why its policy is not in force is not said")
	}

	// The key is used up; another one is revoked.
	s.visit("/profiles/1")
	s.await("used_up")
	s.press("Make a key")
	s.await("These lines are shown this once.")
	s.visit("/profiles/1")
	s.press("Revoke key 2")
	s.await("Key 2 pairs nothing any more.")
	s.check("profile", "/profiles/1")
	s.check("profile-edit", "/profiles/1/edit")
	s.check("profile-delete", "/profiles/1/delete")

	s.visit("/releases")
	s.press("Make 25.2.20-10 the default")
	s.await("Machines get illumio-ven 25.2.20-10 now.")
	s.check("releases", "/releases")
	s.check("release", "/releases/25.2.20-10?product=illumio-ven")

	s.visit("/api-keys")
	s.focus("Name of a new one")
	s.keys("pipeline", kb.Enter)
	s.await("It is shown this once.")
	s.check("api-key", "")
	s.check("api-keys", "/api-keys")
	s.check("events", "/events")
	s.check("account", "/account")
	s.check("profiles", "/profiles")
	s.check("not-found", "/nothing/there")
	s.visit("/events")
	s.press("Log out")
	s.await("Administrator's password")
	s.visit("/events")
	if got := s.where(); got != "/login" {
		t.Errorf("after the logout one is at %s", got)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bad) > 0 {
		t.Errorf("the browser complains:\n%s", strings.Join(s.bad, "\n"))
	}
}
