package sqlite

import (
	"database/sql"
	"encoding/json"
	"time"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/packaging"
)

type transaction struct{ tx *sql.Tx }

// row is what a *sql.Row and *sql.Rows have in common.
type row interface{ Scan(...any) error }

// list gives what a query finds, each row by scan.
func list[T any](t transaction, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := t.tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// one gives the only row that a query finds.
func one[T any](t transaction, scan func(row) (T, error), query string, args ...any) (T, error) {
	v, err := scan(t.tx.QueryRow(query, args...))
	return v, known(err)
}

// exec changes a row, which has to be there.
func (t transaction) exec(query string, args ...any) error {
	r, err := t.tx.Exec(query, args...)
	if err != nil {
		return known(err)
	}
	if n, err := r.RowsAffected(); err != nil || n != 0 {
		return err
	}
	return library.ErrNotFound
}

// insert adds a row and tells its id.
func (t transaction) insert(id *int64, query string, args ...any) error {
	r, err := t.tx.Exec(query, args...)
	if err != nil {
		return known(err)
	}
	*id, err = r.LastInsertId()
	return err
}

func fromTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func toTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

const imageColumns = "file_name, product, release, version, os, arch, format, size, sha256, imported"

func scanImage(r row) (library.Image, error) {
	var i library.Image
	var sum []byte
	var imported int64
	err := r.Scan(&i.FileName, &i.Product, &i.Release, &i.Version, &i.OS, &i.Arch, &i.Format, &i.Size, &sum, &imported)
	i.SHA256, i.Imported = packaging.Digest{}, toTime(imported)
	copy(i.SHA256[:], sum)
	return i, err
}

func (t transaction) Images() ([]library.Image, error) {
	return list(t, scanImage, "SELECT "+imageColumns+" FROM images ORDER BY product, release, os, arch, format")
}

func (t transaction) AddImage(i library.Image) error {
	return t.exec("INSERT INTO images ("+imageColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		i.FileName, i.Product, i.Release, i.Version, i.OS, i.Arch, i.Format, i.Size, i.SHA256[:], fromTime(i.Imported))
}

func (t transaction) RemoveImage(fileName string) error {
	return t.exec("DELETE FROM images WHERE file_name = ?", fileName)
}

func scanProfile(r row) (library.Profile, error) {
	var id int64
	var body []byte
	if err := r.Scan(&id, &body); err != nil {
		return library.Profile{}, err
	}
	var p library.Profile
	err := json.Unmarshal(body, &p)
	p.ID = id
	return p, err
}

func (t transaction) Profiles() ([]library.Profile, error) {
	return list(t, scanProfile, "SELECT id, body FROM profiles ORDER BY id")
}

func (t transaction) Profile(id int64) (library.Profile, error) {
	return one(t, scanProfile, "SELECT id, body FROM profiles WHERE id = ?", id)
}

func (t transaction) SaveProfile(p *library.Profile) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if p.ID == 0 {
		return t.insert(&p.ID, "INSERT INTO profiles (name, body) VALUES (?, ?)", p.Name, string(body))
	}
	return t.exec("UPDATE profiles SET name = ?, body = ? WHERE id = ?", p.Name, string(body), p.ID)
}

func (t transaction) RemoveProfile(id int64) error {
	return t.exec("DELETE FROM profiles WHERE id = ?", id)
}

const keyColumns = "id, profile, hash, created, expires, allowed, used, revoked"

func scanKey(r row) (library.Key, error) {
	var k library.Key
	var created, expires, revoked int64
	err := r.Scan(&k.ID, &k.Profile, &k.Hash, &created, &expires, &k.Allowed, &k.Used, &revoked)
	k.Created, k.Expires, k.Revoked = toTime(created), toTime(expires), toTime(revoked)
	return k, err
}

func (t transaction) Keys(profile int64) ([]library.Key, error) {
	return list(t, scanKey, "SELECT "+keyColumns+" FROM keys WHERE profile = ? ORDER BY id", profile)
}

func (t transaction) Key(id int64) (library.Key, error) {
	return one(t, scanKey, "SELECT "+keyColumns+" FROM keys WHERE id = ?", id)
}

func (t transaction) KeyByHash(hash []byte) (library.Key, error) {
	return one(t, scanKey, "SELECT "+keyColumns+" FROM keys WHERE hash = ?", hash)
}

func (t transaction) SaveKey(k *library.Key) error {
	if k.ID == 0 {
		return t.insert(&k.ID, "INSERT INTO keys (profile, hash, created, expires, allowed, used, revoked) VALUES (?, ?, ?, ?, ?, ?, ?)",
			k.Profile, k.Hash, fromTime(k.Created), fromTime(k.Expires), int64(k.Allowed), k.Used, fromTime(k.Revoked))
	}
	return t.exec("UPDATE keys SET used = ?, revoked = ? WHERE id = ?", k.Used, fromTime(k.Revoked), k.ID)
}

const workloadColumns = "id, uuid, key, request, status, body"

func scanWorkload(r row) (library.Workload, error) {
	var id int64
	var uuid, status string
	var key sql.NullInt64
	var request sql.NullString
	var body []byte
	if err := r.Scan(&id, &uuid, &key, &request, &status, &body); err != nil {
		return library.Workload{}, err
	}
	var w library.Workload
	err := json.Unmarshal(body, &w)
	w.ID, w.UUID, w.Key, w.Request, w.Status = id, uuid, key.Int64, request.String, status
	return w, err
}

func (t transaction) Workloads(after int64, limit int) ([]library.Workload, error) {
	return list(t, scanWorkload, "SELECT "+workloadColumns+" FROM workloads WHERE id > ? ORDER BY id LIMIT ?", after, limit)
}

func (t transaction) RecentWorkloads(before int64, limit int) ([]library.Workload, error) {
	return list(t, scanWorkload, "SELECT "+workloadColumns+" FROM workloads WHERE ?1 = 0 OR id < ?1 ORDER BY id DESC LIMIT ?2", before, limit)
}

func (t transaction) Workload(id int64) (library.Workload, error) {
	return one(t, scanWorkload, "SELECT "+workloadColumns+" FROM workloads WHERE id = ?", id)
}

func (t transaction) CountWorkloads(silent time.Time) ([]library.WorkloadCount, error) {
	scan := func(r row) (c library.WorkloadCount, err error) {
		err = r.Scan(&c.Status, &c.State, &c.Silent, &c.N)
		return c, err
	}
	return list(t, scan, "SELECT status, state, heard < ?, count(*) FROM workloads GROUP BY 1, 2, 3", fromTime(silent))
}

func (t transaction) WorkloadByRequest(key int64, request string) (library.Workload, error) {
	return one(t, scanWorkload, "SELECT "+workloadColumns+" FROM workloads WHERE key = ? AND request = ?", key, request)
}

func (t transaction) SaveWorkload(w *library.Workload) error {
	body, err := json.Marshal(w)
	if err != nil {
		return err
	}
	if w.ID == 0 {
		return t.insert(&w.ID, "INSERT INTO workloads (uuid, key, request, status, state, heard, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
			w.UUID, sql.NullInt64{Int64: w.Key, Valid: w.Key != 0}, sql.NullString{String: w.Request, Valid: w.Request != ""}, w.Status, w.State, fromTime(w.Heard()), string(body))
	}
	return t.exec("UPDATE workloads SET status = ?, state = ?, heard = ?, body = ? WHERE id = ?", w.Status, w.State, fromTime(w.Heard()), string(body), w.ID)
}

func (t transaction) Policies() ([]library.Policy, error) {
	scan := func(r row) (library.Policy, error) {
		var p library.Policy
		var changed int64
		err := r.Scan(&p.Mode, &p.Format, &p.Version, &p.Nftables, &p.IPv4, &p.IPv6, &changed)
		p.Changed = toTime(changed)
		return p, err
	}
	return list(t, scan, "SELECT mode, format, version, nftables, ipv4, ipv6, changed FROM policies ORDER BY mode, format")
}

func (t transaction) SavePolicy(p library.Policy) error {
	return t.exec("INSERT OR REPLACE INTO policies (mode, format, version, nftables, ipv4, ipv6, changed) VALUES (?, ?, ?, ?, ?, ?, ?)",
		p.Mode, p.Format, p.Version, p.Nftables, p.IPv4, p.IPv6, fromTime(p.Changed))
}

func (t transaction) APIKeys() ([]library.APIKey, error) {
	scan := func(r row) (library.APIKey, error) {
		var k library.APIKey
		var created int64
		err := r.Scan(&k.ID, &k.Name, &k.Hash, &created)
		k.Created = toTime(created)
		return k, err
	}
	return list(t, scan, "SELECT id, name, hash, created FROM api_keys ORDER BY id")
}

func (t transaction) SaveAPIKey(k library.APIKey) error {
	return t.exec("INSERT INTO api_keys (id, name, hash, created) VALUES (?, ?, ?, ?)", k.ID, k.Name, k.Hash, fromTime(k.Created))
}

func (t transaction) RemoveAPIKey(id string) error {
	return t.exec("DELETE FROM api_keys WHERE id = ?", id)
}

func (t transaction) AddEvent(e library.Event) error {
	return t.exec("INSERT INTO events (time, kind, actor, subject, reason, detail) VALUES (?, ?, ?, ?, ?, ?)",
		fromTime(e.Time), e.Kind, e.Actor, e.Subject, string(e.Reason), e.Detail)
}

func (t transaction) Events(before int64, limit int) ([]library.Event, error) {
	scan := func(r row) (library.Event, error) {
		var e library.Event
		var at int64
		err := r.Scan(&e.ID, &at, &e.Kind, &e.Actor, &e.Subject, &e.Reason, &e.Detail)
		e.Time = toTime(at)
		return e, err
	}
	return list(t, scan, "SELECT id, time, kind, actor, subject, reason, detail FROM events WHERE ?1 = 0 OR id < ?1 ORDER BY id DESC LIMIT ?2", before, limit)
}

func (t transaction) Setting(name string) (string, error) {
	scan := func(r row) (string, error) {
		var v string
		err := r.Scan(&v)
		return v, err
	}
	vs, err := list(t, scan, "SELECT value FROM settings WHERE name = ?", name)
	if err != nil || len(vs) == 0 {
		return "", err
	}
	return vs[0], nil
}

func (t transaction) SetSetting(name, value string) error {
	return t.exec("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", name, value)
}
