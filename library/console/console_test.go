package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/folder"
	"github.com/vpkg/vpkg/library/sqlite"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

const password = "correct horse battery"

// newLibrary is an empty one with an administrator.
func newLibrary(t *testing.T) *library.Library {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &library.Library{Store: db, Packages: folder.Packages(t.TempDir()), Secret: make([]byte, 32), Compare: rpm.CompareEVR}
	err = db.Update(t.Context(), func(tx library.Tx) error { return tx.SetSetting("administrator", slow) })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// slow is what SetAdmin keeps of the password: making it takes a second with the race
// detector.
const slow = "600000 000102030405060708090a0b0c0d0e0f bb06c8c0b1dd5bfd4e40f4e297a2d0e64da7ef94b4b8ec20989021c8b41536ad"

// A browser keeps cookies and does not follow.
type browser struct {
	t    *testing.T
	h    *handler
	http *http.Client
	at   string
	last *http.Response // whose body was read
	body string
}

func browse(t *testing.T, l *library.Library) *browser {
	t.Helper()
	h := (&Console{Library: l, Product: "illumio-ven", CA: strings.Repeat("ab", 32)}).handler()
	s := httptest.NewTLSServer(h.whole)
	t.Cleanup(s.Close)
	b := &browser{t: t, h: h, http: s.Client(), at: s.URL}
	b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var err error
	if b.http.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) do(method, path string, form url.Values, headers ...string) int {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.at+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	b.last = resp
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.body = string(all)
	return b.last.StatusCode
}

func (b *browser) get(path string) int { b.t.Helper(); return b.do("GET", path, nil) }

var tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)

// post sends a form with the token of the session, and gives where it leads.
func (b *browser) post(path string, pairs ...string) (status int, to string) {
	b.t.Helper()
	b.get("/account")
	form := url.Values{}
	if m := tokenField.FindStringSubmatch(b.body); m != nil {
		form.Set("token", m[1])
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	status = b.do("POST", path, form)
	return status, b.last.Header.Get("Location")
}

// enter begins a session without the password, whose check is slow on purpose.
func (b *browser) enter() {
	b.t.Helper()
	epoch, err := b.h.Library.AdminEpoch(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	b.h.sessions.begin(rec, true, epoch)
	at, err := url.Parse(b.at)
	if err != nil {
		b.t.Fatal(err)
	}
	b.http.Jar.SetCookies(at, rec.Result().Cookies())
}

func (b *browser) login() {
	b.t.Helper()
	if s := b.do("POST", "/login", url.Values{"password": {password}}); s != http.StatusSeeOther {
		b.t.Fatalf("the login gives %d:\n%s", s, b.body)
	}
}

func profileFields(name string) []string {
	return []string{"name", name, "enabled", "on", "enforcement_mode", "visibility_only", "visibility_level", "flow_summary", "ven_type", "server"}
}

// TestNothingWithoutLogin asks for every page without one.
func TestNothingWithoutLogin(t *testing.T) {
	b := browse(t, newLibrary(t))
	h := &handler{Console: &Console{}}
	for pattern := range h.routes() {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.NewReplacer("{$}", "", "{id}", "1", "{version}", "1.0").Replace(path)
		want := map[string]int{"GET": http.StatusSeeOther, "POST": http.StatusUnauthorized}[method]
		if path == "/workloads/live" {
			want = http.StatusUnauthorized
		}
		if got := b.do(method, path, nil); got != want {
			t.Errorf("%s gives %d, want %d", pattern, got, want)
		}
		if method == "GET" && want == http.StatusSeeOther && b.last.Header.Get("Location") != "/login" {
			t.Errorf("%s leads to %q", pattern, b.last.Header.Get("Location"))
		}
	}
	if got := b.get("/nowhere"); got != http.StatusSeeOther {
		t.Errorf("an unknown page gives %d: who is not logged in learns what there is", got)
	}
	for _, p := range []string{"/login", "/static/console.css", "/static/console.js", "/static/icon.svg"} {
		if got := b.get(p); got != http.StatusOK {
			t.Errorf("%s gives %d", p, got)
		}
	}
}

// TestForgedForms: a form without the token, or from another site, changes nothing.
func TestForgedForms(t *testing.T) {
	l := newLibrary(t)
	b := browse(t, l)
	b.enter()
	h := &handler{Console: &Console{}}
	for pattern := range h.routes() {
		path, ok := strings.CutPrefix(pattern, "POST ")
		if !ok {
			continue
		}
		path = strings.ReplaceAll(path, "{id}", "1")
		for _, token := range []string{"", "wrong"} {
			if got := b.do("POST", path, url.Values{"token": {token}, "name": {"x"}}); got != http.StatusForbidden {
				t.Errorf("%s with token %q gives %d, want 403", pattern, token, got)
			}
		}
		b.get("/account")
		form := url.Values{"token": {tokenField.FindStringSubmatch(b.body)[1]}}
		if got := b.do("POST", path, form, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); got != http.StatusForbidden {
			t.Errorf("%s from another site gives %d, want 403", pattern, got)
		}
	}
	if ps, err := l.Profiles(t.Context()); err != nil || len(ps) != 0 {
		t.Errorf("there are %d profiles, %v", len(ps), err)
	}
}

func TestLogin(t *testing.T) {
	l := newLibrary(t)
	b := browse(t, l)
	for _, wrong := range []string{"", "wrong", strings.Repeat("x", 5000)} {
		if got := b.do("POST", "/login", url.Values{"password": {wrong}}); got != http.StatusUnauthorized || !strings.Contains(b.body, "not the password") {
			t.Errorf("the password %.20q gives %d", wrong, got)
		}
		if len(b.last.Cookies()) != 0 {
			t.Errorf("the password %.20q gives a cookie", wrong)
		}
	}
	if got := b.do("POST", "/login", url.Values{"password": {strings.Repeat("x", maxForm)}}); got != http.StatusRequestEntityTooLarge {
		t.Errorf("a large form gives %d, want 413", got)
	}
	b.login()
	cs := b.last.Cookies()
	if len(cs) != 1 || !cs[0].Secure || !cs[0].HttpOnly || cs[0].SameSite != http.SameSiteStrictMode || !strings.HasPrefix(cs[0].Name, "__Host-") {
		t.Fatalf("the cookies are %v", cs)
	}
	if got := b.get("/workloads"); got != http.StatusOK {
		t.Fatalf("after the login the workloads give %d", got)
	}
	other := browse(t, l) // with the same cookie, in another console: a session is of one
	other.do("GET", "/workloads", nil, "Cookie", cs[0].Name+"="+cs[0].Value)
	if other.last.StatusCode != http.StatusSeeOther {
		t.Errorf("another server takes the cookie: %d", other.last.StatusCode)
	}
	if status, to := b.post("/logout"); status != http.StatusSeeOther || to != "/login" {
		t.Errorf("the logout gives %d, %q", status, to)
	}
	if got := b.do("GET", "/workloads", nil, "Cookie", cs[0].Name+"="+cs[0].Value); got != http.StatusSeeOther {
		t.Errorf("after the logout the cookie is still good: %d", got)
	}
	b.login()
	if err := l.SetAdmin(t.Context(), "another horse battery"); err != nil {
		t.Fatal(err)
	}
	if got := b.get("/workloads"); got != http.StatusSeeOther {
		t.Errorf("after a change of the password the session is still good: %d", got)
	}
}

func TestPassword(t *testing.T) {
	l := newLibrary(t)
	b := browse(t, l)
	b.enter()
	for _, tc := range []struct{ old, is, repeat, want string }{
		{"wrong", "a new password", "a new password", "until now"},
		{password, "a new password", "another", "differ"},
		{password, "short", "short", "at least 12"},
	} {
		if status, _ := b.post("/account", "old", tc.old, "new", tc.is, "repeat", tc.repeat); status != http.StatusUnprocessableEntity || !strings.Contains(b.body, tc.want) {
			t.Errorf("%q, %q, %q: %d, want %q in\n%s", tc.old, tc.is, tc.repeat, status, tc.want, b.body)
		}
	}
	if status, _ := b.post("/account", "old", password, "new", "a new password", "repeat", "a new password"); status != http.StatusSeeOther {
		t.Fatalf("the change gives %d", status)
	}
	if got := b.get("/workloads"); got != http.StatusOK {
		t.Errorf("who has changed it is logged out: %d", got)
	}
	if err := l.CheckAdmin(t.Context(), "a new password"); err != nil {
		t.Error(err)
	}
}

// TestProfile makes, edits, disables and deletes one.
func TestProfile(t *testing.T) {
	l := newLibrary(t)
	b := browse(t, l)
	b.enter()
	status, _ := b.post("/profiles/new", append(profileFields("  "), "role", strings.Repeat("r", 300), "allowed_uses_per_key", "0", "description", "kept as typed")...)
	for _, want := range []string{`id="name-why"`, `id="role-why"`, `id="allowed_uses_per_key-why"`, "kept as typed", strings.Repeat("r", 300)} {
		if status != http.StatusUnprocessableEntity || !strings.Contains(b.body, want) {
			t.Errorf("a wrong form gives %d without %.40q", status, want)
		}
	}
	status, to := b.post("/profiles/new", append(profileFields("servers"), "allowed_uses_per_key", "5", "key_lifespan", "86400", "role", "Web", "role_lock", "on")...)
	if status != http.StatusSeeOther || to != "/profiles/1" {
		t.Fatalf("making it gives %d, %q:\n%s", status, to, b.body)
	}
	p, err := l.Profile(t.Context(), 1)
	if err != nil || p.Name != "servers" || p.UsesPerKey != 5 || p.KeyLifespan != 86400 || p.Labels.Role != "Web" || !p.RoleLock || p.AppLock || !p.Enabled {
		t.Errorf("it is %+v, %v", p, err)
	}
	if b.get("/profiles/1"); !strings.Contains(b.body, "pairs 5 machines within 1 day") {
		t.Errorf("its page does not say what a key does:\n%s", b.body)
	}
	if status, _ := b.post("/profiles/new", profileFields("servers")...); status != http.StatusUnprocessableEntity || !strings.Contains(b.body, "Another profile has this name") {
		t.Errorf("the same name gives %d", status)
	}
	b.post("/profiles/1/edit", append(profileFields("renamed"), "agent_software_release", "9.9-9")...)
	if !strings.Contains(b.body, `id="agent_software_release-why"`) {
		t.Errorf("an unknown version is not said:\n%s", b.body)
	}
	if status, _ := b.post("/profiles/1/edit", profileFields("renamed")...); status != http.StatusSeeOther {
		t.Errorf("editing gives %d", status)
	}
	b.post("/profiles/1/enabled")
	if p, err = l.Profile(t.Context(), 1); err != nil || p.Enabled || p.Name != "renamed" {
		t.Errorf("disabled it is %+v, %v", p, err)
	}
	if b.get("/profiles/1/delete"); !strings.Contains(b.body, "Delete renamed?") {
		t.Error("the deletion is not asked for")
	}
	if status, to := b.post("/profiles/1/delete"); status != http.StatusSeeOther || to != "/profiles" {
		t.Errorf("deleting gives %d, %q", status, to)
	}
	if got := b.get("/profiles/1"); got != http.StatusNotFound {
		t.Errorf("a deleted profile gives %d", got)
	}
}

var codeOnPage = regexp.MustCompile(`[0-9a-f]{80}`)

// TestKey makes a key, whose code is shown once and works.
func TestKey(t *testing.T) {
	l := newLibrary(t)
	b := browse(t, l)
	b.enter()
	b.post("/profiles/new", profileFields("servers")...)
	_, to := b.post("/profiles/1/keys")
	if to != "/profiles/1/key" || codeOnPage.MatchString(to) {
		t.Fatalf("making a key leads to %q", to)
	}
	b.get(to)
	code := codeOnPage.FindString(b.body)
	server := strings.TrimPrefix(b.at, "https://")
	for _, want := range []string{"pair_script=pair.sh&amp;profile_id=1", "--management-server " + server, "--activation-code " + code, "pair_script=pair.ps1&amp;profile_id=1", strings.Repeat("ab", 32)} {
		if !strings.Contains(b.body, want) {
			t.Errorf("the page is without %q:\n%s", want, b.body)
		}
	}
	if b.last.Header.Get("Cache-Control") != "no-store" {
		t.Error("a page with a code may be kept")
	}
	if b.get(to); codeOnPage.MatchString(b.body) {
		t.Error("the code is shown a second time")
	}
	w, _, err := l.Activate(t.Context(), library.Activation{Code: code, Hostname: "web1", OS: "debian", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if b.get("/workloads"); !strings.Contains(b.body, ">web1</a>") {
		t.Errorf("the workload is not there:\n%s", b.body)
	}
	if b.get(fmt.Sprintf("/workloads/%d", w.ID)); !strings.Contains(b.body, w.UUID) {
		t.Error("its page is without its UUID")
	}
	b.post("/profiles/1/revoke", "key", "1")
	if _, _, err := l.Activate(t.Context(), library.Activation{Code: code, Hostname: "web2", OS: "debian", Version: "1"}); err == nil {
		t.Error("a revoked key pairs")
	}
	b.post(fmt.Sprintf("/workloads/%d/unpair", w.ID))
	if w, err = l.Workload(t.Context(), w.ID); err != nil || w.Status != library.StatusUninstalled {
		t.Errorf("after unpairing it is %s, %v", w.Status, err)
	}
}

// TestHostile shows what machines and people may have written everywhere: as text.
func TestHostile(t *testing.T) {
	const bad = `</code><script>alert(1)</script><img src=x onerror=alert(1)>"'`
	l := newLibrary(t)
	ctx := t.Context()
	p := library.NewProfile(bad)
	p.Description, p.ExternalDataSet, p.AppLock = bad, bad, false
	p, err := l.SaveProfile(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	_, code, err := l.NewKey(ctx, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	w, token, err := l.Activate(ctx, library.Activation{
		Code: code, Hostname: bad, OS: "<b>&\"'", Version: "<i>", Labels: library.Labels{App: bad},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Heartbeat(ctx, w.ID, token, library.Beat{Version: "<i>", State: "degraded", PolicyError: bad + "\u202e\x1b[2J"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.NewAPIKey(ctx, bad); err != nil {
		t.Fatal(err)
	}
	b := browse(t, l)
	b.enter()
	for _, path := range []string{
		"/workloads", "/workloads?q=" + url.QueryEscape(bad), "/workloads/1", "/profiles", "/profiles/1", "/profiles/1/edit", "/profiles/1/delete",
		"/events", "/events?q=" + url.QueryEscape(bad) + "&kind=" + url.QueryEscape(bad), "/api-keys", "/releases/" + url.PathEscape(bad),
	} {
		b.get(path)
		if strings.Contains(b.body, "<script>alert") || strings.Contains(b.body, "<img src=x") || strings.ContainsAny(b.body, "\u202e\x1b") {
			t.Errorf("%s lets it through:\n%s", path, b.body)
		}
		csp := b.last.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", path, csp)
		}
		if what := inline(t, b.body); what != "" {
			t.Errorf("%s has %s inline:\n%s", path, what, b.body)
		}
	}
}

// inline is what of a page the policy forbids, as a browser reads it.
func inline(t *testing.T, body string) (found string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Data == "style" || n.Data == "script" && n.FirstChild != nil {
			found += " <" + n.Data + ">"
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Val, "javascript:") {
				found += " " + a.Key
			}
		}
	}
	return found
}

// TestReleases shows which packages there are, and sets what machines get.
func TestReleases(t *testing.T) {
	l := newLibrary(t)
	b := browse(t, l)
	b.enter()
	if b.get("/releases"); !strings.Contains(b.body, "vpkg-library import dist") {
		t.Errorf("an empty library does not say what to do:\n%s", b.body)
	}
	images := []library.Image{
		{FileName: "a.rpm", Release: "1.0-1", Version: "1.0-1.el8", OS: "el8", Arch: "x86_64", Format: "rpm"},
		{FileName: "b.deb", Release: "1.0-1", Version: "1.0-1.debian12", OS: "debian12", Arch: "amd64", Format: "deb"},
		{FileName: "c.rpm", Release: "1.10-1", Version: "1.10-1.el8", OS: "el8", Arch: "x86_64", Format: "rpm"},
	}
	err := l.Store.Update(t.Context(), func(tx library.Tx) error {
		for n, i := range images {
			i.Product, i.Size, i.SHA256 = "illumio-ven", 2_600_000, packaging.Digest{byte(n + 1)}
			if err := tx.AddImage(i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.get("/releases")
	if strings.Index(b.body, ">1.10-1<") > strings.Index(b.body, ">1.0-1<") || strings.Count(b.body, "✓") != 3 || strings.Count(b.body, `>–<`) != 1 {
		t.Errorf("the table is\n%s", b.body)
	}
	if b.get("/releases/1.10-1"); !strings.Contains(b.body, ">default</span>") || strings.Contains(b.body, "Remove this release") {
		t.Errorf("the page of the newest, which machines get, is\n%s", b.body)
	}
	if status, _ := b.post("/releases/default", "product", "illumio-ven", "version", "1.0-1"); status != http.StatusSeeOther {
		t.Errorf("setting the default gives %d", status)
	}
	if b.get("/releases/1.0-1"); !strings.Contains(b.body, ">default</span>") || !strings.Contains(b.body, "os=debian12&amp;arch=amd64&amp;version=1.0-1") {
		t.Errorf("its page is\n%s", b.body)
	}
	if status, _ := b.post("/releases/remove", "product", "illumio-ven", "version", "1.0-1"); status != http.StatusConflict {
		t.Errorf("removing the default gives %d, want 409", status)
	}
	if status, _ := b.post("/releases/remove", "product", "illumio-ven", "version", "1.10-1"); status != http.StatusSeeOther {
		t.Errorf("removing another gives %d", status)
	}
	if got := b.get("/releases/1.10-1"); got != http.StatusNotFound {
		t.Errorf("what was removed gives %d", got)
	}
	if b.get("/releases/1.0-1"); !strings.Contains(b.body, "Remove this release") {
		t.Errorf("the page of the last one is\n%s", b.body)
	}
}

// TestLive is sent the list when something has changed, and ends with the session.
func TestLive(t *testing.T) {
	l := newLibrary(t)
	b := browse(t, l)
	b.enter()
	p, err := l.SaveProfile(t.Context(), library.NewProfile("servers"))
	if err != nil {
		t.Fatal(err)
	}
	_, code, err := l.NewKey(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", b.at+"/workloads/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.http.Do(r) //nolint:bodyclose // it is, at the end
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("it is %s", got)
	}
	messages := make(chan string, 100)
	go func() {
		defer close(messages)
		buf, all := make([]byte, 1<<16), ""
		for {
			n, err := resp.Body.Read(buf)
			all += string(buf[:n])
			for {
				one, rest, ok := strings.Cut(all, "\n\n")
				if !ok {
					break
				}
				messages <- one
				all = rest
			}
			if err != nil {
				return
			}
		}
	}()
	if first := <-messages; !strings.Contains(first, "No machine is paired yet") {
		t.Errorf("the first is\n%s", first)
	}
	if _, _, err := l.Activate(ctx, library.Activation{Code: code, Hostname: "web1", OS: "debian", Version: "1"}); err != nil {
		t.Fatal(err)
	}
	for m := range messages {
		if strings.Contains(m, ">web1</a>") {
			break
		}
	}
	b.post("/logout")
	if _, err := l.SaveProfile(ctx, library.NewProfile("more")); err != nil { // a change
		t.Fatal(err)
	}
	for m := range messages { // until the server ends it
		t.Logf("%d more bytes", len(m))
	}
}

// TestPaging goes through all workloads, the newest first.
func TestPaging(t *testing.T) {
	l := newLibrary(t)
	ctx := t.Context()
	p, err := l.SaveProfile(ctx, library.NewProfile("servers"))
	if err != nil {
		t.Fatal(err)
	}
	const n = 2*pageSize + 1
	err = l.Store.Update(ctx, func(tx library.Tx) error {
		for i := range n {
			w := library.Workload{UUID: fmt.Sprint(i), Status: library.StatusActive, Profile: p.ID, Hostname: fmt.Sprintf("host%03d", i), OS: "x", Version: "1"}
			if i < 10 {
				w.Paired = time.Now()
			}
			if err := tx.SaveWorkload(&w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b := browse(t, l)
	b.enter()
	next := regexp.MustCompile(`href="(/workloads\?before=[^"]+)"`)
	host := regexp.MustCompile(`>(host\d+)</a>`)
	var got []string
	for path := "/workloads"; path != ""; {
		b.get(path)
		for _, m := range host.FindAllStringSubmatch(b.body, -1) {
			got = append(got, m[1])
		}
		path = ""
		if m := next.FindStringSubmatch(b.body); m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	for i, h := range got {
		if want := fmt.Sprintf("host%03d", n-1-i); h != want {
			t.Fatalf("workload %d is %s, want %s", i, h, want)
		}
	}
	if len(got) != n {
		t.Errorf("there are %d, want %d", len(got), n)
	}
	counts := regexp.MustCompile(`<p class="counts">.*</p>`).FindString(b.body)
	if got := strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(counts, " ")); !slices.Equal(got, []string{"lost", "191", "active", "10"}) {
		t.Errorf("the counts are %q", got)
	}
	if b.get("/workloads?q=HOST01"); len(host.FindAllString(b.body, -1)) != 10 {
		t.Errorf("a search finds %d, want 10", len(host.FindAllString(b.body, -1)))
	}
	if got := b.get("/workloads?before=x"); got != http.StatusNotFound {
		t.Errorf("an address that is none gives %d", got)
	}
}
