#!/bin/sh
# Prints how rpm compares pairs of versions. Run it from this folder:
#	./vercmp.sh >vercmp.txt
# The first part are the pairs of rpm's own test suite (tests/rpmvercmp.at).
pairs() {
	cat <<-'PAIRS'
	1.0 1.0
	1.0 2.0
	2.0.1 2.0.1
	2.0 2.0.1
	2.0.1a 2.0.1a
	2.0.1a 2.0.1
	5.5p1 5.5p1
	5.5p1 5.5p2
	5.5p10 5.5p10
	5.5p1 5.5p10
	10xyz 10.1xyz
	xyz10 xyz10
	xyz10 xyz10.1
	xyz.4 xyz.4
	xyz.4 8
	xyz.4 2
	5.5p2 5.6p1
	5.6p1 6.5p1
	6.0.rc1 6.0
	10b2 10a1
	10a2 10b2
	1.0aa 1.0aa
	1.0a 1.0aa
	10.0001 10.0001
	10.0001 10.1
	10.0001 10.0039
	4.999.9 5.0
	20101121 20101121
	20101121 20101122
	2_0 2_0
	2.0 2_0
	a a
	a+ a+
	a+ a_
	+a +a
	+a _a
	+_ +_
	_+ +_
	_+ _+
	+ _
	1.0~rc1 1.0~rc1
	1.0~rc1 1.0
	1.0~rc1 1.0~rc2
	1.0~rc1~git123 1.0~rc1~git123
	1.0~rc1~git123 1.0~rc1
	1.0^ 1.0^
	1.0^ 1.0
	1.0^git1 1.0^git1
	1.0^git1 1.0
	1.0^git1 1.0^git2
	1.0^git1 1.01
	1.0^20160101 1.0^20160101
	1.0^20160101 1.0.1
	1.0^20160101^git1 1.0^20160101^git1
	1.0^20160102 1.0^20160101^git1
	1.0~rc1^git1 1.0~rc1^git1
	1.0~rc1^git1 1.0~rc1
	1.0^git1~pre 1.0^git1~pre
	1.0^git1 1.0^git1~pre
	1b.fc17 1b.fc17
	1b.fc17 1.fc17
	1g.fc17 1g.fc17
	1g.fc17 1.fc17
	1.1.α 1.1.β
	1.1.αα 1.1.α
	PAIRS
	for a in 1.0 1:1.0 1.0-1 1.0-1.el8 1.0-2.el8 0:1.0 1:0.9-1 1.0~-1 1.0^-1 1-1-1 x:1 00001 1.0.~ ~ ^ ~~ ^~ 24.2.1-10.el8 24.2.1-9.el9; do
		for b in 1.0 1:1.0 1.0-1.el9 1.0-10.el8 0:1.0-1 1.0~-1 2 ~1 ^1 ^~1 24.2.1-10.el8 24.2.1~rc1-10.el8; do
			echo "$a $b"
		done
	done
}
echo "# $(LC_ALL=C rpm --version): pairs of versions, and what %{lua: print(rpm.vercmp(A, B))} says. See vercmp.sh."
pairs | while read -r a b; do
	printf '%s %s %s\n' "$a" "$b" "$(rpm --eval "%{lua: print(rpm.vercmp(\"$a\", \"$b\"))}")"
done
