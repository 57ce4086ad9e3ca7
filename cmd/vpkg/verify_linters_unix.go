//go:build !windows

package main

import (
	"os/exec"
	"syscall"
)

// killAll makes the programs that cmd starts end with it.
func killAll(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
