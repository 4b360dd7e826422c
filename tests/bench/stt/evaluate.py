#!/usr/bin/env python3
"""Word error rate and latency of the stt agent's engine on audio that this run synthesises.

30 in-domain phrases and 10 free ones, in 5 voices that tuning did not use, clean and with noise at 20 and
10 dB: recognised in the process of stt_recognize, which has the agent's engine and no bus. Prints a table.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import speak

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[2]
CONDITIONS = [("clean", None), ("20 dB", 20), ("10 dB", 10)]


# One word, written in two ways: neither is an error.
SAME = [("checkout", "check out"), ("i will", "i'll"), ("we are", "we're"), ("i would", "i'd"), ("what is", "what's")]


def spelt_alike(text):
    text = f" {text} "
    for other, usual in SAME:
        text = text.replace(f" {other} ", f" {usual} ")
    return text.strip()


def errors(reference, heard):
    """The least substitutions, insertions and deletions of words."""
    a, b = spelt_alike(reference).split(), spelt_alike(heard).split()
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != other))
    return row[-1]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build_dir", default=str(REPO / "build/release"))
    parser.add_argument("--kinds", default="domain,free")
    parser.add_argument("--set", choices=sorted(speak.VOICES), default="evaluation", help="which phrases and voices")
    parser.add_argument("--conditions", default="clean,20 dB,10 dB")
    parser.add_argument("--audio_dir", help="keep the sound files here, and use those that are there already")
    parser.add_argument("--threads", type=int, default=1, help="utterances at once; latency is of so many")
    parser.add_argument("--show", action="store_true", help="print what was misheard")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    parser.add_argument("engine_flags", nargs="*", help="flags of stt_recognize, after --")
    arguments = parser.parse_args()
    domain, free = speak.read_phrases(HERE / f"{arguments.set}_phrases.txt")
    voices = speak.VOICES[arguments.set]
    wanted = [c for c in CONDITIONS if c[0] in arguments.conditions.split(",")]

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.audio_dir or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        jobs = {}
        for kind, phrases in (("domain", domain), ("free", free)):
            if kind not in arguments.kinds.split(","):
                continue
            for number, phrase in enumerate(phrases):
                for voice in voices:
                    for name, snr in wanted:
                        file = folder / f"{arguments.set}-{kind}-{number}-{voice.replace(':', '_')}-{snr}.wav"
                        jobs[str(file)] = (kind, phrase, voice, name, snr, 1000 * number + voices.index(voice))
        with ThreadPoolExecutor(2) as pool:
            missing = [(f, j) for f, j in jobs.items() if not Path(f).exists()]
            list(pool.map(lambda m: speak.speak(m[1][2], m[1][1], m[0], m[1][4], m[1][5]), missing))
        command = [f"{arguments.build_dir}/bin/stt_recognize", f"--menu={REPO}/deploy/demo/menu.json",
                   f"--threads={arguments.threads}", *arguments.engine_flags]
        run = subprocess.run(command, input="\n".join(jobs) + "\n", stdout=subprocess.PIPE, text=True, check=True)
    results = [json.loads(line) for line in run.stdout.splitlines()]
    if len(results) != len(jobs):
        sys.exit(f"evaluate.py: {len(jobs) - len(results)} utterances have no result")

    rows = []

    def is_right(r):
        return spelt_alike(jobs[r["file"]][1]) == spelt_alike(r["text"])

    def add(title, chosen):
        if not chosen:
            return
        words = sum(len(jobs[r["file"]][1].split()) for r in chosen)
        wrong = sum(errors(jobs[r["file"]][1], r["text"]) for r in chosen)
        whole = sum(is_right(r) for r in chosen)
        rows.append({
            "what": title, "utterances": len(chosen), "words": words,
            "wer_percent": round(100 * wrong / max(1, words), 1),
            "sentences_right_percent": round(100 * whole / max(1, len(chosen)), 1),
            "tail_p50_ms": round(percentile([r["tail_ms"] for r in chosen], 0.5)),
            "tail_p95_ms": round(percentile([r["tail_ms"] for r in chosen], 0.95)),
            "real_time_factor": round(sum(r["total_ms"] for r in chosen) / max(1, sum(r["audio_ms"] for r in chosen)), 2),
        })

    for name, _ in wanted:
        for kind in ("domain", "free"):
            add(f"{kind}, {name}", [r for r in results if jobs[r["file"]][0] == kind and jobs[r["file"]][3] == name])
    for voice in voices:
        for name, _ in wanted:
            add(f"domain, {voice}, {name}", [r for r in results if jobs[r["file"]][0] == "domain"
                                             and jobs[r["file"]][2] == voice and jobs[r["file"]][3] == name])
    # Whether confidence tells right from wrong: how often a right utterance is more certain than a wrong one.
    right = [r["confidence"] for r in results if is_right(r)]
    wrong = [r["confidence"] for r in results if not is_right(r)]
    better = sum((a > b) + 0.5 * (a == b) for a in right for b in wrong) / max(1, len(right) * len(wrong))
    bands = []
    for low, high in ((0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.01)):
        band = [r for r in results if low <= r["confidence"] < high]
        words = sum(len(jobs[r["file"]][1].split()) for r in band)
        hits = sum(max(0, len(jobs[r["file"]][1].split()) - errors(jobs[r["file"]][1], r["text"])) for r in band)
        bands.append({"confidence": f"{low} to {min(high, 1)}", "utterances": len(band),
                      "words_right_percent": round(100 * hits / words, 1) if words else None,
                      "sentences_right_percent": round(100 * sum(is_right(r) for r in band) / len(band), 1) if band else None})
    if arguments.json:
        print(json.dumps({"rows": rows, "confidence_auc": round(better, 3), "confidence": bands}))
        return
    print("| what | utterances | WER % | sentences right % | tail p50 ms | tail p95 ms | real-time factor |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['what']} | {row['utterances']} | {row['wer_percent']} | {row['sentences_right_percent']} | "
              f"{row['tail_p50_ms']} | {row['tail_p95_ms']} | {row['real_time_factor']} |")
    print(f"\nA right utterance is more certain than a wrong one in {100 * better:.0f} % of pairs.")
    for band in bands:
        print(f"confidence {band['confidence']}: {band['utterances']} utterances, "
              f"{band['words_right_percent']} % of words right, {band['sentences_right_percent']} % of sentences")
    if arguments.show:
        for r in results:
            kind, phrase, voice, name, _, _ = jobs[r["file"]]
            if not is_right(r):
                print(f"{name} {voice} {r['confidence']:.3f}\n   {phrase}\n   {r['text']}")


if __name__ == "__main__":
    main()
