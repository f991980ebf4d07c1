#!/usr/bin/env bash
# Multi30k: evaluations saved where sentences stop once they stand still, or where candidates are dropped on the way.
# figure: still=4 bleu=31.19 at 13.0 evaluations; keep=5 of 10 from=3 bleu=31.90 at 65 (seed 1)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
model=$(dirname "$out")/difformer/$run
mkdir -p "$(dirname "$model")"
learn "$seq2seq" --recipe difformer
"$early_exits" "$model" "$data/multi30k/test2016.de" "$data/multi30k/test2016.en"
