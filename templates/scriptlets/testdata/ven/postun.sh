# The hook is gone with the last version.
if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
exit 0
