package hooks

import "testing"

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
