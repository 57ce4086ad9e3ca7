package hooks_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
)

func TestConfigRoundTrip(t *testing.T) {
	want := config("24.2.1-10.el8")
	b, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`"user": "ilo-ven"`, `"mode": "0750"`} { // the purge of a DEB looks for the first
		if !strings.Contains(string(b), line) {
			t.Errorf("the configuration has no %s:\n%s", line, b)
		}
	}
	got, err := hooks.ParseConfig(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// Everything that is wrong is reported at once.
func TestConfigValidate(t *testing.T) {
	bad := hooks.Config{
		Format: 2, Name: "-x", Version: "a b", Program: "opt/x", Data: "/nowhere", Log: "/var/log/../x", EnvPrefix: "ven",
		Account: hooks.Account{User: "root", Group: "a:b", Home: "home", Shell: "/bin/sh;reboot", Comment: "a:b"},
		Folders: []hooks.Folder{{Path: "/opt/a/b", Owner: "$(id)"}, {Path: "/opt/a"}, {Path: "/etc"}, {Path: "/opt/a b"}},
		Units:   []hooks.Unit{{Name: "agent"}, {Name: "../x.service"}},
		Start:   []string{"../sh"},
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("there is no error")
	}
	for _, want := range []string{
		"format 2, want 1", `name "-x"`, `version "a b"`, `program folder "opt/x"`, `data folder "/nowhere" is not one of the folders`,
		`log "/var/log/../x"`, `environment prefix "ven"`, `"root" is not a user's name`, `"a:b" is not a group's name`, `account: "home"`,
		`"/bin/sh;reboot"`, `comment "a:b"`, `"$(id)" is not an account's name`, "folder /opt/a: is named again, or after one that is in it",
		`folder "/etc"`, `folder "/opt/a b"`, `unit "agent"`, `unit "../x.service"`, `start command ["../sh"]`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s", want)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 19 {
		t.Errorf("%d problems, want 19:\n%v", n, err)
	}
	in := config("1")
	in.Data, in.Folders = "/opt/illumio_ven/data", []hooks.Folder{{Path: "/opt/illumio_ven/data"}}
	if err := in.Validate(); err == nil || !strings.Contains(err.Error(), "one is in the other") {
		t.Errorf("data in the program's folder gives %v", err)
	}
}

func TestParseConfig(t *testing.T) {
	const good = `{"format":1,"name":"a","version":"1","program":"/opt/a"}`
	if _, err := hooks.ParseConfig([]byte(good)); err != nil {
		t.Error(err)
	}
	for _, tc := range []struct{ in, want string }{
		{"", "want an object, got the end"},
		{good + "{}", "want the end"},
		{strings.Replace(good, "format", "formats", 1), "formats: unknown field"},
		{`{"folders":[{"mode":"0999"}]}`, `mode "0999": want octal digits`},
		{`{"folders":[{"mode":"17777"}]}`, `mode "17777": want octal digits`},
	} {
		if _, err := hooks.ParseConfig([]byte(tc.in)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("ParseConfig(%s) gives %v, want an error with %q", tc.in, err, tc.want)
		}
	}
}

func TestIsUser(t *testing.T) {
	for name, want := range map[string]bool{
		"www-data": true, "_apt": true, "j.doe": true, "0day": true, "": false, "-x": false, "a b": false, "a%b": false, "a\nUser=root": false, "é": false,
	} {
		if got := hooks.IsUser(name); got != want {
			t.Errorf("IsUser(%q) = %t", name, got)
		}
	}
}

// What is read and written again is the same, and what is valid needs no quoting
// in a shell or a unit.
func FuzzParseConfig(f *testing.F) {
	for _, c := range []hooks.Config{config("24.2.1-10.el8"), {Format: 1, Name: "a", Version: "1:1~2", Program: "/opt/a"}} {
		b, err := c.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := hooks.ParseConfig(b)
		if err != nil {
			return
		}
		out, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := hooks.ParseConfig(out)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.Marshal(); err != nil || string(twice) != string(out) {
			t.Errorf("written again it is\n%s\nwant\n%s (%v)", twice, out, err)
		}
		words := []string{c.Name, c.Version, c.Program, c.Data, c.Account.User, c.Account.Group}
		for _, folder := range c.Folders {
			words = append(words, folder.Path, folder.Owner, folder.Group)
		}
		for _, u := range c.Units {
			words = append(words, u.Name)
		}
		for _, w := range words {
			if strings.ContainsAny(w, " \t\n'\"$`\\;&|<>*?[]{}()#%") {
				t.Errorf("%q would need quoting", w)
			}
		}
		for _, e := range []hooks.Event{{Phase: hooks.PostInstall, Action: hooks.Install}, {Phase: hooks.PreRemove, Action: hooks.Remove}} {
			hooks.Plan(e, c)
		}
	})
}

func TestConfigWindows(t *testing.T) {
	good := msiConfig("25.2.20-10")
	good.Program = "/Program Files (x86)/Illumio"
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if got := good.Report() + good.LogFile() + good.PolicyStatus(); got != "/Windows/Temp/illumio-ven-report.tgz/Windows/Temp/illumio.log/var/lib/vpkg/illumio-ven/policy-status.json" {
		t.Errorf("the files are %s", got)
	}
	bad := config("1")
	bad.Windows, bad.Program, bad.Log = true, "/Program Files /x.", ""
	bad.Units = []hooks.Unit{{Name: "agent.service"}, {Name: "agentSvc", RunAs: true}}
	bad.Modules, bad.Sysctls = []hooks.Module{{Name: "x"}}, []hooks.Setting{{Name: "a.b", Value: "1"}}
	bad.Firewall, bad.Settings = &hooks.Firewall{}, "/etc/default/x"
	err := bad.Validate()
	for _, want := range []string{
		`program folder "/Program Files /x."`, `service "agent.service"`, "service agentSvc: works neither", "account: there is none", "start command: there is none",
		"kernel modules: there is none", "kernel settings: there is none", "firewall: there is none", "settings: there is none",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s", want)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 9 {
		t.Errorf("%d problems, want 9:\n%v", n, err)
	}
	if got := bad.LogFile(); got != "/Windows/Temp/illumio-ven-install.log" {
		t.Errorf("the default log is %s", got)
	}
}
