#!/bin/sh
# agent_status.sh - activates the Illumio VEN if that has not been done, and tells
# how its pairing stands.
#
# Exit status: 0 if it is paired and runs, 1 if not, 2 if it was called wrongly.
self=$(readlink -f -- "$0") || exit 1
program=${self%/*/*}
data=/opt/illumio_ven_data
if [ $# -ne 0 ]; then
	echo "Usage: ${0##*/}" >&2
	exit 2
fi
if [ -s "$data/etc/agent_activation.cfg" ] && [ ! -s "$data/etc/agent_id.cfg" ]; then
	"$program/bin/vpkg-agent" activate
fi

code=0
line() { # WHAT RESULT
	printf '%s ......%s\n' "$1" "$2"
	[ "$2" = SUCCESS ] || code=1
}
config=FAILED master=FAILED manager=FAILED policy=PENDING
[ ! -s "$data/etc/agent_activation.cfg" ] || config=SUCCESS
if "$program/bin/vpkg-hook" platform status 2>/dev/null | grep -q ' venAgentMgr running'; then
	manager=SUCCESS
fi
# Without a policy there is none to put in force: the VEN is idle.
if [ -s "$data/etc/agent_id.cfg" ]; then
	master=SUCCESS
	if [ ! -e "$data/etc/policy.json" ]; then
		policy=SUCCESS
	elif [ -s /run/illumio-ven/policy.json ] && ! grep -q '"error"' /run/illumio-ven/policy.json; then
		policy=SUCCESS
	fi
fi

echo 'Pairing Status'
line 'Pairing Configuration exists' "$config"
line 'VEN Manager Daemon running' "$manager"
line 'Master Configuration retrieval' "$master"
line 'VEN Configuration retrieval' "$policy"
if [ "$code" -eq 0 ]; then
	echo 'VEN has been SUCCESSFULLY paired with Illumio'
else
	echo 'VEN is not paired with Illumio'
fi
exit "$code"
