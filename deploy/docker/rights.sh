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
  elif [ "$user" = screen ]; then
    # The page's own login: its server passes it on and is no user itself.
    cp /rights/kiosk.json "$folder/login.json.new"
    mv "$folder/login.json.new" "$folder/login.json"
  elif [ "$user" = archive ]; then
    # Another project's image, which runs as a user of its own.
    printf 'NATS_URL=nats://archive:%s@nats:4222\n' "$(cat /rights/archive.password)" >"$folder/archive.env.new"
    chmod 0644 "$folder/archive.env.new"
    mv "$folder/archive.env.new" "$folder/archive.env"
  else
    cp "/rights/$user.password" "$folder/password.new"
    mv "$folder/password.new" "$folder/password"
  fi
done
