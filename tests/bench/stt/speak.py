#!/usr/bin/env python3
"""Speaks phrases with the voices of flite and espeak-ng into WAV files of 16 kHz, with noise where it is asked for."""

import argparse
import array
import math
import random
import shutil
import subprocess
import sys
import wave
from pathlib import Path

RATE = 16000
# The voices of the evaluation took no part in tuning.
VOICES = {
    "tuning": ["flite:slt", "espeak:en-us+f3", "espeak:en-us+m3"],
    "evaluation": ["flite:kal16", "flite:awb", "flite:rms", "espeak:en-us", "espeak:en-gb-x-rp"],
}
PAUSE_S = 0.25  # of silence before and after the words, as a microphone has it


def read_phrases(path):
    """The in-domain phrases and the free ones."""
    domain, free = [], []
    phrases = domain
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if line == "free:":
            phrases = free
        elif line and not line.startswith("#"):
            phrases.append(line)
    return domain, free


def synthesise(voice, text, path):
    """Any rate; `resample` makes it RATE."""
    engine, name = voice.split(":")
    if engine == "flite":
        command = ["flite", "-voice", name, "-t", text, "-o", str(path)]
    else:
        command = ["espeak-ng", "-v", name, "-s", "160", "-w", str(path), text]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def samples_of(path):
    with wave.open(str(path)) as file:
        samples = array.array("h")
        samples.frombytes(file.readframes(file.getnframes()))
        return samples


def write(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def with_noise(samples, snr_db, seed):
    """Adds noise of a crowded room's colour (white, low-passed) at `snr_db` below the mean of the speech."""
    rng = random.Random(seed)
    speech = [s for s in samples if abs(s) > 50]
    power = sum(s * s for s in speech) / max(1, len(speech))
    noise, low = [], 0.0
    for _ in samples:
        low = 0.7 * low + rng.gauss(0, 1)
        noise.append(low)
    noise_power = sum(n * n for n in noise) / max(1, len(noise))
    gain = math.sqrt(power / (10 ** (snr_db / 10)) / noise_power)
    return array.array("h", (max(-32768, min(32767, round(s + gain * n))) for s, n in zip(samples, noise)))


def speak(voice, text, path, snr_db=None, seed=0):
    path = Path(path)
    raw = path.with_suffix(".raw.wav")
    clean = path.with_suffix(".clean.wav")
    try:
        synthesise(voice, text, raw)
        subprocess.run(["sox", str(raw), "-r", str(RATE), "-c", "1", "-b", "16", str(clean),
                        "gain", "-n", "-6", "pad", str(PAUSE_S), str(PAUSE_S)], check=True)
        samples = samples_of(clean)
        write(path, samples if snr_db is None else with_noise(samples, snr_db, seed))
    finally:
        raw.unlink(missing_ok=True)
        clean.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("voice", help="flite:NAME or espeak:NAME")
    parser.add_argument("text")
    parser.add_argument("wav")
    parser.add_argument("--snr", type=float, help="dB of noise below the speech; none: no noise")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for program in ("flite", "espeak-ng", "sox"):
        if shutil.which(program) is None:
            sys.exit(f"speak.py: {program} is not installed; scripts/setup installs it")
    speak(arguments.voice, arguments.text, arguments.wav, arguments.snr, arguments.seed)


if __name__ == "__main__":
    main()
