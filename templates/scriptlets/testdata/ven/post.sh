exec /opt/illumio_ven/bin/vpkg-hook post-install --format rpm -- "$1"
