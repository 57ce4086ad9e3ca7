exec {{sh .Hook}} post-install --format rpm -- "$1"
