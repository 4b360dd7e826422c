#!/usr/bin/env python3
"""What a threshold for --min_confidence of arc-voice does: of the final texts of the recogniser that are right, how many would be asked back;
of those that are wrong, and of words that it hears in sounds without any, how many would be acted upon."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(REPO / "tests/bench/stt"))

import speak  # noqa: E402

# Sounds without words, as sox makes them; laughter and hesitation, as synthesisers say them.
NOISES = {
    "cough": "synth 0.25 brownnoise fade 0.01 0.25 0.1 pad 0.4 0.5 repeat 1",
    "clatter": "synth 0.08 whitenoise fade 0 0.08 0.06 pad 0.15 0.1 repeat 6",
    "crowd": "synth 2 pinknoise tremolo 4 80 pad 0.3 0.3",
    "hum": "synth 1.5 sawtooth 140 tremolo 3 50 lowpass 900 pad 0.3 0.3",
    "whistle": "synth 1 sine 900-1400 pad 0.3 0.3",
    "siren": "synth 2 triangle 500-900 tremolo 1 60 pad 0.3 0.3",
}
SOUNDS = ["ha ha ha ha", "hmm", "um uh", "ah ah ah", "la la la la", "shh", "achoo", "brrr", "tsk tsk", "hehehe"]
THRESHOLDS = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recognize", default=str(REPO / "build/release/bin/stt_recognize"))
    parser.add_argument("--every", type=int, default=1, help="use each n-th phrase")
    parser.add_argument("--voices", default=",".join(speak.VOICES["evaluation"]))
    parser.add_argument("--snr", type=float, action="append", default=[], help="dB of noise, besides clean; may be given again")
    parser.add_argument("--json", action="store_true", help="print every text and its confidence instead")
    options = parser.parse_args()
    domain, free = speak.read_phrases(REPO / "tests/bench/stt/evaluation_phrases.txt")
    phrases = (domain + free)[:: options.every]
    with tempfile.TemporaryDirectory() as scratch:
        said = {}
        for voice in options.voices.split(","):
            for snr in [None, *options.snr]:
                for text in phrases:
                    file = Path(scratch) / f"{len(said)}.wav"
                    speak.speak(voice, text, file, snr, len(said))
                    said[str(file)] = text
            for text in SOUNDS:
                file = Path(scratch) / f"{len(said)}.wav"
                speak.speak(voice, text, file)
                said[str(file)] = ""
        for seed, effects in enumerate(NOISES.values()):
            for gain in (-3, -12):
                file = Path(scratch) / f"{len(said)}.wav"
                subprocess.run(["sox", "-R", "-n", "-r", str(speak.RATE), "-c", "1", "-b", "16", str(file), *effects.split(), "gain", "-n", str(gain)], check=True)
                said[str(file)] = ""
        done = subprocess.run([options.recognize, "--threads=1"], input="\n".join(said), text=True, capture_output=True, cwd=REPO, check=False)
        if done.returncode != 0:
            sys.exit(f"doubts.py: {options.recognize}: {done.stderr}")
        results = [json.loads(line) for line in done.stdout.splitlines()]
    if options.json:
        for result in results:
            print(json.dumps({"said": said[result["file"]], "heard": result["text"], "confidence": result["confidence"]}))
        return
    kinds = {"right": [], "wrong": [], "no words": []}
    empty = 0
    for result in results:
        meant = said[result["file"]]
        if not result["text"]:
            empty += 1
        elif not meant:
            kinds["no words"].append(result["confidence"])
        else:
            kinds["right" if result["text"] == meant else "wrong"].append(result["confidence"])
    print(f"{len(results)} sounds: " + ", ".join(f"{len(values)} {kind}" for kind, values in kinds.items()) + f", {empty} empty texts")
    print("threshold  right asked back  wrong acted upon  sounds acted upon")
    for threshold in [0, *THRESHOLDS]:
        def share(kind, below):
            values = kinds[kind]
            count = sum((value < threshold) == below for value in values)
            return f"{count}/{len(values)}"
        print(f"{threshold:9.2f}  {share('right', True):>16}  {share('wrong', False):>16}  {share('no words', False):>16}")


if __name__ == "__main__":
    main()
