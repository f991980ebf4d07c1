#!/usr/bin/env bash
# Multi30k: the model of the row difformer by equal numbers of denoiser evaluations, spent on steps or on candidates.
# figure: bleu=27.26, 29.87, 30.94, 32.25, 32.34 by 2, 5, 10, 50 (10 steps x 5 lengths), 100 evaluations (seed 1)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
model=$(dirname "$out")/difformer/$run
mkdir -p "$(dirname "$model")"
learn "$seq2seq" --recipe difformer
while read -r steps lengths noises; do
    plan=even
    if ((steps == 2)); then plan=adaptive; fi  # the better one there, as the row steps shows
    printf 'evaluations=%s steps=%s lengths=%s noises=%s: ' "$((steps * lengths * noises))" "$steps" "$lengths" "$noises"
    score "$seq2seq" --steps "$steps" --plan "$plan" --length-beam "$lengths" --noise-beam "$noises" | grep '^bleu='
done <<'BEAMS'
2 1 1
3 1 1
5 1 1
2 3 1
10 1 1
3 3 1
2 5 1
3 5 1
20 1 1
2 5 2
5 5 1
10 3 1
3 5 2
10 5 1
5 5 2
20 5 1
10 5 2
5 5 4
20 5 2
10 5 4
BEAMS
