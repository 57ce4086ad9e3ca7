# Group and user must exist before rpm unpacks, or the files are root's. The hook
# is not on disk yet; everything else is its work.
exit 0
