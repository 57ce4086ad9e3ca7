package packaging_test

import (
	"encoding/hex"
	"testing"

	"github.com/vpkg/vpkg/packaging"
)

func TestCaps(t *testing.T) {
	const netRaw, netAdmin, syslog = 1 << 13, 1 << 12, 1 << 34
	for _, tt := range []struct {
		text string
		want packaging.FileCaps
		back string // what String gives; empty means text
	}{
		{"cap_net_raw=ep", packaging.FileCaps{Effective: netRaw, Permitted: netRaw}, ""},
		{"cap_net_raw+ep", packaging.FileCaps{Effective: netRaw, Permitted: netRaw}, "cap_net_raw=ep"},
		{"CAP_NET_RAW,cap_net_admin=pe", packaging.FileCaps{Effective: netRaw | netAdmin, Permitted: netRaw | netAdmin}, "cap_net_admin,cap_net_raw=ep"},
		{"cap_net_admin,cap_net_raw=ep cap_net_admin-e", packaging.FileCaps{Effective: netRaw, Permitted: netRaw | netAdmin}, "cap_net_raw=ep cap_net_admin+p"},
		{"cap_syslog=eip", packaging.FileCaps{Effective: syslog, Inheritable: syslog, Permitted: syslog}, ""},
		{"cap_net_raw=ei+p", packaging.FileCaps{Effective: netRaw, Inheritable: netRaw, Permitted: netRaw}, "cap_net_raw=eip"},
		{"=ep", packaging.FileCaps{Effective: 1<<41 - 1, Permitted: 1<<41 - 1}, ""},
		{"all=ep", packaging.FileCaps{Effective: 1<<41 - 1, Permitted: 1<<41 - 1}, "=ep"},
		{"=", packaging.FileCaps{}, ""},
	} {
		got, err := packaging.ParseCaps(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
		if tt.back == "" {
			tt.back = tt.text
		}
		if s := got.String(); s != tt.back {
			t.Errorf("%q is written as %q, want %q", tt.text, s, tt.back)
		}
	}
	for _, bad := range []string{"", " ", "cap_net_raw", "cap_x=ep", "=x", "+ep"} {
		if c, err := packaging.ParseCaps(bad); err == nil {
			t.Errorf("%q: %+v", bad, c)
		}
	}
}

func TestDecodeCaps(t *testing.T) {
	for _, tt := range []struct{ attribute, want string }{
		{"0100000200200000000000000000000000000000", "cap_net_raw=ep"},                            // revision 2
		{"0000000200300000001000000400000000000000", "cap_net_admin=ip cap_net_raw,cap_syslog+p"}, // not effective
		{"010000030020000000000000000000000000000010270000", "cap_net_raw=ep [rootid=10000]"},     // revision 3
		{"010000010020000000000000", "cap_net_raw=ep"},                                            // revision 1
		{"01000002ffffffff00000000ff01000000000000", "=ep"},                                       // all of them
		{"0000000200000000000000000000008000000000", "63=p"},                                      // one that has no name yet
		{"0000000200000000000000000000000000000000", "="},                                         // none, which takes all
		{"01000002", ""}, {"", ""}, {"010000090020000000000000", ""}, {"0100000200200000000000", ""}, // damaged
	} {
		b, err := hex.DecodeString(tt.attribute)
		if err != nil {
			t.Fatal(err)
		}
		c, err := packaging.DecodeCaps(b)
		if got := c.String(); tt.want == "" && err == nil || tt.want != "" && got != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.attribute, got, err, tt.want)
		}
	}
}

func FuzzCaps(f *testing.F) {
	f.Add("cap_net_admin,cap_net_raw=ep cap_net_admin-e", []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text string, attribute []byte) {
		packaging.DecodeCaps(attribute) //nolint:errcheck // it does not panic
		c, err := packaging.ParseCaps(text)
		if err != nil {
			return
		}
		if again, err := packaging.ParseCaps(c.String()); err != nil || again != c {
			t.Errorf("%q is written as %q, which is %+v, %v", text, c, again, err)
		}
	})
}
