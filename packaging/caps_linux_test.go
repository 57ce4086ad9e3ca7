package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
)

// TestGetcap: what setcap sets is read as getcap reads it.
func TestGetcap(t *testing.T) {
	oracle.Need(t, "setcap", "getcap")
	if os.Geteuid() != 0 {
		oracle.Skip(t, "it sets capabilities, which is for root alone")
	}
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"cap_net_raw=ep", "cap_net_admin,cap_net_raw+ep", "cap_syslog=eip", "cap_net_raw=p cap_chown=i", "cap_net_raw=p cap_chown=ip", "cap_bpf=i",
	} {
		if out, err := exec.Command("setcap", text, name).CombinedOutput(); err != nil {
			oracle.Skip(t, "setcap: "+string(out))
		}
		out, err := exec.Command("getcap", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSpace(strings.TrimPrefix(string(out), name+" "))
		for _, spelt := range []string{"", text} {
			got, errs, err := (&packaging.Scan{}).Read(t.Context(), packaging.Layout{{Path: name, Mode: 0o755, Caps: spelt}})
			if spelt == "" {
				spelt = want
			}
			if err != nil || len(errs) > 0 || len(got) != 1 || got[0].Caps != spelt {
				t.Errorf("%q: got %+v, %v, %v; want %q", text, got, errs, err, spelt)
			}
		}
	}
}
