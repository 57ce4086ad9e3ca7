package hooks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// FindHost is this host with the product's folders in their places. program and
// data are where the caller knows them to be; empty means that they are looked up:
// what Windows Installer wrote into the registry, else the folder of this program,
// and a folder of the same name in ProgramData.
func FindHost(c Config, program, data string) Host {
	h := Host{Places: map[string]string{}}
	if program == "" {
		program = ownFolder()
	}
	if program == "" {
		program = Registered(c.Name, "InstallFolder")
	}
	if program != "" {
		program = filepath.Clean(program)
	}
	if data == "" {
		data = Registered(c.Name, "DataFolder")
	}
	all, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, windows.KF_FLAG_DEFAULT)
	if err == nil && data == "" && program != "" {
		data = filepath.Join(all, filepath.Base(program))
	}
	if program != "" {
		h.Places[c.Program] = program
	}
	if c.Data != "" && data != "" {
		h.Places[c.Data] = filepath.Clean(data)
	}
	for _, f := range c.Folders {
		for _, name := range []string{f.Owner, f.Group} {
			if name != "" && !slices.Contains(h.Accounts, name) {
				h.Accounts = append(h.Accounts, name)
			}
		}
	}
	return h
}

// ownFolder is the product's folder that this program is in, or in whose bin it
// is. A custom action's program is in none.
func ownFolder() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	dir := filepath.Dir(exe)
	if strings.EqualFold(filepath.Base(dir), "bin") {
		dir = filepath.Dir(dir)
	}
	if _, err := os.Stat(filepath.Join(dir, ConfigFile)); err != nil {
		return ""
	}
	return dir
}

// Registered is a text that Windows Installer wrote into the registry for a
// product, in the key HKEY_LOCAL_MACHINE\Software\vpkg\PRODUCT: InstallFolder,
// DataFolder, Version, Build or ProductCode. It is empty when there is none.
func Registered(product, name string) string {
	key, err := windows.UTF16PtrFromString(`Software\vpkg\` + product)
	if err != nil {
		return ""
	}
	value, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return ""
	}
	var h windows.Handle
	if err := windows.RegOpenKeyEx(windows.HKEY_LOCAL_MACHINE, key, 0, windows.KEY_QUERY_VALUE|windows.KEY_WOW64_64KEY, &h); err != nil {
		return ""
	}
	defer windows.RegCloseKey(h) //nolint:errcheck // only read
	var text [1024]uint16
	var kind uint32
	size := uint32(2 * len(text))                                                              // bytes
	err = windows.RegQueryValueEx(h, value, nil, &kind, (*byte)(unsafe.Pointer(&text)), &size) //nolint:gosec // as the call wants it
	if err != nil || kind != windows.REG_SZ {
		return ""
	}
	return windows.UTF16ToString(text[:size/2])
}
