package hooks

// Beside lists what an installation makes beside the payload and the record does not
// have: folders, and what lets units run as the chosen user. Empty means the
// package's own account.
func Beside(c Config, user string) []Step {
	if user == c.Account.User {
		user = ""
	}
	return appendDropIns(planFolders(c, user), c, user)
}

// ReadFailure reads what the file "failed" of a package's state says.
func ReadFailure(sys System, name string) (f Failure, err error) {
	return f, readJSON(sys, stateFolder+name+"/"+failedFile, &f)
}

// Unended is the event whose journal is there: it broke off, or is still going on.
func Unended(sys System, name string) (Event, error) {
	j, err := readJournal(sys, stateFolder+name+"/"+journalFile)
	return j.Event, err
}
