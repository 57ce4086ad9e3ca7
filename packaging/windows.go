package packaging

import (
	"path"
	"slices"
	"strings"
)

// IsWindowsProgram reports whether a file of that name is a program or a library of
// Windows, which can have a version and a signature.
func IsWindowsProgram(name string) bool {
	return slices.Contains([]string{".exe", ".dll", ".sys", ".ocx"}, strings.ToLower(path.Ext(name)))
}

// Windows is what a package for Windows Installer says besides what all packages
// say. Paths in it, and in the layout of such a package, are those of a Windows
// host with slashes and without the drive: "/Program Files/Illumio/bin/x.exe".
type Windows struct {
	ProductName string // in the list of installed programs: "Illumio VEN", at most 63 characters
	UpgradeCode string // a GUID in capitals with braces; the same for all versions of a product

	Program string // the folder that the property INSTALLFOLDER names
	Data    string // the folder that DATAFOLDER names, made at install, kept at removal; empty means none

	// DataAccess is the access list of Data in the security descriptor language
	// (SDDL): "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)". Empty means that which Data's
	// parent gives.
	DataAccess string

	Services    []WindowsService
	Registry    []RegistryValue
	Environment []EnvironmentVariable

	// Hook is vpkg-hook.exe with its configuration in it, which the custom actions
	// run; nil means that there are none. HookSize is its size in bytes.
	Hook     Body
	HookSize int64

	HelpLink   string // in the list of installed programs: a URL
	UpdateLink string

	Record Digest // of the layout's record; zero means that there is none
}

// A WindowsService is registered with the service control manager.
type WindowsService struct {
	Name         string   // "venAgentMgrSvc"
	DisplayName  string   // empty means Name
	Description  string   // one line
	Program      string   // the layout's path of its executable
	Arguments    []string // of the executable
	Start        ServiceStart
	Account      string   // `NT AUTHORITY\LocalService`; empty means LocalSystem
	Dependencies []string // names of services that have to run before it
	AtInstall    bool     // it is started when the package has been installed
}

// A ServiceStart says when a service starts.
type ServiceStart string

// The start types.
const (
	StartAuto     ServiceStart = "auto"     // at boot
	StartDelayed  ServiceStart = "delayed"  // some time after boot
	StartDemand   ServiceStart = "demand"   // when somebody starts it
	StartDisabled ServiceStart = "disabled" // never
)

// A RegistryValue is one value below HKEY_LOCAL_MACHINE, in the 64-bit view.
//
// In a package of another maker, as it was read, a key of another root begins with
// HKCR, HKCU, HKU, or with HKMU for the user's or the machine's, and a type may also be
// "binary", with the value in hex; "multi append" or "multi prepend", to the strings
// that are there; or "key", of which Name is what happens to it: + - or *.
type RegistryValue struct {
	Key   string // `Software\Illumio\VEN`
	Name  string // empty means the key's default value
	Type  string // "string", "expand", "dword" or "multi"
	Value string // of a dword in decimal; of multi with a new line between strings
}

// An EnvironmentVariable is one of the system's. In a package of another maker, as it
// was read, the name has the marks of the table Environment before it, if they do not
// say that it is the system's, set at installation and taken away at removal.
type EnvironmentVariable struct {
	Name   string
	Value  string
	Action string // "set" (also if empty), "append" or "prepend", after or before a semicolon
}
