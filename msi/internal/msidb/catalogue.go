package msidb

// Schema gives the columns of a table that Windows Installer knows; false for any
// other.
func Schema(table string) ([]Column, bool) { return nil, false }
