package main

import "os/exec"

// killAll does nothing: there are no linters on Windows that start others.
func killAll(*exec.Cmd) {}
