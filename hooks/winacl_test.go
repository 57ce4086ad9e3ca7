package hooks

import (
	stdsha1 "crypto/sha1"
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// The identifier of TrustedInstaller is in Microsoft's documentation of
// well-known identifiers.
func TestServiceSID(t *testing.T) {
	for _, name := range []string{"TrustedInstaller", "TRUSTEDINSTALLER"} {
		if got := serviceSID(name); got != sidTrustedInstaller {
			t.Errorf("serviceSID(%s) is %s, want %s", name, got, sidTrustedInstaller)
		}
	}
	for n := range 200 {
		b := []byte(strings.Repeat("ab", n)[:n])
		want := stdsha1.Sum(b)
		for i, got := range sha1(b) {
			if w := binary.BigEndian.Uint32(want[4*i:]); got != w {
				t.Fatalf("word %d of the hash of %d bytes is %08x, want %08x", i, n, got, w)
			}
		}
	}
}

func TestNumber(t *testing.T) {
	for sid, want := range map[string]int{
		sidSystem: 0, sidAdministrators: 0, sidTrustedInstaller: 0,
		sidLocalService: 19, sidNetworkService: 20, sidUsers: 545,
		"S-1-5-21-1-2-3-1001":         1001,
		"S-1-1-0":                     1, // Everyone: nobody but those above is 0
		"S-1-5-80-1-2-3-4-2147483648": 1,
		"":                            1,
	} {
		if got := number(sid); got != want {
			t.Errorf("number(%q) is %d, want %d", sid, got, want)
		}
	}
	if sid, err := (accounts{"S-1-5-21-1-2-3-1001"}).sid(1001); err != nil || sid != "S-1-5-21-1-2-3-1001" {
		t.Errorf("number 1001 is %q, %v", sid, err)
	}
	if _, err := (accounts{}).sid(1001); err == nil {
		t.Error("an unknown number stands for an account")
	}
}

// What an Attr stands for is told from the descriptor alone, and no two Attrs have
// one descriptor.
func TestDescriptor(t *testing.T) {
	svc := serviceSID("venAgentMgrSvc")
	names := accounts{svc}
	n := number(svc)
	seen := map[string]Attr{}
	for _, perm := range []fs.FileMode{0o700, 0o750, 0o755, 0o770, 0o744, 0o500, 0o740} {
		for _, ids := range [][2]int{{0, 0}, {n, 0}, {0, n}, {n, n}, {19, n}, {n, 20}} {
			attr := Attr{Mode: fs.ModeDir | perm, UID: ids[0], GID: ids[1]}
			if attr.UID == 0 {
				attr.Mode |= 0o700 // Administrators can do everything
			}
			d, err := names.descriptor(attr)
			if err != nil {
				t.Fatal(err)
			}
			if got := names.attr(d, fs.ModeDir); got != attr {
				t.Errorf("%s gives %+v, want %+v", d.sddl(), got, attr)
			}
			if other, ok := seen[d.sddl()]; ok && other != attr {
				t.Errorf("%+v and %+v have the same descriptor", other, attr)
			}
			seen[d.sddl()] = attr
		}
	}
	for _, attr := range []Attr{
		{Mode: fs.ModeDir | 0o777},
		{Mode: fs.ModeDir | 0o750, UID: 1001},
		{Mode: fs.ModeDir | 0o750, GID: 1001},
	} {
		if d, err := names.descriptor(attr); err == nil {
			t.Errorf("%+v gives %s, want an error", attr, d.sddl())
		}
	}
}

func TestSDDL(t *testing.T) {
	svc := serviceSID("venAgentMgrSvc")
	n := number(svc)
	for _, tc := range []struct {
		name string
		attr Attr
		want string
	}{
		{"data", Attr{Mode: fs.ModeDir | 0o700, UID: n}, "O:S-1-5-32-544G:S-1-5-18D:P(A;OICI;0x1f01ff;;;S-1-5-18)(A;OICI;0x1f01ff;;;S-1-5-32-544)(A;OICI;0x1301bf;;;" + svc + ")"},
		{"program", Attr{Mode: fs.ModeDir | 0o755}, "O:S-1-5-32-544G:S-1-5-18D:P(A;OICI;0x1f01ff;;;S-1-5-18)(A;OICI;0x1200a9;;;S-1-5-18)(A;OICI;0x1f01ff;;;S-1-5-32-544)(A;OICI;0x1200a9;;;S-1-5-32-545)"},
		{"file", Attr{Mode: 0o600, UID: 19}, "O:S-1-5-32-544G:S-1-5-18D:P(A;;0x1f01ff;;;S-1-5-18)(A;;0x1f01ff;;;S-1-5-32-544)(A;;0x1301bf;;;S-1-5-19)"},
	} {
		d, err := accounts{svc}.descriptor(tc.attr)
		if got := d.sddl(); err != nil || got != tc.want {
			t.Errorf("%s: %s, %v, want %s", tc.name, got, err, tc.want)
		}
	}
	if got, want := private().sddl(), "D:P(A;;0x1f01ff;;;S-1-5-18)(A;;0x1f01ff;;;S-1-5-32-544)(A;;0x1f01ff;;;S-1-3-4)"; got != want {
		t.Errorf("a private file has %s, want %s", got, want)
	}
}

// A descriptor that differs in anything stands for no Attr.
func TestForeignDescriptor(t *testing.T) {
	svc := serviceSID("venAgentMgrSvc")
	names := accounts{svc}
	user := "S-1-5-21-1-2-3-1001"
	for _, tc := range []struct {
		name   string
		change func(*descriptor)
		want   Attr
	}{
		{"unprotected", func(d *descriptor) { d.protected = false }, Attr{Mode: 0o770}},
		{"owned by a user", func(d *descriptor) { d.owner = user }, Attr{Mode: 0o770, UID: 1001}},
		{"owned by SYSTEM", func(d *descriptor) { d.owner = sidSystem }, Attr{Mode: 0o770}},
		{"inherited", func(d *descriptor) { d.list[0].flags |= aceInherited }, Attr{Mode: 0o770}},
		{"open to users", func(d *descriptor) { d.list = append(d.list, ace{mask: 0x100116, sid: sidUsers}) }, Attr{Mode: 0o777}},
		{"one user may read", func(d *descriptor) { d.list = append(d.list, ace{mask: accessRead, sid: user}) }, Attr{Mode: 0o775}},
		{"denied", func(d *descriptor) { d.list = append(d.list, ace{kind: aceDenied, mask: accessFull, sid: sidUsers}) }, Attr{Mode: 0o770}},
		{"no SYSTEM", func(d *descriptor) { d.list = d.list[1:] }, Attr{Mode: 0o770}},
		{"more for the service", func(d *descriptor) { d.list[2].mask = accessFull }, Attr{Mode: 0o770}},
		{"empty", func(d *descriptor) { d.list = nil }, Attr{Mode: 0o700}},
		{"no list", func(d *descriptor) { d.list, d.open = nil, true }, Attr{Mode: 0o777}},
	} {
		d, err := names.descriptor(Attr{Mode: fs.ModeDir | 0o700, UID: number(svc)})
		if err != nil {
			t.Fatal(err)
		}
		tc.change(&d)
		tc.want.Mode |= fs.ModeDir | ownList
		if got := names.attr(d, fs.ModeDir); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestPlanted(t *testing.T) {
	user, svc := "S-1-5-21-1-2-3-1001", serviceSID("venAgentMgrSvc")
	for _, tc := range []struct {
		owner      string
		link, open bool
		planted    bool
	}{
		{sidAdministrators, false, true, false},
		{sidAdministrators, true, true, false},
		{svc, false, true, false},
		{svc, true, false, true}, // it may write its data folder, and wherever it points to the hook can
		{user, false, true, true},
		{user, false, false, false}, // made by somebody whom an administrator lets do so
		{user, true, false, true},
	} {
		err := descriptor{owner: tc.owner}.planted(tc.link, tc.open)
		if errors.Is(err, ErrPlanted) != tc.planted || (err != nil) != tc.planted {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

func TestMayOwn(t *testing.T) {
	for sid, want := range map[string]bool{
		sidSystem: true, sidAdministrators: true, sidTrustedInstaller: true, sidLocalService: true,
		serviceSID("venAgentMgrSvc"): true,
		sidUsers:                     false, "S-1-1-0": false, "S-1-5-21-1-2-3-500": false, "S-1-5-21-1-2-3-1001": false, "": false,
	} {
		if got := mayOwn(sid); got != want {
			t.Errorf("mayOwn(%q) is %t, want %t", sid, got, want)
		}
	}
	if !errors.Is(ErrPlanted, fs.ErrPermission) {
		t.Error("ErrPlanted is no refusal")
	}
}
