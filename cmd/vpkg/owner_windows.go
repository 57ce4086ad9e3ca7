package main

import "os"

// keepOwner does nothing: a new file has the access list of its folder.
func keepOwner(*os.File, os.FileInfo) {}
