#!/bin/sh
# Users and passwords for the fleet in containers, made once: all of them in /rights, and in the volume of each container
# what that one needs and nothing else. Words after it are those of `scripts/rights make`.
set -eu
umask 077

/opt/arc/scripts/rights make --dir /rights "$@"
for folder in /rights-of/*; do
  user=$(basename "$folder")
  if [ "$user" = nats ]; then
    # Hashes; the official image's root has no capability to read another user's file.
    cp /rights/rights.conf "$folder/rights.conf.new"
    chmod 0644 "$folder/rights.conf.new"
    mv "$folder/rights.conf.new" "$folder/rights.conf"
  else
    cp "/rights/$user.password" "$folder/password.new"
    mv "$folder/password.new" "$folder/password"
  fi
done
