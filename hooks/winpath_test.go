package hooks

import (
	"errors"
	"io/fs"
	"testing"
)

func TestPlaces(t *testing.T) {
	p := places{
		"/opt/illumio_ven":      `C:\Program Files\Illumio`,
		"/opt/illumio_ven_data": `D:\Illumio`,
		"/var/lib/vpkg":         `C:\ProgramData\vpkg`,
		"/var/lib/vpkg/other":   `E:\second`,
	}
	for name, want := range map[string]string{
		"/opt/illumio_ven":                `C:\Program Files\Illumio`,
		"/opt/illumio_ven/etc/hook.json":  `C:\Program Files\Illumio\etc\hook.json`,
		"/opt/illumio_ven_data":           `D:\Illumio`,
		"/opt/illumio_ven_data/log":       `D:\Illumio\log`,
		"/opt":                            `C:\Program Files`, // where the program is
		"/var/lib/vpkg/illumio-ven/lock":  `C:\ProgramData\vpkg\illumio-ven\lock`,
		"/var/lib/vpkg/other/lock":        `E:\second\lock`,
		"/var/lib":                        `C:\ProgramData`,
		"/var":                            `C:\`,
		`C:\x\y`:                          `C:\x\y`,
		`\\server\share`:                  `\\server\share`,
		"/opt/illumio_venue":              "",
		"/etc/systemd/system/a.service.d": "",
		"/":                               "",
		"":                                "",
	} {
		if got, ok := p.find(name); got != want || ok != (want != "") {
			t.Errorf("find(%q) is %q, %t, want %q", name, got, ok, want)
		}
	}
}

func TestMayRemoveAll(t *testing.T) {
	system := []string{`C:\Windows`, `C:\Windows\system32`, `C:\ProgramData`, `C:\Program Files`, `C:\Users`}
	for name, want := range map[string]bool{
		`C:\ProgramData\Illumio`:         true,
		`C:\ProgramData\Illumio\`:        true,
		`D:\Illumio`:                     true,
		`C:\Windows\Temp\x`:              true, // odd, and no folder of Windows
		`C:\ProgramData`:                 false,
		`c:\programdata\`:                false,
		`C:\Windows`:                     false,
		`C:\Windows\System32`:            false,
		`C:\Users`:                       false,
		`C:\`:                            false,
		`C:`:                             false,
		`C:\ProgramData\x\..`:            false,
		`C:\ProgramData\x\..\..\Windows`: false,
		`\\server\share\x`:               false,
		`ProgramData`:                    false,
		``:                               false,
	} {
		if err := mayRemoveAll(name, system); (err == nil) != want || err != nil && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("mayRemoveAll(%q) gives %v, want %t", name, err, want)
		}
	}
}
