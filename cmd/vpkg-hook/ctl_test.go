package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestControlName(t *testing.T) {
	for exe, want := range map[string]string{
		`C:\Program Files\Illumio\illumio-ven-ctl.exe`: "illumio-ven-ctl",
		`C:\Program Files\Illumio\Illumio-VEN-CTL.EXE`: "illumio-ven-ctl",
		`C:\Program Files\Illumio\bin\vpkg-hook.exe`:   "",
		`C:\x-ctl\MSI1.tmp`:                            "",
	} {
		if name, ok := controlName(exe, nil); ok != (want != "") || ok && name != want {
			t.Errorf("%s is %q, %t, want %q", exe, name, ok, want)
		}
	}
	if _, ok := controlName(`C:\a-ctl.exe`, errors.New("no path")); ok {
		t.Error("a program without a path is the control program")
	}
}

func TestSplitCode(t *testing.T) {
	for args, want := range map[string]string{
		"-management-server a:1 -activation-code 1x":     "-management-server a:1 + 1x",
		"-activation_code=1x -role Web":                  "-role Web + 1x",
		"--activation-code 1x":                           " + 1x",
		"-a 1x -m a:1 -app x":                            "--management-server a:1 -app x + 1x",
		"-mode illuminated -mode=enforced -mode idle":    "--enforcement-mode visibility_only --enforcement-mode full --enforcement-mode idle",
		"-activation-code-file code -enforcement_mode M": "-activation-code-file code -enforcement_mode M",
		"-activation-code":                               " + ",
		"":                                               "",
	} {
		rest, code, given := splitCode(strings.Fields(args))
		got := strings.Join(rest, " ")
		if given {
			got += " + " + code
		}
		if got != want {
			t.Errorf("%q is %q, want %q", args, got, want)
		}
	}
	if rest, _, _ := splitCode([]string{"-role", "Web Server"}); !slices.Equal(rest, []string{"-role", "Web Server"}) {
		t.Errorf("a label becomes %q", rest)
	}
}
