exec /opt/agent/bin/vpkg-hook post-install --format rpm -- "$1"
