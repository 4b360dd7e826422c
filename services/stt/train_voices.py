#!/usr/bin/env python3
"""Learns how groups of synthetic voices differ from the speakers of the acoustic model.

Each group's voices speak the training sentences. The means of the model's densities are moved to them: by one
linear transform (MLLR), then each towards what was heard of it (MAP). The recogniser holds the result
(voices.h). The same inputs give the same output.
"""

import argparse
import array
import fcntl
import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = Path("/usr/lib/sphinxtrain")
# None of them takes part in the evaluation (tests/bench/stt/speak.py).
GROUPS = {
    "espeak_us_male": [f"en-us+m{i}" for i in range(1, 8)],
    "espeak_us_female": [f"en-us+f{i}" for i in range(1, 5)],
    "espeak_gb": [f"en-gb+m{i}" for i in range(1, 8)] + ["en-gb+f2"],
}
SPEEDS = (150, 160, 175)
SENTENCES_A_VOICE = 16
TAU = 10  # frames that the transformed mean counts for
# As the recogniser does (pocketsphinx_engine.h):
DITHER = 8
MEAN_RANGE = 40
MEAN_PRIOR = 10


def sentences(path):
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and line != "free:" and not line.startswith("#")]


def read_dictionary(path):
    words = set()
    with open(path, encoding="utf-8") as file:
        for line in file:
            words.add(line.split(maxsplit=1)[0])
    return words


def run(*command):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"train_voices.py: {command[0]} failed:\n{done.stdout[-3000:]}")


def speak(voice, speed, text, seed, path):
    raw = path.with_suffix(".raw.wav")
    run("espeak-ng", "-v", voice, "-s", speed, "-w", raw, text)
    # -R: the same dither each time.
    run("sox", "-R", raw, "-r", 16000, "-c", 1, "-b", 16, path, "gain", "-n", -6, "pad", 0.25, 0.25)
    raw.unlink()
    with wave.open(str(path)) as file:
        samples = array.array("h", file.readframes(file.getnframes()))
    noise = random.Random(seed)
    for i, sample in enumerate(samples):
        samples[i] = max(-32768, min(32767, sample + int(noise.random() * (2 * DITHER + 1)) - DITHER))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())


def write_mixture_weights(sendump, path):
    """The model has them as logarithms of 8 bits; bw wants numbers."""
    data = sendump.read_bytes()
    at = 0
    fields = {}
    while True:
        (length,) = struct.unpack_from("<i", data, at)
        at += 4
        if length == 0:
            break
        text = data[at : at + length].rstrip(b"\0").decode()
        at += length
        if match := re.fullmatch(r"(\w+_count) (\d+)", text):
            fields[match[1]] = int(match[2])
    densities, senones = struct.unpack_from("<ii", data, at)
    at += 8
    features = fields["feature_count"]
    if fields.get("cluster_count", 0) != 0 or len(data) < at + features * densities * senones:
        sys.exit(f"train_voices.py: {sendump} is of a kind that is not known here")
    probability = [1.0001 ** -(q << 10) for q in range(256)]
    weights = array.array("f", bytes(4 * senones * features * densities))
    for feature in range(features):
        for density in range(densities):
            row = data[at : at + senones]
            at += senones
            start = feature * densities + density
            weights[start :: features * densities] = array.array("f", (probability[q] for q in row))
    header = b"s3\nversion 1.0\n          endhdr\n"
    count = senones * features * densities
    with open(path, "wb") as file:
        file.write(header + struct.pack("<Iiiii", 0x11223344, senones, features, densities, count))
        file.write(weights.tobytes())


class Means:
    """The means of the model's densities, a file of Sphinx 3."""

    HEADER = b"s3\nversion 1.0\n          endhdr\n"

    def __init__(self, data):
        at = data.index(b"endhdr\n") + len(b"endhdr\n")
        magic, self.codebooks, self.streams, self.densities = struct.unpack_from("<Iiii", data, at)
        if magic != 0x11223344:
            sys.exit("train_voices.py: the means are of another byte order")
        self.lengths = struct.unpack_from(f"<{self.streams}i", data, at + 16)
        at += 16 + 4 * self.streams
        (count,) = struct.unpack_from("<i", data, at)
        self.values = array.array("f", data[at + 4 : at + 4 + 4 * count])

    def to_bytes(self):
        return (self.HEADER + struct.pack("<Iiii", 0x11223344, self.codebooks, self.streams, self.densities) +
                struct.pack(f"<{self.streams}i", *self.lengths) + struct.pack("<i", len(self.values)) +
                self.values.tobytes())

    def vectors(self):
        """Yields stream, first value, length of each."""
        at = 0
        for _ in range(self.codebooks):
            for stream, length in enumerate(self.lengths):
                for _ in range(self.densities):
                    yield stream, at, length
                    at += length

    def transform(self, text):
        numbers = iter(text.split())
        if next(numbers) != "1" or int(next(numbers)) != self.streams:
            sys.exit("train_voices.py: mllr_solve made a transform of another kind")
        matrices = []
        for length in self.lengths:
            assert int(next(numbers)) == length
            rows = [[float(next(numbers)) for _ in range(length)] for _ in range(length)]
            shift = [float(next(numbers)) for _ in range(length)]
            matrices.append((rows, shift))
            for _ in range(length):
                next(numbers)  # of the variances, which stay
        for stream, at, length in self.vectors():
            old = self.values[at : at + length]
            rows, shift = matrices[stream]
            for i in range(length):
                self.values[at + i] = shift[i] + sum(a * b for a, b in zip(rows[i], old))

    def adapt(self, counts):
        """Moves each mean to what was heard, the further the more of it was (MAP)."""
        at = counts.index(b"endhdr\n") + len(b"endhdr\n")
        _, has_means, has_variances, _, codebooks, densities, streams = struct.unpack_from("<I6i", counts, at)
        at += 28 + 4 * streams
        if (codebooks, streams, densities, has_means, has_variances) != (
                self.codebooks, self.streams, self.densities, 1, 0):
            sys.exit("train_voices.py: the counts of bw are of another kind")
        (count,) = struct.unpack_from("<i", counts, at)
        sums = array.array("f", counts[at + 4 : at + 4 + 4 * count])
        at += 4 + 4 * count
        if struct.unpack_from("<4i", counts, at) != (codebooks, streams, densities, codebooks * streams * densities):
            sys.exit("train_voices.py: the counts of bw have another length")
        at += 16
        weights = array.array("f", counts[at : at + 4 * codebooks * streams * densities])
        for (_, start, length), weight in zip(self.vectors(), weights):
            for i in range(start, start + length):
                self.values[i] = (TAU * self.values[i] + sums[i]) / (TAU + weight)


def subtract_mean(path, prior):
    """As the recogniser does: the mean of what is loud enough, and of the usual mean a little."""
    data = path.read_bytes()
    order = "<" if struct.unpack_from("<i", data)[0] * 4 + 4 == len(data) else ">"
    values = list(struct.unpack_from(f"{order}{(len(data) - 4) // 4}f", data, 4))
    frames = [values[i : i + len(prior)] for i in range(0, len(values), len(prior))]
    loudest = max(frame[0] for frame in frames)
    loud = [frame for frame in frames if frame[0] >= loudest - MEAN_RANGE]
    mean = [(MEAN_PRIOR * prior[i] + sum(frame[i] for frame in loud)) / (MEAN_PRIOR + len(loud))
            for i in range(len(prior))]
    less = [value - mean[i] for frame in frames for i, value in enumerate(frame)]
    path.write_bytes(data[:4] + struct.pack(f"{order}{len(less)}f", *less))


def solve(voices, texts, model, dictionary, shared, folder):
    """Returns the means of the acoustic model in these voices."""
    folder.mkdir()
    jobs = []
    for number, voice in enumerate(voices):
        for i in range(SENTENCES_A_VOICE):
            text = texts[(number * SENTENCES_A_VOICE + i * 5) % len(texts)]
            jobs.append((voice, SPEEDS[i % len(SPEEDS)], text, f"{number}-{i}"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda j: speak(j[0], j[1], j[2], f"{folder.name} {j[3]}", folder / f"{j[3]}.wav"), jobs))
    parameters = dict(line.split(maxsplit=1) for line in (model / "feat.params").read_text().splitlines())
    prior = [float(value) for value in parameters["-cmninit"].split(",")]
    control = folder / "control"
    control.write_text("".join(f"{name}\n" for *_, name in jobs))
    transcript = folder / "transcript"
    transcript.write_text("".join(f"<s> {text} </s> ({name})\n" for _, _, text, name in jobs))
    run("sphinx_fe", "-argfile", model / "feat.params", "-samprate", 16000, "-c", control, "-di", folder, "-do",
        folder, "-ei", "wav", "-eo", "mfc", "-mswav", "yes", "-dither", "no")

    for *_, name in jobs:
        subtract_mean(folder / f"{name}.mfc", prior)

    def align(means):
        run(TOOLS / "bw", "-moddeffn", shared / "mdef.txt", "-meanfn", means, "-varfn", model / "variances",
            "-mixwfn", shared / "mixture_weights", "-tmatfn", model / "transition_matrices", "-ts2cbfn", ".ptm.",
            "-feat", "1s_c_d_dd", "-svspec", "0-12/13-25/26-38", "-cmn", "none", "-agc", "none", "-dictfn", dictionary,
            "-fdictfn", model / "noisedict", "-ctlfn", control, "-lsnfn", transcript, "-cepdir", folder, "-accumdir",
            folder, "-mixwreest", "no", "-tmatreest", "no", "-varreest", "no", "-timing", "no")

    align(model / "means")
    run(TOOLS / "mllr_solve", "-meanfn", model / "means", "-varfn", model / "variances", "-accumdir", folder,
        "-outmllrfn", folder / "transform")
    means = Means((model / "means").read_bytes())
    means.transform((folder / "transform").read_text())
    (folder / "means").write_bytes(means.to_bytes())
    align(folder / "means")
    means.adapt((folder / "gauden_counts").read_bytes())
    return means.to_bytes()


def digest(paths):
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model_dir", type=Path, default=Path("/usr/share/pocketsphinx/model/en-us"))
    parser.add_argument("--out", type=Path, required=True, help="the file to write, unless it is up to date")
    arguments = parser.parse_args()
    model = arguments.model_dir / "en-us"
    dictionary = arguments.model_dir / "cmudict-en-us.dict"
    for program in ("espeak-ng", "sox", "sphinx_fe", "pocketsphinx_mdef_convert", TOOLS / "bw", TOOLS / "mllr_solve"):
        if shutil.which(program) is None:
            sys.exit(f"train_voices.py: {program} is missing; scripts/setup installs it")

    version = subprocess.run(["espeak-ng", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    inputs = [Path(__file__), HERE / "training_phrases.txt", model / "means"]
    stamp = f"{digest(inputs)} {version.split(' Data at')[0].strip()}\n"
    stamp_file = arguments.out.with_suffix(".stamp")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with open(arguments.out.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if arguments.out.exists() and stamp_file.exists() and stamp_file.read_text(encoding="utf-8") == stamp:
            os.utime(arguments.out)
            return
        words = read_dictionary(dictionary)
        texts = sentences(HERE / "training_phrases.txt")
        for text in texts:
            if unknown := [word for word in text.split() if word not in words]:
                sys.exit(f"train_voices.py: training_phrases.txt: not in the dictionary: {' '.join(unknown)}")
        with tempfile.TemporaryDirectory() as temporary:
            shared = Path(temporary)
            run("pocketsphinx_mdef_convert", "-text", model / "mdef", shared / "mdef.txt")
            write_mixture_weights(model / "sendump", shared / "mixture_weights")
            with ThreadPoolExecutor(2) as pool:
                made = list(pool.map(lambda g: (g, solve(GROUPS[g], texts, model, dictionary, shared, shared / g)),
                                     GROUPS))
        part = arguments.out.with_suffix(".part")
        with open(part, "wb") as file:
            for group, means in made:
                name = group.encode()
                file.write(struct.pack("<i", len(name)) + name + struct.pack("<i", len(means)) + means)
        part.replace(arguments.out)
        stamp_file.write_text(stamp, encoding="utf-8")


if __name__ == "__main__":
    main()
