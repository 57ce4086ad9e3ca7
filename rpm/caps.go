package rpm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// capabilities are the names of Linux' capabilities, in order of their numbers
// (capabilities(7)).
var capabilities = []string{
	"cap_chown", "cap_dac_override", "cap_dac_read_search", "cap_fowner", "cap_fsetid", "cap_kill", "cap_setgid",
	"cap_setuid", "cap_setpcap", "cap_linux_immutable", "cap_net_bind_service", "cap_net_broadcast", "cap_net_admin",
	"cap_net_raw", "cap_ipc_lock", "cap_ipc_owner", "cap_sys_module", "cap_sys_rawio", "cap_sys_chroot",
	"cap_sys_ptrace", "cap_sys_pacct", "cap_sys_admin", "cap_sys_boot", "cap_sys_nice", "cap_sys_resource",
	"cap_sys_time", "cap_sys_tty_config", "cap_mknod", "cap_lease", "cap_audit_write", "cap_audit_control",
	"cap_setfcap", "cap_mac_override", "cap_mac_admin", "cap_syslog", "cap_wake_alarm", "cap_block_suspend",
	"cap_audit_read", "cap_perfmon", "cap_bpf", "cap_checkpoint_restore",
}

// validateCaps checks a text of the form that cap_from_text(3) reads: clauses
// separated by spaces, each of names, an operator and flags.
func validateCaps(text string) error {
	clauses := strings.Fields(text)
	if len(clauses) == 0 {
		return errors.New("is empty")
	}
	for _, c := range clauses {
		i := strings.IndexAny(c, "=+-")
		if i < 0 {
			return fmt.Errorf("%q has no =, + or -", c)
		}
		for name := range strings.SplitSeq(c[:i], ",") {
			name = strings.ToLower(name)
			if (name != "" || c[i] != '=') && name != "all" && !slices.Contains(capabilities, name) {
				return fmt.Errorf("%q is not a capability", name)
			}
		}
		if strings.Trim(c[i:], "=+-eip") != "" {
			return fmt.Errorf("%q: want e, i and p after the operator", c)
		}
	}
	return nil
}
