-- Times are milliseconds since 1970, UTC; 0 means none. A body is JSON with what is
-- neither searched for nor compared.

CREATE TABLE images (
	file_name TEXT PRIMARY KEY,
	product   TEXT NOT NULL,
	release   TEXT NOT NULL,
	version   TEXT NOT NULL,
	os        TEXT NOT NULL,
	arch      TEXT NOT NULL,
	format    TEXT NOT NULL,
	size      INTEGER NOT NULL CHECK (size > 0),
	sha256    BLOB NOT NULL CHECK (length(sha256) = 32),
	imported  INTEGER NOT NULL,
	UNIQUE (product, release, os, arch, format)
) STRICT;

CREATE TABLE profiles (
	id   INTEGER PRIMARY KEY AUTOINCREMENT, -- an id is never used twice: it stands in scripts
	name TEXT NOT NULL UNIQUE,
	body TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE TABLE keys (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	profile INTEGER NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
	hash    BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	allowed INTEGER NOT NULL CHECK (allowed >= 0), -- 0 means unlimited
	used    INTEGER NOT NULL CHECK (used >= 0 AND (allowed = 0 OR used <= allowed)),
	revoked INTEGER NOT NULL
) STRICT;
CREATE INDEX keys_profile ON keys (profile);

CREATE TABLE workloads (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	uuid    TEXT NOT NULL UNIQUE,
	key     INTEGER REFERENCES keys (id) ON DELETE SET NULL,
	request TEXT, -- NULL if the activation cannot be repeated
	status  TEXT NOT NULL,
	state   TEXT NOT NULL,
	heard   INTEGER NOT NULL,
	body    TEXT NOT NULL CHECK (json_valid(body)),
	UNIQUE (key, request)
) STRICT;

CREATE INDEX workloads_counted ON workloads (status, state, heard);

CREATE TABLE policies (
	mode     TEXT NOT NULL,
	format   TEXT NOT NULL,
	version  TEXT NOT NULL,
	nftables TEXT NOT NULL,
	ipv4     TEXT NOT NULL,
	ipv6     TEXT NOT NULL,
	changed  INTEGER NOT NULL,
	PRIMARY KEY (mode, format)
) STRICT;

CREATE TABLE api_keys (
	id      TEXT PRIMARY KEY,
	name    TEXT NOT NULL,
	hash    BLOB NOT NULL CHECK (length(hash) = 32),
	created INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	time    INTEGER NOT NULL,
	kind    TEXT NOT NULL,
	actor   TEXT NOT NULL,
	subject TEXT NOT NULL,
	reason  TEXT NOT NULL,
	detail  TEXT NOT NULL
) STRICT;

CREATE TABLE settings (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
