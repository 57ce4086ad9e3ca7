//go:build linux

package pairing

import (
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/testbed"
)

// fakes are an installation whose programs write down how they are called. What
// activate is told depends on the files /pce/refuses and /pce/fails; with /pce/slow
// agent_status.sh finds no policy at first.
const fakes = `set -e
mkdir -p /opt/illumio_ven/bin /opt/illumio_ven_data/etc /opt/illumio_ven_data/tmp
cat >/opt/illumio_ven/illumio-ven-ctl <<'END'
#!/bin/sh
case $1 in
version) cat /pce/there; exit ;;
esac
if [ "$2" = --help ]; then
	echo '  --profile-id NUMBER'
	exit
fi
printf '[%s]' "$@" >>/pce/called
echo >>/pce/called
[ "$1" = activate ] || exit 0
cat >/pce/stdin
for p in /proc/[0-9]*; do
	tr '\0' ' ' <$p/cmdline
	tr '\0' ' ' <$p/environ
	echo
done >/pce/processes 2>/dev/null
if [ -e /pce/refuses ]; then
	echo "vpkg-agent: activating: it refuses $(cat /pce/stdin); the code is erased" >&2
	exit 1
fi
[ ! -e /pce/fails ]
END
cat >/opt/illumio_ven/bin/init_Platform <<'END'
#!/bin/sh
echo init_Platform "$@" >>/pce/called
echo " - venAgentMgr running, pid 7"
[ ! -e /pce/unable ]
END
cat >/opt/illumio_ven/bin/agent_status.sh <<'END'
#!/bin/sh
echo x >>/pce/looks
if [ -e /pce/slow ] && [ $(wc -l </pce/looks) -lt 3 ]; then
	echo 'VEN Configuration retrieval ......PENDING'
	exit 1
fi
echo 'VEN Configuration retrieval ......SUCCESS'
echo 'VEN has been SUCCESSFULLY paired with Illumio'
END
chmod 755 /opt/illumio_ven/illumio-ven-ctl /opt/illumio_ven/bin/*
cat >/usr/bin/dpkg-query <<'END'
#!/bin/sh
printf 'installed %s.debian12' "$(cat /pce/there)"
END
echo 25.2.20-10 >/pce/there
`

// TestPairing has the script pair an installation that is there.
func TestPairing(t *testing.T) {
	t.Parallel()
	h := newHost(t, testbed.Bookworm)
	h.Sh(t, fakes).OK(t)
	h.Write(t, "/root/the code", boxCode+"\n")
	h.Write(t, "/pce/slow", "")
	values := []string{`Web 'Server'`, `"x" \ $(id) ` + "`id`", "-- * ~ #", "Prüfung"}
	for _, shell := range shells {
		for _, way := range []string{"argument", "file", "standard input"} {
			h.Sh(t, "rm -f /pce/called").OK(t)
			argv := append(slices.Clone(shell), "/pce/pair.sh", "--management_server="+boxServer, "--ca-file", "/pce/ca.pem",
				"--role", values[0], "--app", values[1], "--env="+values[2], "--loc", values[3], "--enforcement-mode", "full")
			var r testbed.Result
			switch way {
			case "argument":
				r = h.Run(t, append(argv, "--activation-code", boxCode)...)
			case "file":
				r = h.Run(t, append(argv, "--activation-code-file", "/root/the code")...)
			default:
				argv = append([]string{"/bin/sh", "-c", `exec "$@" --activation-code-file=- <"/root/the code"`, "sh"}, argv...)
				r = h.Run(t, argv...)
			}
			const want = `Activating Illumio
Storing Activation Configuration
Pairing with Illumio
Created /opt/illumio_ven_data/etc/agent_activation.cfg
Starting Illumio Processes
Checking Runtime Environment
Starting illumio-control:
   - venAgentMgr running, pid 7
VEN Configuration retrieval ......SUCCESS
VEN has been SUCCESSFULLY paired with Illumio
`
			if r.Code != 0 || r.Stdout != want || r.Stderr != "" {
				t.Errorf("%q, %s: %s", shell, way, r)
			}
			wantCalls := "[activate][--management-server=" + boxServer + "][--activation-code-file=-][--profile-id=2][--enforcement_mode=full][--role=" + values[0] +
				"][--app=" + values[1] + "][--env=" + values[2] + "][--loc=" + values[3] + "][--ca-file=/pce/ca.pem]\ninit_Platform start\n[check-env]\ninit_Platform status\n"
			if got := h.Read(t, "/pce/called"); got != wantCalls {
				t.Errorf("%q, %s: it called\n%swant\n%s", shell, way, got, wantCalls)
			}
			if got := h.Read(t, "/pce/stdin"); got != boxCode+"\n" {
				t.Errorf("%q, %s: the code came as %q", shell, way, got)
			}
			// The line's own argument cannot be helped; it is there once.
			processes, most := h.Read(t, "/pce/processes"), 0
			if way == "argument" {
				most = 1
			}
			if !strings.Contains(processes, "pair.sh") || strings.Count(processes, boxCode) > most {
				t.Errorf("%q, %s: the code can be seen in the list of processes:\n%s", shell, way, processes)
			}
		}
	}
	if got, want := strings.Count(h.Read(t, "/pce/looks"), "x"), 3*len(shells)+2; got != want {
		t.Errorf("they looked %d times for a policy that is there at the third, want %d", got, want)
	}
	if log := h.Read(t, "/var/log/illumio_install.log"); strings.Contains(log, boxCode) || !strings.Contains(log, "VEN has been SUCCESSFULLY paired") {
		t.Errorf("the log:\n%s", log)
	}
	if left := h.Sh(t, "ls -A /opt/illumio_ven_data/tmp /tmp").OK(t); strings.Contains(left, "pair.") {
		t.Errorf("it leaves %s", left)
	}
}

// TestPairingStates meets installations in other states.
func TestPairingStates(t *testing.T) {
	t.Parallel()
	h := newHost(t, testbed.Bookworm)
	h.Sh(t, fakes).OK(t)
	paired := func(server string) string {
		return "echo agent_id: 7 >/opt/illumio_ven_data/etc/agent_id.cfg; echo 'masterconfig_server: " + server + "' >/opt/illumio_ven_data/etc/agent_activation.cfg; "
	}
	for _, tt := range []struct {
		name, prepare string
		options       string
		status        int
		says, calls   string
	}{
		{"paired", paired("127.0.0.1:8443"), "", 0, "The VEN is already paired with 127.0.0.1:8443\n", ""},
		{"paired, and the server is away", paired("pce.test:8443"), "--management-server PCE.test:8443", 0, "The VEN is already paired with PCE.test:8443\n", ""},
		{"another port", paired("127.0.0.1:443"), "", 0, "Activating Illumio\nDetected PCE fqdn/port change\nStoring Activation Configuration\n", "[deactivate]\n[activate]"},
		{"another server, which is away", paired("pce.test:443"), "--management-server pce2.test:8443", 9, "Nothing was changed", ""},
		{"a code that is refused", "touch /pce/refuses", "", 17, "it refuses [redacted]; the code is erased\npair.sh: The activation code was refused", "[activate]"},
		{"something else", "touch /pce/fails", "", 18, "The VEN is installed and not paired", "[activate]"},
		{"it does not start", "touch /pce/unable", "", 16, "The VEN could not be started", "[activate]\ninit_Platform start"},
		{"later", "echo 25.3.1-1 >/pce/there", "", 0, "Activating Illumio\nStoring", "[activate]"},
		{"later than asked for", "echo 25.3.1-1 >/pce/there", "--version 25.2.20-10", 0, "Activating Illumio\nStoring", "[activate]"},
		{"another than asked for", "echo 25.3.1-1 >/pce/there", "--version 24.1.1-1", 10, "The VEN is installed as 25.3.1-1, which is not older than 24.1.1-1", ""},
		{"earlier", "echo 25.2.9-99 >/pce/there", "--dry-run", 0, "Installing Illumio\nThis host is Debian GNU/Linux 12, ", ""},
		{"earlier build", "echo 25.2.20-9 >/pce/there", "--dry-run", 0, "Would download illumio-ven-25.2.20-10.debian12.", ""},
		{"not made of numbers", "echo unknown >/pce/there", "", 0, "Activating Illumio", "[activate]"},
		{"unfinished", "printf '#!/bin/sh\necho half-configured 1\n' >/usr/bin/dpkg-query", "", 10, "An installation of illumio-ven is not complete", ""},
	} {
		for _, shell := range [][]string{shells[0], shells[3]} {
			h.Sh(t, "rm -f /pce/called /pce/looks /pce/refuses /pce/fails /pce/unable /opt/illumio_ven_data/etc/*; : >/pce/called").OK(t)
			h.Sh(t, fakes+tt.prepare).OK(t)
			before := h.Sh(t, "ls /opt/illumio_ven_data/etc").OK(t)
			argv := append(slices.Clone(shell), "/pce/pair.sh", "--ca-file", "/pce/ca.pem", "--activation-code", boxCode)
			if !strings.Contains(tt.options, "--management-server") {
				argv = append(argv, "--management-server", boxServer)
			}
			r := h.Run(t, append(argv, strings.Fields(tt.options)...)...)
			if said := r.Stdout + r.Stderr; r.Code != tt.status || !strings.Contains(said, tt.says) || strings.Contains(said, boxCode) {
				t.Errorf("%s, %q: want status %d and %q: %s", tt.name, shell, tt.status, tt.says, r)
			}
			called := strings.ReplaceAll(h.Read(t, "/pce/called"), "[--management-server="+boxServer+"][--activation-code-file=-][--profile-id=2][--ca-file=/pce/ca.pem]", "")
			if !strings.HasPrefix(called, tt.calls) || tt.calls == "" && called != "" {
				t.Errorf("%s, %q: it called\n%s", tt.name, shell, called)
			}
			if after := h.Sh(t, "ls /opt/illumio_ven_data/etc").OK(t); after != before {
				t.Errorf("%s, %q: the data folder has %s", tt.name, shell, after)
			}
		}
	}
}

// TestFolderGivenBack: the line makes the folder of the download anew, also where the
// account of an installation owns it. A link in its place is not followed.
func TestFolderGivenBack(t *testing.T) {
	t.Parallel()
	h := newHost(t, testbed.Bookworm)
	h.Sh(t, fakes+`useradd -r ilo-ven
chown -R ilo-ven:ilo-ven /opt/illumio_ven_data
echo agent_id: 7 >/opt/illumio_ven_data/etc/agent_id.cfg
echo 'masterconfig_server: `+boxServer+`' >/opt/illumio_ven_data/etc/agent_activation.cfg`).OK(t)
	folder := func() string { return h.Run(t, "stat", "-c", "%U:%G %a", boxDir).OK(t) }
	for _, shell := range shells {
		h.Sh(t, "rm -fr "+boxDir+"; umask 026; mkdir -p "+boxDir).OK(t)
		h.pair(t, shell, "--activation-code", boxCode, "--dry-run").OK(t)
		if got := folder(); got != "root:root 751\n" {
			t.Errorf("%q: --dry-run makes it %s", shell, got)
		}
		h.pair(t, shell, "--activation-code", boxCode).OK(t)
		if got := folder(); got != "ilo-ven:ilo-ven 750\n" {
			t.Errorf("%q: it is %s", shell, got)
		}
		h.Sh(t, "rm -r "+boxDir+"; mkdir -p /root/other; chmod 700 /root/other; ln -s /root/other "+boxDir).OK(t)
		h.pair(t, shell, "--activation-code", boxCode).OK(t)
		if got := h.Run(t, "stat", "-c", "%U:%G %a", "/root/other").OK(t); got != "root:root 700\n" {
			t.Errorf("%q: a link is followed, to what is %s now", shell, got)
		}
	}
}
