#!/bin/sh
# pair.sh - installs {{.Product}} {{.Version}} and pairs it with its server.
main() {
	echo "pair.sh: {{.Version}}" >&2
	exit 1
}
main "$@"
