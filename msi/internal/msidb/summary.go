package msidb

import "time"

// Summary is the summary information: a property set of [MS-OLEPS] in the stream
// "\x05SummaryInformation". What is zero is not there.
type Summary struct {
	Codepage    int    // PID 1; of the strings below
	Title       string // 2: "Installation Database"
	Subject     string // 3: the product's name
	Author      string // 4: the maker
	Keywords    string // 5: "Installer,MSI"
	Comments    string // 6
	Template    string // 7: "x64;1033", "Arm64;1033", "Intel;1033"
	LastAuthor  string // 8
	PackageCode string // 9, "revision number": a GUID with braces
	Created     time.Time // 12
	Saved       time.Time // 13
	Schema      int    // 14, "page count": least version of Windows Installer times 100
	Source      int    // 15, "word count": bits, 2 is compressed
	Application string // 18: what made it
	Security    int    // 19: 2 is read-only recommended
}
