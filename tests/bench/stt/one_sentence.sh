#!/usr/bin/env bash
# One order in 13 voices, into the stt agent's engine: how many are right word for word.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

usage() {
  cat <<'HELP'
Usage: tests/bench/stt/one_sentence.sh [--build_dir DIR] [TEXT]

Speaks TEXT (default: two volcano burgers without onions and a large cola please) with four voices of flite
and with espeak-ng's default, en-us and en-gb voices at 150, 160 and 175 words a minute, recognises each with
stt_recognize of DIR (default: build/release), and prints what was heard and N of 13.

Exit status: 0 all right, 1 some wrong, 2 wrong usage.
HELP
}

build=build/release
text='two volcano burgers without onions and a large cola please'
while [ $# -gt 0 ]; do
  case "$1" in
    --build_dir) build=${2:?--build_dir needs a folder}; shift ;;
    --help|-h) usage; exit 0 ;;
    -*) printf 'one_sentence.sh: unknown argument %s\n' "$1" >&2; usage >&2; exit 2 ;;
    *) text=$1 ;;
  esac
  shift
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for voice in slt rms awb kal16; do
  flite -voice "$voice" -t "$text" -o "$folder/flite-$voice.wav"
done
for speed in 150 160 175; do
  espeak-ng -s "$speed" -w "$folder/espeak-default-$speed.wav" "$text"
  for voice in en-us en-gb; do
    espeak-ng -v "$voice" -s "$speed" -w "$folder/espeak-$voice-$speed.wav" "$text"
  done
done
right=0
all=0
while IFS=$'\t' read -r file confidence tail heard; do
  all=$((all + 1))
  mark=wrong
  if [ "$heard" = "$text" ]; then
    mark=right
    right=$((right + 1))
  fi
  printf '%-22s %s %.2f %4.0f ms  %s\n' "$(basename "$file" .wav)" "$mark" "$confidence" "$tail" "$heard"
done < <(printf '%s\n' "$folder"/*.wav | "$build/bin/stt_recognize" --threads=1 2>/dev/null |
  jq --raw-output '[.file, .confidence, .tail_ms, .text] | @tsv')
printf '%d of %d\n' "$right" "$all"
[ "$all" -gt 0 ] && [ "$right" -eq "$all" ]
