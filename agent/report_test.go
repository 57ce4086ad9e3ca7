package agent_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
)

// A reported is a host whose commands answer with their own names and a secret.
type reported struct{ *hookstest.System }

func (reported) Run(_ context.Context, argv ...string) (string, error) {
	if argv[0] == "lsmod" {
		return "", errors.New("lsmod: not installed")
	}
	return strings.Join(argv, " ") + "\nBearer s3cr3t-t0ken\nactivation_code: 1c0de\n", nil
}

func TestReport(t *testing.T) {
	data := t.TempDir()
	for name, text := range map[string]string{
		"etc/agent_activation.cfg": "masterconfig_server: pce:8443\n",
		"etc/agent_token":          "s3cr3t-t0ken",
		"etc/activation_code":      "1c0de-in-a-file",
		"etc/ipsec.d/private/key":  "private key",
		"log/agentmgr.log":         "said s3cr3t-t0ken once\n",
	} {
		file := filepath.Join(data, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "shadow")
	if err := errors.Join(os.WriteFile(outside, []byte("somebody's password"), 0o600), os.Symlink(outside, filepath.Join(data, "log", "vtap.log"))); err != nil {
		t.Fatal(err)
	}
	sys := &hookstest.System{Files: map[string]hookstest.File{
		"/var/log/illumio_install.log":              {Text: "VEN_ACTIVATION_CODE=1c0de\n"},
		"/var/lib/vpkg/illumio-ven/activation_code": {Text: "1c0de"},
	}}
	r := agent.Report{
		Config:  hooks.Config{Name: "illumio-ven", Program: "/opt/illumio_ven", Data: data, Log: "/var/log/illumio_install.log", Units: []hooks.Unit{{Name: "illumio-ven.service"}}},
		Sys:     reported{sys},
		Secrets: []string{"s3cr3t-t0ken"},
		Time:    time.Unix(1, 0),
	}
	var b bytes.Buffer
	if err := r.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	files := untar(t, &b)
	for name, want := range map[string]string{
		"commands/status.txt":                        "/opt/illumio_ven/bin/vpkg-hook platform status\nBearer [redacted]\n",
		"commands/unit-illumio-ven.service.txt":      "systemctl --no-pager",
		"files/var/log/illumio_install.log":          "VEN_ACTIVATION_CODE=[redacted]\n",
		"files" + data + "/etc/agent_activation.cfg": "masterconfig_server: pce:8443\n",
		"files" + data + "/log/agentmgr.log":         "said [redacted] once\n",
		"errors.txt":                                 "commands/lsmod.txt: lsmod: not installed\n",
	} {
		if got := files["illumio-ven-report/"+name]; !strings.HasPrefix(got, want) && !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, text := range files {
		for _, secret := range []string{"s3cr3t-t0ken", "1c0de", "private key", "somebody's password"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %q in it", name, secret)
			}
		}
	}
}

func untar(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for a := tar.NewReader(z); ; {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(a)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(text)
	}
}
