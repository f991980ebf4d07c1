#!/usr/bin/env bash
# Multi30k: the model of the row difformer, by few steps and many, with every sampler and plan.
# figure: ddpm, even: 22.54, 27.41, 29.87, 30.94, 31.01, 31.31 by 2, 3, 5, 10, 20, 50 steps; adaptive 27.26 by 2 (seed 1); 22.74, 27.51, 30.05, 30.98, 30.54, 30.51; 27.93 (seed 2, bf16)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
model=$(dirname "$out")/difformer/$run
mkdir -p "$(dirname "$model")"
learn "$seq2seq" --recipe difformer
head -n 100 "$data/multi30k/val.de" >"$out/some.de"
fitted=$out/seed-$seed.plan
"$seq2seq" fit-plan --model "$model" --source "$out/some.de" --output "$fitted" "${device[@]}"
for steps in 2 3 5 10 20 50; do
    for sampler in "ddpm --plan even" "ddpm --plan adaptive" "ddpm --plan quadratic" "ddpm --plan $fitted" "ddim --plan even" \
        "dpm-solver --plan even" "dpm-solver --plan adaptive"; do
        printf 'steps=%s sampler=%s: ' "$steps" "$sampler"
        # shellcheck disable=SC2086
        score "$seq2seq" --steps "$steps" --sampler $sampler | grep '^bleu='
    done
done
