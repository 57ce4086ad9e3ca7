package rpm

import (
	"context"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// A file is an RPM of which both headers were read.
type file struct {
	r         io.ReaderAt
	size      int64 // bytes
	signature *block
	main      *block
	files     fileList
}

// Read reads a package of any origin. What every package has by itself is left
// out: the package's own name among what it provides, rpmlib() features and
// interpreters among what it requires; and accounts are given as such. What ELF
// files need and provide stands among the relations, and RequiresELF is not set.
//
// With depth Headers the layout is complete, and the digests of the main header
// are checked; with depth Payload also those of the payload and of every file.
// Signatures are not. Where a file is not as it should be, the error is a
// *FormatError.
func (Format) Read(ctx context.Context, r io.ReaderAt, size int64, depth packaging.Depth) (*packaging.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := open(r, size)
	if err != nil {
		return nil, err
	}
	p, err := f.readPackage()
	if err != nil {
		return nil, err
	}
	if depth == packaging.Payload {
		if err := f.readPayload(ctx, func(*packaging.Entry, io.Reader) error { return nil }); err != nil {
			return nil, err
		}
	}
	p.Layout = f.files.layout()
	return p, nil
}

var _ packaging.Extractor = Format{}

// Each gives the files of a package of any origin with their content. Of hard
// links, the first by path has it, wherever it is in the payload.
func (Format) Each(ctx context.Context, r io.ReaderAt, size int64, give func(e *packaging.Entry, body io.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := open(r, size)
	if err != nil {
		return err
	}
	if _, err := f.readPackage(); err != nil {
		return err
	}
	return f.readPayload(ctx, give)
}

// open reads the headers and checks them against each other.
func open(r io.ReaderAt, size int64) (*file, error) {
	if err := readLead(r, size); err != nil {
		return nil, err
	}
	f := &file{r: r, size: size}
	var err error
	if f.signature, err = readBlock(r, leadSize, size, tagRegionSignatures); err != nil {
		return nil, err
	}
	if f.main, err = readBlock(r, (f.signature.end()+7)&^7, size, tagRegionImmutable); err != nil {
		return nil, err
	}
	if err := f.checkFormat(); err != nil {
		return nil, err
	}
	return f, f.checkSignatureHeader()
}

// readPackage gives what the main header says, without the layout.
func (f *file) readPackage() (*packaging.Package, error) {
	h := fields{h: f.main}
	p := &packaging.Package{
		Name:        h.string(tagName),
		Epoch:       uint32(h.int(tagEpoch)),
		Version:     h.string(tagVersion),
		Release:     h.string(tagRelease),
		Arch:        h.string(tagArch),
		Summary:     h.string(tagSummary),
		Description: h.string(tagDescription),
		License:     h.string(tagLicense),
		Vendor:      h.string(tagVendor),
		Maintainer:  h.string(tagPackager),
		Homepage:    h.string(tagURL),
		Group:       h.string(tagGroup),
		Date:        unixTime(h.int(tagBuildTime)),
		Prefixes:    h.strings(tagPrefixes),
		Scripts:     readScripts(&h),
		Triggers:    readTriggers(&h),
		Changelog:   readChangelog(&h),
	}
	if p.Group == defaultGroup {
		p.Group = ""
	}
	if h.err == nil && (p.Name == "" || p.Version == "") {
		h.fail(tagName, "package has no name or no version")
	}
	if !h.has(tagSourceRPM) && !h.has(tagOldFileNames) && h.err == nil && f.isSource() {
		h.fail(tagSourceRPM, "source packages are %w", packaging.ErrUnsupported)
	}
	p.Compression = readCompression(&h)
	readRelations(&h, p)
	f.files = readFiles(&h)
	return p, h.err
}

// isSource looks at the lead, the only place where each source package says so.
func (f *file) isSource() bool {
	var b [2]byte
	_, err := f.r.ReadAt(b[:], 6)
	return err == nil && b[1] == 1
}

func unixTime(seconds uint64) time.Time { return time.Unix(int64(uint32(seconds)), 0).UTC() }

func readCompression(h *fields) packaging.Compression {
	c := packaging.Compression{Codec: h.string(tagPayloadCompressor)}
	if !h.has(tagPayloadCompressor) {
		c.Codec = "none" // or gzip, in packages before there was the tag
	}
	if n, err := strconv.Atoi(h.string(tagPayloadFlags)); err == nil {
		c.Level = n
	}
	return c
}

func readScripts(h *fields) []packaging.Script {
	var scripts []packaging.Script
	for _, k := range scriptKinds {
		if h.has(k.body) || h.has(k.prog) {
			scripts = append(scripts, packaging.Script{
				Phase: k.phase, Interpreter: readInterpreter(h.strings(k.prog)), Body: h.string(k.body),
			})
		}
	}
	return scripts
}

// readInterpreter gives nil for the shell.
func readInterpreter(prog []string) []string {
	if len(prog) == 0 || len(prog) == 1 && (prog[0] == shell || prog[0] == "") {
		return nil
	}
	return prog
}

func readTriggers(h *fields) []packaging.Trigger {
	var triggers []packaging.Trigger
	for _, set := range []*triggerTags{packageTriggers, fileTriggers, transFileTriggers} {
		bodies := h.strings(set.script)
		progs := sized(h, set.prog, h.strings(set.prog), len(bodies))
		list := make([]packaging.Trigger, len(bodies))
		for i := range list {
			list[i].Script = packaging.Script{Interpreter: readInterpreter(progs[i : i+1]), Body: bodies[i]}
		}
		if set.priorities != 0 {
			for i, n := range sized(h, set.priorities, h.ints(set.priorities), len(list)) {
				list[i].Priority = uint32(n)
			}
		}
		on := readDependencies(h, set.name, set.version, set.flags)
		if len(on)+len(bodies) > maxOthers {
			h.fail(set.name, "%d triggers, want at most %d", len(on)+len(bodies), maxOthers)
			return nil
		}
		for i, index := range sized(h, set.index, h.ints(set.index), len(on)) {
			if index >= uint64(len(list)) {
				h.fail(set.index, "script %d of %d", index, len(list))
				break
			}
			t, d := &list[index], on[i]
			k := slices.IndexFunc(triggerKinds, func(k triggerKind) bool { return k.set == set && d.flags&k.sense != 0 })
			if k < 0 {
				h.fail(set.flags, "flags %#x are not a trigger's", d.flags)
				break
			}
			t.Kind, t.On = triggerKinds[k].name, append(t.On, d.String())
		}
		triggers = append(triggers, list...)
	}
	return triggers
}

func readChangelog(h *fields) []packaging.Change {
	authors := h.strings(tagChangelogName)
	times := sized(h, tagChangelogTime, h.ints(tagChangelogTime), len(authors))
	texts := sized(h, tagChangelogText, h.strings(tagChangelogText), len(authors))
	if len(authors) > maxOthers {
		h.fail(tagChangelogName, "%d changes, want at most %d", len(authors), maxOthers)
		return nil
	}
	var changes []packaging.Change
	for i, a := range authors {
		changes = append(changes, packaging.Change{Date: unixTime(times[i]), Author: a, Text: texts[i]})
	}
	return changes
}

// readDependencies gives the relations of a kind.
func readDependencies(h *fields, name, version, flags tag) []dependency {
	names := h.strings(name)
	versions := sized(h, version, h.strings(version), len(names))
	ns := sized(h, flags, h.ints(flags), len(names))
	list := make([]dependency, len(names))
	for i := range list {
		list[i] = dependency{names[i], versions[i], uint32(ns[i])}
	}
	return list
}

// readRelations fills in p's relations and accounts.
func readRelations(h *fields, p *packaging.Package) {
	for _, k := range relationKinds {
		list := readDependencies(h, k.name, k.version, k.flags)
		if k.kind == packaging.Provides {
			p.Accounts, list = readAccounts(list)
		}
		if len(p.Relations)+len(list) > maxOthers {
			h.fail(k.name, "%d relations, want at most %d", len(p.Relations)+len(list), maxOthers)
			return
		}
		for _, d := range list {
			if isOwn(p, k.kind, d) {
				continue
			}
			r := packaging.Relation{Kind: k.kind, Text: d.String()}
			if k.kind == packaging.Requires {
				for _, s := range phaseSenses {
					if d.flags&s.sense != 0 {
						r.For = append(r.For, s.phase)
					}
				}
			}
			p.Relations = append(p.Relations, r)
		}
	}
}

// isOwn reports whether a relation is one that every package like p has.
func isOwn(p *packaging.Package, kind packaging.RelationKind, d dependency) bool {
	switch kind {
	case packaging.Provides:
		isa := architectures[p.Arch].isa
		own := d.name == p.Name || isa != "" && d.name == p.Name+"("+isa+")"
		return own && d.version == p.EVR() && d.flags&senseCompare == senseEqual
	case packaging.Requires:
		return d.flags&(senseRPMLib|senseInterp) != 0
	}
	return false
}
