// Package manifest reads manifests and makes packages of them: a vpkg.yaml or an
// nfpm.yaml, and a target, give a packaging.Package.
//
// Reading is strict. Everything that is wrong with a manifest is reported at
// once, each with file, line and column. Resolve is the only step that looks at
// the outside (files, archives, the hook); what it gives is a value from which
// every build makes the same bytes.
package manifest
