package hooks

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// places says where the folders of a configuration, whose paths are those of a
// package for Linux, are on a Windows host.
type places map[string]string

// find gives the Windows path of one in a configuration: below a place, or a
// folder above one, in which it stands. A Windows path stands for itself.
func (p places) find(name string) (string, bool) {
	if name == "" {
		return "", false
	}
	if len(name) > 2 && (name[1:3] == `:\` || name[:2] == `\\`) {
		return name, true
	}
	sorted := slices.Sorted(maps.Keys(p))
	for _, from := range slices.Backward(sorted) { // what is below comes first
		if within(name, from) {
			return p[from] + strings.ReplaceAll(strings.TrimPrefix(name, from), "/", `\`), true
		}
	}
	for _, from := range sorted {
		if !within(from, name) {
			continue
		}
		to := p[from]
		for range strings.Count(strings.TrimPrefix(from, name), "/") {
			end := strings.LastIndexByte(to, '\\')
			if end < len(`C:\`) {
				return to[:min(len(to), len(`C:\`))], true
			}
			to = to[:end]
		}
		return to, true
	}
	return "", false
}

// mayRemoveAll refuses a Windows path that is no product's own folder, as an
// administrator may have named it: a drive or share, and a folder that is one of the
// system's or has one in it.
func mayRemoveAll(path string, system []string) error {
	folded := strings.ToLower(strings.TrimRight(path, `\`))
	volume, rest, _ := strings.Cut(folded, `\`)
	refused := len(volume) != len("C:") || volume[1] != ':' || rest == "" || strings.Contains(`\`+folded+`\`, `\..\`)
	for _, s := range system {
		refused = refused || strings.HasPrefix(strings.ToLower(s)+`\`, folded+`\`)
	}
	if refused {
		return fmt.Errorf("%s is not a product's own folder: it is left as it is: %w", path, fs.ErrPermission)
	}
	return nil
}
