package platform

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
)

func TestParseSettings(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       Settings
		err        string
	}{
		{"empty", "", Settings{}, ""},
		{"all", "# sizes\nCONNTRACK_MAX=1000000\nCONNTRACK_HASH_SIZE=256000\nFW_STATE_TABLE_AUTO_RESIZE=True\n", Settings{1000000, 256000, true}, ""},
		{"quoted", "CONNTRACK_MAX=\"2000000\"", Settings{ConntrackMax: 2000000}, ""},
		{"off", "FW_STATE_TABLE_AUTO_RESIZE=False\n", Settings{}, ""},
		{"others' keys", "IPFILTER_STATE_MAX=5\nHTTPS_PROXY=http://proxy:1\n", Settings{}, ""},
		{"space", "A=1\nCONNTRACK_MAX = 5000\n", Settings{}, `2: "CONNTRACK_MAX = 5000": want KEY=VALUE without spaces`},
		{"no number", "CONNTRACK_MAX=many\n", Settings{}, `1: CONNTRACK_MAX: "many": want a number from 1024`},
		{"too small", "CONNTRACK_MAX=10\n", Settings{}, `want a number from 1024`},
		{"too large", "CONNTRACK_HASH_SIZE=2147483648\n", Settings{}, `want a number from 1024`},
		{"no truth", "FW_STATE_TABLE_AUTO_RESIZE=perhaps\n", Settings{}, `1: FW_STATE_TABLE_AUTO_RESIZE: "perhaps": want True or False`},
	} {
		got, err := parseSettings(tc.text)
		if got != tc.want && tc.err == "" || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: got %+v, %v, want %+v and %q", tc.name, got, err, tc.want, tc.err)
		}
	}
}

func TestReadSettings(t *testing.T) {
	const file, account = "/etc/default/illumio-agent", 998
	for _, tc := range []struct {
		name string
		attr hooks.Attr
		err  string
	}{
		{"root's", hooks.Attr{Mode: 0o640}, ""},
		{"the account's", hooks.Attr{Mode: 0o600, UID: account}, ""},
		{"another user's", hooks.Attr{Mode: 0o600, UID: 1000}, "is refused: it belongs to user 1000"},
		{"readable by others", hooks.Attr{Mode: 0o644}, "is refused: its mode is 0644"},
		{"writable by the group", hooks.Attr{Mode: 0o660}, "is refused: its mode is 0660"},
		{"a link", hooks.Attr{Mode: fs.ModeSymlink | 0o777}, "is refused: it is not a regular file"},
	} {
		sys := &hookstest.System{Files: map[string]hookstest.File{file: {Attr: tc.attr, Text: "CONNTRACK_MAX=4096\n"}}}
		got, err := readSettings(sys, file, account)
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.err)
		}
		if want := tc.err == ""; (got.ConntrackMax == 4096) != want {
			t.Errorf("%s: got %+v", tc.name, got)
		}
	}
	if got, err := readSettings(&hookstest.System{}, file, account); err != nil || got != (Settings{}) {
		t.Errorf("no file: %+v, %v", got, err)
	}
}
