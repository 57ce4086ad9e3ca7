package main

import "github.com/vpkg/vpkg/hooks"

// hostOf is this host, with the folders of a product in their places.
func hostOf(c hooks.Config) hooks.System { return hooks.FindHost(c, "", "") }
