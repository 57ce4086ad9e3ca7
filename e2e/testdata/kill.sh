#!/bin/sh
# Shell functions of the table of kills, read by kill_test.go in a box. They end
# at once anywhere else: they change the packet filter and remove folders.
case $(cat /kill/box /run/testbed /run/systemd/container 2>/dev/null) in
"kill
ready" | "kill
systemd-nspawn") ;;
*)
	echo "kill.sh: not in a box: refusing" >&2
	exit 125
	;;
esac

hook=/kill/hook
data=/opt/illumio_ven_data
state=/var/lib/vpkg/illumio-ven
timeout=/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established

# setRules gives the host rules, in all views of the kernel or in some.
setRules() {
	ipset -exist create friends hash:ip
	ipset -exist add friends 192.0.2.7
	iptables-restore /kill/host.v4
	[ -e /kill/noNft ] || /kill/nft -f /kill/host.nft
	[ -e /kill/wide ] || return 0
	ip6tables-restore /kill/host.v6
	iptables-legacy-restore /kill/host.legacy
}

# reset makes the box what it was after the installation.
reset() {
	/kill/nft flush ruleset
	setRules
	echo 432000 >$timeout
	rm -rf /var/lib/vpkg /run/illumio-ven "$data" /etc/systemd/system /etc/modules-load.d/illumio-ven.conf
	cp -a /kill/vpkg /var/lib/vpkg
	cp -a /kill/data "$data"
	cp -a /kill/system /etc/systemd/system
	[ -d /run/systemd/system ] || return 0
	rm -rf /run/systemd/system/*.service.d
	systemctl daemon-reload
	systemctl start iptables
}

policy() { # NAME
	cp "/kill/$1.json" "$data/etc/policy.json"
}

# What the operations begin with.
enforced() { policy "$1" && $hook platform start; }
suspended() { enforced a && $hook suspend; }

# unset leaves the payload and what is there before post-install.
unsetUp() {
	rm -rf "$data" /etc/systemd/system
	find $state -type f ! -name made -delete
	cp -a /kill/before.system /etc/systemd/system
}

# rules prints everything that filters, counters and the time aside. The programs
# of iptables-legacy make the tables that they print, and are asked for what is
# there alone; nft's tables are in the order in which they were made.
rules() {
	ipset save
	for tool in iptables-nft-save ip6tables-nft-save iptables-legacy-save ip6tables-legacy-save; do
		case $tool in
		iptables-legacy-save) [ -s /proc/net/ip_tables_names ] || continue ;;
		ip6tables-legacy-save) [ -s /proc/net/ip6_tables_names ] || continue ;;
		esac
		echo "== $tool"
		$tool 2>/dev/null | sed -e '/^#/d' -e 's/ \[[0-9:]*\]$//'
	done
	/kill/nft -s list ruleset 2>/dev/null | sed -e '/^#/d' -e 's/^table /== nft &/'
}

# show prints files with their mode, owner and content. A saved set's rules have
# the time in them.
show() { # PATH...
	find "$@" -printf '%p %m %u:%g\n' 2>/dev/null | sort
	find "$@" -type f -print0 2>/dev/null | sort -z | xargs -0 -r tail -v -n +1 | sed '/^# /d'
}

# services prints how the host's service stands, also in systemd's memory.
services() {
	[ -d /run/systemd/system ] || return 0
	echo "== services"
	systemctl is-enabled iptables nftables
	systemctl is-active iptables nftables
	systemctl show --property=DropInPaths,NeedDaemonReload,KillSignal iptables
}

units() { find /etc/systemd/system ! -type d -printf '%p -> %l\n' | sort; }

# look prints the host, and then what is the product's own.
look() {
	echo "== rules"
	rules
	echo "== settings"
	cat $timeout
	show /etc/modules-load.d /run/systemd/system
	services
	echo "== units of others"
	units | grep -v -i -e illumio -e /ven
	echo "== state"
	units
	show /var/lib/vpkg /run/illumio-ven "$data"
}
