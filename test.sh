#!/bin/sh
# Runs every check and test of vpkg, in order, each suite with a budget of
# minutes. Exits 1 if any of them failed, and lists which.
#
#	sh ./test.sh                 all suites
#	sh ./test.sh unit install    only these: checks lint shell unit windows fuzz browser install pairing vm release
#
# As root on Debian it first installs the packages that it needs and that are
# missing. Elsewhere, tests that cannot run are skipped, each saying why.
#
#	VPKG_REQUIRE_INSTALL=1   a skipped real-install test is a failure (CI)
#	VPKG_FUZZ_SECONDS=240    new fuzz input for that long, shared by all targets;
#	                         0, the default: the seeds only, which unit runs
#	VPKG_TEST_CACHE=DIR      root file systems and tools; ~/.cache/vpkg-test
set -u
cd "$(dirname "$0")" || exit 1

# Keep in step with docs and the versions that the lint configuration is for.
golangci_lint=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
gofumpt=mvdan.cc/gofumpt@v0.12.0
goreleaser=github.com/goreleaser/goreleaser/v2@v2.14.3

cache=${VPKG_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vpkg-test}
case $cache in /*) ;; *) cache=$PWD/$cache ;; esac
export VPKG_TEST_CACHE="$cache"
tools=$cache/bin
failed=

# packages: what the tests call, by the Debian package that has it.
packages='
	busybox           shell: scripts under another shell
	brotli            payload: archives
	bzip2             payload, deb
	cabextract        msi: unpacks cabinets
	curl              unit: asks servers as machines do
	chromium          browser: the console as people use it
	cpio              rpm: unpacking what rpm2cpio gives
	dash              shell
	debsig-verify     deb: signatures in packages
	debsigs           deb: makes such signatures
	debian-archive-keyring  install: roots of releases newer than this one
	dpkg-dev          deb: dpkg-deb and friends
	fonts-liberation  browser: text that can be measured
	gnupg             sign, rpm, deb: keys, and signatures of rpmsign and debsigs
	gcc               unit: the race detector
	icoutils          msi: resources of programs
	libcap2-bin       unit: capabilities of files
	libc6-dev         unit: the race detector
	iproute2          windows: a network of its own
	lintian           install: Debian'"'"'s own check of a package
	e2fsprogs         vm: makes its disk
	mmdebstrap        install, vm: makes the roots
	lz4               payload: archives
	msitools          msi: reads and makes packages
	openssl           msi: keys and time stamps
	nodejs            unit: runs a parser of PowerShell
	npm               unit: gets it
	osslsigncode      msi: signatures
	p7zip-full        msi: unpacks packages
	qemu-system-x86   vm: emulates a machine
	rpm               rpm: rpmbuild, rpm2cpio, rpmkeys, rpmsign
	rpmlint           install: the same for RPM
	shellcheck        shell
	systemd-container install: boots the roots
	util-linux        install, windows: unshare, nsenter, setarch
	wine              windows
	wine64            windows
	wixl              msi: makes other packages
	xz-utils          payload
	zstd              payload'

install_packages() {
	if [ "$(id -u)" != 0 ] || [ ! -e /etc/debian_version ]; then
		echo "SKIP installing packages: not root on Debian; tests that need a missing tool say so"
		return 0
	fi
	missing=
	for p in $(echo "$packages" | awk 'NF { print $1 }'); do
		case $p in # other makers' nodejs has npm in it, which Debian's conflicts with
		nodejs) ! command -v node >/dev/null || continue ;;
		npm) ! command -v npm >/dev/null || continue ;;
		esac
		dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	echo "installing:$missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # a list of words
	apt-get -q update >/dev/null && apt-get -qq -y --no-install-recommends install $missing >/dev/null 2>&1
}

# tool PACKAGE@VERSION [NAME] prints the path of that program, built once into the
# cache. NAME is for a package whose last element is its major version.
tool() {
	name=${1%@*} version=${1##*@}
	name=${2:-${name##*/}} path=$tools/${2:-${name##*/}}@$version
	if [ ! -x "$path" ]; then
		mkdir -p "$tools/new" || return 1
		GOBIN="$tools/new" go install "$1" || return 1
		mv "$tools/new/$name" "$path" || return 1
	fi
	echo "$path"
}

checks() {
	gofumpt=$(tool "$gofumpt") || return 1
	unformatted=$("$gofumpt" -l .) || return 1
	[ -z "$unformatted" ] || { echo "not formatted by gofumpt:"; echo "$unformatted"; return 1; }
	go vet ./... || return 1
	GOOS=windows go vet ./... || return 1
	go mod tidy -diff >"$tools/tidy.diff" || { head -n 40 "$tools/tidy.diff"; return 1; }
}

# golangci-lint 2.15.0 has staticcheck 0.8.2 and its own gofumpt in it.
lint() {
	golangci_lint=$(tool "$golangci_lint") || return 1
	code=0
	for system in linux windows; do
		GOOS=$system "$golangci_lint" run --allow-parallel-runners ./... || code=1
	done
	return $code
}

shell() {
	command -v shellcheck >/dev/null || { echo "SKIP shell: shellcheck is not installed"; return 0; }
	# Templates are checked as they are rendered: their golden files.
	find . -name '*.sh' ! -path './templates/*' -exec shellcheck .ci/run {} + || return 1
	find templates -name '*.sh' -path '*/testdata/*' -exec shellcheck --shell=sh {} +
}

# Everything but real installs, which have a suite of their own.
unit() {
	race=-race
	if ! command -v gcc >/dev/null; then
		echo "SKIP -race: gcc is not installed"
		race=
	fi
	# What builds and reads whole packages compresses them, which takes ten times the time
	# with the race detector; what runs at once there is the store's workers.
	whole=$(go list ./cmd/vpkg ./deb ./packaging/payload ./rpm) || return 1
	# shellcheck disable=SC2046,SC2086 # lists of words
	go test $race -timeout 14m $(go list ./... | grep -vxF "$whole" |
		grep -v -e '/internal/testbed$' -e '/e2e$' -e '/e2e/vm$' -e '/e2e/wine$' -e '/e2e/browser$' -e '/e2e/pairing$')
	code=$?
	# shellcheck disable=SC2086 # as above
	go test -timeout 8m $whole && go test $race -timeout 4m -run 'Known|Shared|Cancel|Cut|Eviction' ./packaging/payload || code=1
	return $code
}

# fuzz gives each target 20 seconds until the budget, which includes compiling, is
# used up. The first target depends on the day, so that all have their turn.
fuzz() {
	left=${VPKG_FUZZ_SECONDS:-0} turn=20
	[ "$left" -gt 0 ] || { echo "SKIP new fuzz input: VPKG_FUZZ_SECONDS is not set; unit runs the seeds"; return 0; }
	targets=$(find . -name '*_test.go' | sort | while read -r file; do
		sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$(dirname "$file") \1|p" "$file"
	done)
	count=$(echo "$targets" | grep -c .)
	[ "$count" -gt 0 ] || { echo "no fuzz targets"; return 1; }
	[ "$left" -ge "$turn" ] || turn=$left
	[ $((count * turn)) -ge "$left" ] || turn=$((left / count))
	day=$(($(date +%s) / 86400)) per_day=$(((left + turn - 1) / turn))
	first=$((day * per_day % count + 1))
	mkdir -p "$tools" || return 1
	deadline=$(($(date +%s) + left))
	{ echo "$targets" | tail -n "+$first"; echo "$targets" | head -n "$((first - 1))"; } | while read -r folder target; do
		[ $(($(date +%s) + turn)) -le "$deadline" ] || break
		echo "$folder $target for $turn s"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${turn}s" -fuzzminimizetime=10x "$folder" </dev/null >"$tools/fuzz.log" 2>&1
		code=$?
		cat "$tools/fuzz.log"
		# Until Go 1.27 a run may end with this error alone at its deadline: golang.org/issue/75804.
		[ "$code" = 0 ] || { grep -q '^ *context deadline exceeded$' "$tools/fuzz.log" && ! grep -q 'Failing input' "$tools/fuzz.log"; } || exit 1
	done
}

# -count=1: what is installed comes from mirrors and roots that Go's test cache
# does not know. At most three boxes at a time.
install() {
	go test -count=1 -parallel 3 -timeout 44m ./internal/testbed ./e2e &&
		go test -count=1 -timeout 6m -run Large ./rpm ./msi ./msi/internal/cab -large
}

# The line that a library server shows, in boxes that reach the server over a network
# of their own.
pairing() {
	go test -count=1 -parallel 3 -timeout 11m ./e2e/pairing
}

# Machines with a kernel of their own, emulated. As many at a time as there are
# cores, for each takes one.
vm() {
	go test -count=1 -timeout 14m ./e2e/vm && return
	# Where the machine had other work, an emulated one is too slow for its limits.
	echo "once more, for an emulated machine may have been too slow"
	go test -count=1 -timeout 14m ./e2e/vm
}

# The console, used by Chromium.
browser() {
	go test -count=1 -timeout 5m ./e2e/browser
}

# The release configuration, and what makes a release: a vpkg that has the hooks in
# it and needs no Go.
release() {
	goreleaser=$(tool "$goreleaser" goreleaser) || return 1
	"$goreleaser" check || return 1
	go run ./internal/programs/embed && go build -tags embedprograms -o "$tools/vpkg" ./cmd/vpkg || return 1
	rm -rf "$tools/dist" "$tools/cache" internal/programs/bin
	env -i HOME=/nonexistent XDG_CACHE_HOME="$tools/cache" PATH=/nonexistent \
		"$tools/vpkg" build --os el8,debian12,windows --arch all --out "$tools/dist"
}

# What hooks and the agent do on Windows, as far as Wine shows it: files, locks,
# programs and services, and the life of a product in the order of Windows Installer.
# Wine keeps no access lists, makes no junctions and knows no service that another
# needs: the tests of these say that they are skipped. Then what Windows Installer
# does with real packages.
windows() {
	if ! command -v wine >/dev/null || [ "$(uname -m)" != x86_64 ]; then
		[ -z "${VPKG_REQUIRE_INSTALL-}" ] || { echo "wine is not installed, or not for amd64"; return 1; }
		echo "SKIP windows: wine is not installed, or not for amd64"
		return 0
	fi
	dir=$(mktemp -d) || return 1
	export WINEPREFIX="$dir/prefix" WINEARCH=win64 WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml='
	export VPKG_TEST_PROGRAMS="$dir/programs" CGO_ENABLED=0
	unset DISPLAY
	mkdir "$WINEPREFIX" "$VPKG_TEST_PROGRAMS" "$dir/tests" &&
		for name in vpkg-hook vpkg-agent; do
			GOOS=windows GOARCH=amd64 go build -o "$VPKG_TEST_PROGRAMS/$name.exe" "./cmd/$name" || return 1
		done &&
		for folder in $windows_packages; do
			GOOS=windows GOARCH=amd64 go test -c -o "$dir/tests/$(basename "$folder").exe" "$folder" || return 1
		done &&
		go build -o "$dir/wineshim" ./internal/wineshim || return 1
	# With a network of its own, for the agent's services listen and connect, and
	# without address space randomization, for the reason in e2e/wine/host_test.go.
	user=
	[ "$(id -u)" = 0 ] || user=--map-root-user
	# shellcheck disable=SC2086 # one word or none
	unshare --net $user setarch -R sh ./test.sh --one in_wine "$dir"
	code=$?
	rm -rf "$dir"
	go test -count=1 -timeout 14m ./e2e/wine || code=1
	return $code
}

windows_packages='./hooks ./internal/pe ./platform ./cmd/vpkg-agent ./packaging ./packaging/installed'

# in_wine FOLDER runs the tests that are in FOLDER/tests, each where its package is.
in_wine() {
	# Services that are started while Wine still sets itself up do not come up.
	ip link set lo up &&
		wine wineboot -i >/dev/null 2>&1 && wineserver -w &&
		"$1/wineshim" "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll"
	code=$?
	[ $code != 0 ] || for folder in $windows_packages; do
		echo "$folder"
		(cd "$folder" && wine "$1/tests/$(basename "$folder").exe" -test.run Windows -test.timeout 3m) || code=1
	done
	wineserver -k
	return $code
}

# suite NAME MINUTES runs the function NAME in a process of its own and stops it
# when its budget is used up. What it prints is also in a log until the next run.
suite() {
	begin=$(date +%s)
	echo "=== $1 (budget: $2 minutes)"
	mkdir -p "$cache/logs" || exit 1
	{
		timeout --signal=INT --kill-after=30 "$2m" sh ./test.sh --one "$1" </dev/null 2>&1
		echo $? >"$cache/logs/$1.status"
	} | tee "$cache/logs/$1"
	code=$(cat "$cache/logs/$1.status")
	if [ "$code" = 0 ]; then
		echo "=== $1 passed in $(($(date +%s) - begin)) s"
	else
		echo "=== $1 FAILED (exit status $code) after $(($(date +%s) - begin)) s"
		failed="$failed $1"
	fi
}

# what_failed SUITE... repeats what says why, for the whole is long.
what_failed() {
	for name; do
		echo "=== $name: what failed"
		grep -E -e '^ *--- FAIL' -e '^ +[a-z0-9_]+_test\.go:[0-9]+: ' -e '^(FAIL|panic:|Failing)' -e ' (hung|timed out) ' -e '^[[:space:]]+Test[^ ]* \([0-9hms.]+\)$' "$cache/logs/$name" |
			cut -c 1-300 | head -n 60
	done
}

if [ "${1-}" = --one ]; then
	shift
	"$@"
	exit
fi

started=$(date +%s)
budget() {
	case $1 in
	install_packages) echo 8 ;;
	checks) echo 12 ;;
	lint) echo 10 ;;
	shell) echo 1 ;;
	unit) echo 30 ;;
	fuzz) echo 5 ;;
	release) echo 12 ;;
	install) echo 52 ;;
	pairing) echo 12 ;;
	vm) echo 29 ;;
	browser) echo 6 ;;
	windows) echo 20 ;;
	*) echo "test.sh: no suite $1" >&2; exit 2 ;;
	esac
}
[ $# -gt 0 ] || set -- checks lint shell unit windows fuzz browser install pairing vm release
for name; do budget "$name" >/dev/null || exit; done
for name in install_packages "$@"; do suite "$name" "$(budget "$name")"; done

if [ -n "$failed" ]; then
	# shellcheck disable=SC2086 # a list of words
	what_failed $failed
	echo "FAIL after $(($(date +%s) - started)) s:$failed"
	exit 1
fi
echo "ok: all suites passed in $(($(date +%s) - started)) s"
