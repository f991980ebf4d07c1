#!/usr/bin/env bash
# Multi30k: DiffuSeq by many steps and few, before and after post-training with the distance penalty.
# figure: bleu=3.84 by 2000 steps, 2.31 by 10, after post-training 3.72 and 3.96 (seed 1, bf16, 100 sentences)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe diffuseq
"$seq2seq" post-train "${texts[@]}" --updates 1000 --validate-every 250 --seed "$seed" "${device[@]}" \
    --from "$model" --model "$model-agreeing"
head -n 100 "$data/multi30k/test2016.de" >"$out/some.de"
head -n 100 "$data/multi30k/test2016.en" >"$out/some.en"
tested=(--source "$out/some.de" --reference "$out/some.en")  # 2000 steps of all 1000 sentences would take hours
for trained in "$model" "$model-agreeing"; do
    model=$trained
    for steps in 2000 1000 200 100 50 20 10 5 4 2; do
        for plan in even adaptive; do
            if [[ $steps-$plan == 2000-adaptive ]]; then continue; fi  # all of the 2000, as even
            printf "%s steps=%s plan=%s: " "$(basename "$model")" "$steps" "$plan"
            score "$seq2seq" --steps "$steps" --plan "$plan"
        done
    done
done
