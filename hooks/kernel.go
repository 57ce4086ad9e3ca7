package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// SysctlPath is the file of a kernel setting. In a name with dots they stand for
// slashes; in one with slashes dots are dots: sysctl.d(5). An absolute path, such
// as that of a module's parameter, is the file itself.
func SysctlPath(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, ".", "/")
	}
	return "/proc/sys/" + name
}

// lookSysctl looks at a setting. One that the kernel does not have, for the
// module that brings it is not loaded, is a warning.
func (h *host) lookSysctl(s Step) (undo Step, need bool, err error) {
	b, err := h.ReadFile(SysctlPath(s.Name))
	if errors.Is(err, fs.ErrNotExist) {
		h.log.Warn("the kernel has no such setting: it is left", "setting", s.Name)
		return Step{}, false, nil
	}
	if err != nil {
		return Step{}, false, err
	}
	now := strings.Join(strings.Fields(string(b)), " ")
	if now == s.Text {
		return Step{}, false, nil
	}
	return Step{Kind: Sysctl, Name: s.Name, Text: now}, true, s.changed(now)
}

// setSysctl sets it. Where it may not be, as in most containers, that is a
// warning: the product works with another value.
func (h *host) setSysctl(s Step) error {
	if err := h.Set(SysctlPath(s.Name), s.Text); err != nil {
		h.log.Warn("the kernel's setting cannot be set", "setting", s.Name, "to", s.Text, "error", err)
	}
	return nil
}

// changed says that what a step would undo is no longer what was made.
func (s Step) changed(now string) error {
	if len(s.Only) == 0 || now == s.Text || slices.Contains(s.Only, now) {
		return nil
	}
	if strings.Contains(now, "\n") || len(now) > 60 {
		return errors.New("somebody else has changed it since")
	}
	return fmt.Errorf("is %q now, which somebody else has set since", now)
}
