package msi

import (
	"path"
	"slices"
	"strings"
)

// A standardFolder is one that Windows Installer knows by a property, which is the
// key of its row in Directory.
type standardFolder struct{ id, path string }

// Those that packages can use, the longer paths first. A path is where the folder
// is on a host that was set up as usual, without the drive.
var standardFolders = []standardFolder{
	{"CommonFiles64Folder", "/Program Files/Common Files"},
	{"CommonFilesFolder", "/Program Files (x86)/Common Files"},
	{"System64Folder", "/Windows/System32"},
	{"SystemFolder", "/Windows/SysWOW64"},
	{"FontsFolder", "/Windows/Fonts"},
	{"TempFolder", "/Windows/Temp"},
	{"ProgramFiles64Folder", "/Program Files"},
	{"ProgramFilesFolder", "/Program Files (x86)"},
	{"CommonAppDataFolder", "/ProgramData"},
	{"ProgramMenuFolder", "/ProgramData/Microsoft/Windows/Start Menu/Programs"},
	{"StartMenuFolder", "/ProgramData/Microsoft/Windows/Start Menu"},
	{"DesktopFolder", "/Users/Public/Desktop"},
	{"WindowsFolder", "/Windows"},
	{"WindowsVolume", "/"},
}

// writable are the ones that files of a package may be laid in, or below.
var writable = []string{"ProgramFiles64Folder", "CommonFiles64Folder", "CommonAppDataFolder", "System64Folder", "WindowsFolder"}

// isStandard reports whether the path is a standard folder.
func isStandard(p string) bool {
	return p == "/" || slices.ContainsFunc(standardFolders, func(s standardFolder) bool { return s.path == p })
}

// standard gives the standard folder that the path is below.
func standard(p string) (standardFolder, bool) {
	for _, s := range standardFolders {
		if strings.HasPrefix(p, s.path+"/") && slices.Contains(writable, s.id) {
			return s, true
		}
	}
	return standardFolder{}, false
}

// within reports whether p is the folder dir or something in it.
func within(p, dir string) bool {
	return dir != "" && (p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/"))
}

// Properties that name folders, and are the keys of their rows.
const (
	programFolder = "INSTALLFOLDER"
	dataFolder    = "DATAFOLDER"
)

// folder gives the key of a folder's row in Directory, which it adds where it is
// missing, with those of the folders above it.
func (b *builder) folder(p string) string {
	if id, ok := b.folders[p]; ok {
		return id
	}
	id := key("d", p)
	switch p {
	case "/":
		b.db.Add("Directory", "TARGETDIR", nil, "SourceDir")
		b.folders[p] = "TARGETDIR"
		return "TARGETDIR"
	case b.p.Windows.Program:
		id = programFolder
	case b.p.Windows.Data:
		id = dataFolder
	}
	if i := slices.IndexFunc(standardFolders, func(s standardFolder) bool { return s.path == p }); i >= 0 {
		b.db.Add("Directory", standardFolders[i].id, b.folder("/"), ".")
		b.folders[p] = standardFolders[i].id
		return standardFolders[i].id
	}
	b.db.Add("Directory", id, b.folder(path.Dir(p)), b.short.fileName(p))
	b.folders[p] = id
	return id
}
