#!/bin/sh
# Tenant, namespaces and topics of the archive, and for how long Pulsar keeps them. Run again, it changes what differs.
set -eu

admin() { bin/pulsar-admin --admin-url "$PULSAR_ADMIN_URL" "$@"; }
has() { admin "$@" | tr -d '"\r' | grep -qxF "$wanted"; }

wanted=kiosk
has tenants list || admin tenants create kiosk
# The time of each namespace; -1: however much that is.
for namespace in "events $EVENTS_KEPT" "agents $AGENTS_KEPT"; do
  name=kiosk/${namespace% *}
  wanted=$name
  has namespaces list kiosk || admin namespaces create "$name"
  admin namespaces set-retention "$name" --size -1 --time "${namespace#* }"
done
for topic in events/vision events/voice events/input events/session events/ui agents/voice agents/stt agents/brain agents/tts; do
  wanted=persistent://kiosk/$topic
  has topics list "kiosk/${topic%/*}" || admin topics create "$wanted"
done
