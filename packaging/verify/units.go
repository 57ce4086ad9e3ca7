package verify

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// isUnit reports whether a file is a unit of systemd, the system's.
func isUnit(p string) bool {
	dir, name := path.Split(p)
	return strings.HasSuffix(dir, "/systemd/system/") && slices.Contains([]string{".service", ".socket"}, path.Ext(name))
}

// A unit is what a unit file says that rules ask for.
type unit struct {
	path    string
	runs    []string // programs of Exec lines, with their absolute paths
	user    string   // empty means root
	group   string
	dynamic bool // systemd makes the user when the unit starts
}

// readUnits reads unit files: systemd.syntax(7).
func readUnits(files map[string][]byte) []unit {
	var units []unit
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if isUnit(p) {
			units = append(units, parseUnit(p, string(files[p])))
		}
	}
	return units
}

func parseUnit(p, text string) unit {
	u := unit{path: p}
	section := ""
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			section = line
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case section == "[Service]" && (key == "ExecStart" || key == "ExecStartPre" || key == "ExecStop"):
			u.exec(value)
		case section == "[Service]" && key == "User", section == "[Socket]" && key == "SocketUser":
			u.user = value
		case section == "[Service]" && key == "Group", section == "[Socket]" && key == "SocketGroup":
			u.group = value
		case key == "DynamicUser":
			u.dynamic = slices.Contains([]string{"yes", "true", "on", "1"}, strings.ToLower(value))
		}
	}
	return u
}

// exec notes the program of an Exec line. One whose failure does not matter (-), whose
// path has a specifier, or that is looked up in PATH, is not one that the package has
// to have.
func (u *unit) exec(value string) {
	value = strings.TrimLeft(value, "@:+!|")
	program, _, _ := strings.Cut(value, " ")
	program = strings.Trim(program, `"'`)
	if strings.HasPrefix(program, "/") && !strings.ContainsAny(program, "%$") {
		u.runs = append(u.runs, path.Clean(program))
	}
}
