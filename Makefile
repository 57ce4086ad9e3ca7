# check is what CI runs. The rest are the tasks that change or measure something.

.PHONY: check golden fuzz bench

check:
	.ci/run

# Rewrites the golden files; read the diff before you commit it.
golden:
	go test ./cmd/vpkg ./rpm ./deb ./packaging/manifest ./packaging/compare ./packaging/verify ./templates/... ./msi/internal/ice -update

# All fuzz targets, a minute each: make fuzz SECONDS=60
SECONDS = 1200
fuzz:
	VPKG_FUZZ_SECONDS=$(SECONDS) sh ./test.sh fuzz

# Beside nfpm, rpmbuild, dpkg-deb and wixl, in one run.
bench:
	go run ./bench
