package rpm

// An architecture is what rpm knows of one (arch_canon and __isa in its rpmrc
// and its macros).
type architecture struct {
	lead uint16 // its number in the lead
	isa  string // in Provides: NAME(ISA) = EVR; empty for noarch
}

// noArch is the architecture of packages that run on every machine.
const noArch = "noarch"

var architectures = map[string]architecture{
	noArch:        {1, ""},
	"x86_64":      {1, "x86-64"},
	"i386":        {1, "x86-32"},
	"i486":        {1, "x86-32"},
	"i586":        {1, "x86-32"},
	"i686":        {1, "x86-32"},
	"armv7hl":     {12, "armv7hl-32"},
	"s390x":       {15, "s390-64"},
	"ppc64":       {16, "ppc-64"},
	"ppc64le":     {16, "ppc-64"},
	"aarch64":     {19, "aarch-64"},
	"riscv64":     {22, "riscv-64"},
	"loongarch64": {23, "loongarch64-64"},
}
